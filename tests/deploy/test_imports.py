"""What importing deploy must not bring along: patched sockets, and the SDK's 1,400 modules."""

import subprocess
import sys
from pathlib import Path

import pytest

import deploy

FORBIDDEN = ("gevent", "locust", "sagemaker.core")
ROOT = Path(deploy.__path__[0])
MODULES = sorted(
    ".".join(("deploy", *path.relative_to(ROOT).with_suffix("").parts)) for path in ROOT.rglob("[a-z]*.py")
)


@pytest.mark.e2e
def test_deploy_is_light_and_leaves_sockets_alone() -> None:
    code = f"import sys, {', '.join(MODULES)}; print([name for name in {FORBIDDEN} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
