"""Where a run was made: versions, hardware, kernel. No user name, no host name, no secret."""

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from common.paths import PROJECT, calibration_file

SUITE = "sagemaker-llm-bench"
_GIT_VARIABLES = ("PATH", "HOME", "SYSTEMROOT")
"""What git needs of the environment, which may hold keys and tokens."""
_PACKAGES = ("locust", "gevent", "geventhttpclient", "boto3", "botocore", "pandas", "matplotlib", "xllamacpp")


def versions() -> dict[str, str]:
    """Versions of this suite, of Python and of the packages that a figure may depend on."""
    known = {SUITE: suite_version(), "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            known[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


def suite_version(root: Path = PROJECT) -> str:
    """This suite's version; in a git checkout with its commit: ``0.2.0 (1a2b3c4d, modified)``."""
    version = metadata.version(SUITE)
    commit = _git(root, "rev-parse", "--short=8", "HEAD")
    if not commit:
        return version
    modified = ", modified" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    return f"{version} ({commit}{modified})"


def _git(root: Path, *arguments: str) -> str:
    """Output of a git command; empty without git or if ``root`` is not a checkout."""
    if not (root / ".git").exists():
        return ""
    known = {name: os.environ[name] for name in _GIT_VARIABLES if name in os.environ}
    try:
        result = subprocess.run(
            ["git", "-C", root, *arguments],
            env=known,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def host() -> dict[str, Any]:
    """The load generator's machine, as far as it can affect a measurement."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": affinity,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
    }


def calibration() -> dict[str, Any] | None:
    """The result of `make calibrate` on this machine; None if it was not run here."""
    try:
        content = json.loads(calibration_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None
