"""Where a run was made: versions, host, kernel. No user name, no host name beyond what helps, no secret."""

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("locust", "gevent", "geventhttpclient", "boto3", "botocore", "pandas", "matplotlib", "xllamacpp")

_CALIBRATION = Path(__file__).parents[1] / ".cache" / "calibration.json"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a figure may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def host() -> dict[str, Any]:
    """The load generator's machine, as far as it can shape a measurement."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": affinity,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
    }


def calibration() -> dict[str, Any] | None:
    """What `make calibrate` found on this machine; None when it was not run here."""
    try:
        found = json.loads(_CALIBRATION.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None
