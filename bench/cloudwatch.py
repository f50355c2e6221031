"""After the load: what CloudWatch saw in the same minutes, kept in the run folder."""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.terminal import say
from deploy.aws.clients import Clients
from deploy.aws.cloudwatch import LATE_S, Served, collect, variant_of
from runfolder.appending import read_rows
from runfolder.layout import REQUESTS, STEPS
from runfolder.manifest import Manifest
from runfolder.records import StepRow


def collect_server_view(folder: Path, manifest: Manifest, clients: Clients) -> None:
    """Ask CloudWatch for every experiment that made requests; the manifest says what is missing.

    The endpoints are gone by then: figures come minutes late, and waiting for them costs nothing.
    """
    steps = read_rows(folder / STEPS, StepRow)
    refused = _refused(folder, {row.step: row.experiment for row in steps})
    for entry in manifest.experiments:
        started = sum(row.started or 0 for row in steps if row.experiment == entry.name)
        served = started - refused[entry.name]
        if not served or not entry.endpoint_name or not entry.load_started_at or not entry.load_ended_at:
            continue
        say(
            f"{entry.name}: asking CloudWatch for the server's view, until {LATE_S / 60:.0f} min after the "
            "load (Ctrl-C goes on without it)"
        )
        entry.cloudwatch = collect(
            folder,
            entry.name,
            Served(entry.endpoint_name, variant_of(entry.endpoint), entry.component),
            clients,
            started_at=entry.load_started_at,
            ended_at=entry.load_ended_at,
            expected_invocations=served,
        )
        if entry.cloudwatch:
            say(f"{entry.name}: {entry.cloudwatch}")


_NEVER_INVOKED = frozenset(
    {"throttled", "not_ready", "auth", "validation", "service", "protocol", "connection", "stale_connection"}
)
"""Classes of requests that perhaps no container saw: CloudWatch need not count them."""


def _refused(folder: Path, experiments: Mapping[str, str]) -> Counter[str]:
    """Requests of each experiment that CloudWatch need not count; ``experiments`` by step id."""
    refused: Counter[str] = Counter()
    path = folder / REQUESTS
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:  # row by row: it may be large
            for row in csv.DictReader(file):
                if row.get("error_class") in _NEVER_INVOKED:
                    refused[experiments.get(row["step"], "")] += 1
    return refused
