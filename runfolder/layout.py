"""The names of the files in a run folder, and functions to create a new one."""

import os
from datetime import UTC, datetime
from pathlib import Path

MADE_PAYLOAD = "_payload.jsonl"
"""After the prefix of Locust's files: prompts that were made for the load. It is removed after it."""
MANIFEST = "manifest.json"
STEPS = "steps.csv"
REQUESTS = "requests.csv"
GAPS = "gaps.csv"
WORKERS = "workers.csv"
SAMPLES = "samples.jsonl"
CLOUDWATCH = "cloudwatch.csv"
LOCUST_LOG = "locust.log"
LATEST = "latest"
"""A link beside the run folders to the newest one."""
STATUS = "status.json"
"""The state of the running load generator, written about once a second."""


def locust_prefix(index: int, count: int) -> str:
    """Prefix of Locust's own CSV files: ``locust``, or ``locust_2`` if a plan has several experiments."""
    return "locust" if count == 1 else f"locust_{index + 1}"


def new_run_folder(results: Path, plan_name: str, now: datetime | None = None) -> Path:
    """The next free ``results/<plan>-<UTC time>``; this creates nothing."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    folder = results / f"{plan_name}-{stamp}"
    suffix = 1
    while folder.exists():
        suffix += 1
        folder = results / f"{plan_name}-{stamp}-{suffix}"
    return folder


def create_run_folder(folder: Path, *, exist_ok: bool = False) -> None:
    """Create a run folder and point the link ``latest`` beside it to it.

    Args:
        folder: the run folder.
        exist_ok: whether the folder may exist.

    Raises:
        OSError: the folder exists, or cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=exist_ok)
    link = folder.parent / LATEST
    fresh = folder.parent / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
