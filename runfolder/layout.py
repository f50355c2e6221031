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


def locust_prefix(index: int, count: int) -> str:
    """Prefix of Locust's own CSV files: ``locust``, or ``locust_2`` where a plan has several experiments."""
    return "locust" if count == 1 else f"locust_{index + 1}"


def create_run_folder(results: Path, plan_name: str, now: datetime | None = None) -> Path:
    """Make ``results/<plan>-<UTC time>`` and point ``results/latest`` at it.

    Raises:
        OSError: when the folder cannot be made or written.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    folder = results / f"{plan_name}-{stamp}"
    suffix = 1
    while folder.exists():
        suffix += 1
        folder = results / f"{plan_name}-{stamp}-{suffix}"
    folder.mkdir(parents=True)
    _point_latest(results, folder)
    return folder


def _point_latest(results: Path, folder: Path) -> None:
    link = results / "latest"
    fresh = results / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
