"""After the load: CloudWatch's figures for the same minutes, kept in the run folder."""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.terminal import print_status
from deploy.aws.clients import Clients
from deploy.aws.cloudwatch import LATE_S, MetricSource, collect_metrics, production_variant
from runfolder.appending import read_rows
from runfolder.layout import REQUESTS, STEPS
from runfolder.manifest import Manifest
from runfolder.records import StepRow


def collect_cloudwatch(folder: Path, manifest: Manifest, clients: Clients) -> None:
    """Write CloudWatch's figures of every experiment that sent requests; the manifest says what is missing.

    The endpoints are deleted by then: the figures are minutes late, and waiting for them costs nothing.
    """
    steps = read_rows(folder / STEPS, StepRow)
    further = _further_invocations(folder, {row.step: row.experiment for row in steps})
    for entry in manifest.experiments:
        started = sum(row.started or 0 for row in steps if row.experiment == entry.name)
        invoked = started + further[entry.name]
        if not invoked or not entry.endpoint_name or not entry.load_started_at or not entry.load_ended_at:
            continue
        print_status(
            f"{entry.name}: waiting for CloudWatch's figures, up to {LATE_S / 60:.0f} min after the load "
            "(Ctrl-C continues without them)"
        )
        entry.cloudwatch = collect_metrics(
            folder,
            entry.name,
            MetricSource(entry.endpoint_name, production_variant(entry.endpoint), entry.component),
            clients,
            started_at=entry.load_started_at,
            ended_at=entry.load_ended_at,
            expected_invocations=invoked
            + entry.session_probes
            + (entry.made_prompts.probes if entry.made_prompts else 0),
        )
        if entry.cloudwatch:
            print_status(f"{entry.name}: {entry.cloudwatch}")


_NEVER_INVOKED = frozenset(
    {
        "throttled",
        "not_ready",
        "auth",
        "validation",
        "service",
        "protocol",
        "connection",
        "stale_connection",
        "predecessor",
        "session",
    }
)
"""Error classes of requests that may not have reached a container: CloudWatch need not count them."""


def _further_invocations(folder: Path, experiments: Mapping[str, str]) -> Counter[str]:
    """How many more invocations than requests CloudWatch must count in each experiment.

    Less for each request that need not have reached a container, and more for what opened and closed
    sessions. ``experiments`` maps step ids to names.
    """
    counts: Counter[str] = Counter()
    path = folder / REQUESTS
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:  # row by row: it may be large
            for row in csv.DictReader(file):
                own = experiments.get(row["step"], "")
                counts[own] -= row.get("error_class") in _NEVER_INVOKED or _not_sent(row)
                counts[own] += bool(row.get("session_id") and row.get("session_open_ms"))
                counts[own] += bool(row.get("session_close_ms"))
    return counts


def _not_sent(row: Mapping[str, str]) -> bool:
    """Whether it is an arrival that was withheld, or a turn that was cut off: not due yet, or unopened."""
    outcome = row.get("outcome")
    unopened = bool(row.get("session_open_ms")) and not row.get("session_id")
    cut_off = outcome == "censored" and float(row.get("elapsed_ms") or 1) == 0
    return outcome == "withheld" or unopened or cut_off
