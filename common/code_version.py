"""The version of this code, which the hosts of a distributed load compare."""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

from common.errors import UserError
from common.paths import PROJECT

_PACKAGES = ("bench/distributed", "common", "configs", "locustfiles", "runfolder")
"""What a load generator runs. Analysis and deployment may differ between hosts."""

_MAX_VERSION = 60


@cache
def code_version(root: Path = PROJECT) -> str:
    """The suite's version with a digest of the load generator's source: ``0.2.0 (code 1a2b3c4d)``.

    The digest tells two commits of one version apart, and works without git, as in a container.
    """
    digest = hashlib.blake2b(digest_size=4)
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return f"{metadata.version('sagemaker-llm-bench')} (code {digest.hexdigest()})"


def check_master_version(master: object) -> None:
    """Compare the version that a master sent with this host's own; None comes from one that sends none.

    Raises:
        UserError: they differ.
    """
    if master != code_version():
        raise UserError(
            f"this host runs version {code_version()}, and the master {named_version(master)}",
            "install the same commit, or start the same image, on all hosts",
        )


def named_version(received: object) -> str:
    """``version 0.2.0 (code 1a2b3c4d)`` for a version that came over the network."""
    text = received if isinstance(received, str) and received.isprintable() else ""
    return f"version {text[:_MAX_VERSION]}" if text else "an older version"
