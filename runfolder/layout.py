"""Names of the files in a run folder, and how a new one is made."""

import os
from datetime import UTC, datetime
from pathlib import Path

MANIFEST = "manifest.json"
STEPS = "steps.csv"
REQUESTS = "requests.csv"
GAPS = "gaps.csv"
WORKERS = "workers.csv"
SAMPLES = "samples.jsonl"
CLOUDWATCH = "cloudwatch.csv"
LOCUST_LOG = "locust.log"
LATEST = "latest"
"""A link beside the run folders, to the newest of them."""
STATUS = "status.json"
"""What the load generator says of itself while it runs, about once a second."""


def locust_prefix(index: int, count: int) -> str:
    """Prefix of Locust's own CSV files: ``locust``, or ``locust_2`` where a plan has several experiments."""
    return "locust" if count == 1 else f"locust_{index + 1}"


def new_run_folder(results: Path, plan_name: str, now: datetime | None = None) -> Path:
    """The next free ``results/<plan>-<UTC time>``; nothing is created yet."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    folder = results / f"{plan_name}-{stamp}"
    suffix = 1
    while folder.exists():
        suffix += 1
        folder = results / f"{plan_name}-{stamp}-{suffix}"
    return folder


def create_run_folder(folder: Path) -> None:
    """Make a new run folder and point ``latest`` beside it at it.

    Raises:
        OSError: when the folder exists, or cannot be made.
    """
    folder.mkdir(parents=True)
    link = folder.parent / LATEST
    fresh = folder.parent / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
