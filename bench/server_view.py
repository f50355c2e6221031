"""After the load: what CloudWatch saw in the same minutes, kept in the run folder."""

from pathlib import Path

from bench.screen import say
from deploy.clients import Clients
from deploy.cloudwatch import Served, collect, variant_of
from runfolder.appending import read_rows
from runfolder.layout import STEPS
from runfolder.manifest import Manifest
from runfolder.records import StepRow


def collect_server_view(folder: Path, manifest: Manifest, clients: Clients) -> None:
    """Ask CloudWatch for every experiment that made requests; the manifest says what is missing.

    The endpoints are gone by then: figures come minutes late, and waiting for them costs nothing.
    """
    steps = read_rows(folder / STEPS, StepRow)
    for entry in manifest.experiments:
        started = sum(row.started or 0 for row in steps if row.experiment == entry.name)
        if not started or not entry.endpoint_name or not entry.load_started_at or not entry.load_ended_at:
            continue
        say(f"{entry.name}: asking CloudWatch for the server's view")
        entry.cloudwatch = collect(
            folder,
            entry.name,
            Served(entry.endpoint_name, variant_of(entry.endpoint), entry.component),
            clients,
            started_at=entry.load_started_at,
            ended_at=entry.load_ended_at,
            expected_invocations=started,
        )
        if entry.cloudwatch:
            say(f"{entry.name}: {entry.cloudwatch}")
