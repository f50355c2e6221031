"""What an import must not bring along: patched sockets, and libraries that take a second to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import deploy

DEPLOY = Path(deploy.__path__[0])
ALL_OF_DEPLOY = sorted(
    ".".join(("deploy", *path.relative_to(DEPLOY).with_suffix("").parts))
    for path in DEPLOY.rglob("[a-z]*.py")
)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        pytest.param(ALL_OF_DEPLOY, ("gevent", "locust", "sagemaker.core"), id="deploy"),
        pytest.param(
            ["bench.checks", "bench.commands.run"],
            ("gevent", "locust", "matplotlib", "pandas", "sagemaker.core", "scipy"),
            id="the start of a run",
        ),
        pytest.param(
            ["analysis"], ("boto3", "gevent", "matplotlib", "scipy.optimize", "scipy.stats"), id="a report"
        ),
    ],
)
def test_an_import_is_light(modules: list[str], forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join(modules)}; print([name for name in {forbidden} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
