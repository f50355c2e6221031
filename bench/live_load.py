"""What `bench` does while a load runs: it looks at the measurements and tells the load how to go on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.terminal import Status
from configs.plan import Plan
from runfolder.load_commands import LOAD_COMMAND
from runfolder.manifest import ExperimentEntry, Manifest

if TYPE_CHECKING:
    from bench.searches import Searches


def watch_load(
    plan: Plan, manifest: Manifest, entry: ExperimentEntry, folder: Path, searches: "Searches | None"
) -> Callable[[Status], None]:
    """Write the first command of a load, if it needs any.

    Args:
        plan: as played.
        manifest: of the run.
        entry: the experiment.
        folder: the run folder.
        searches: of the run; None where the plan lists steps.

    Returns:
        What to call with the load's status several times a second.

    Raises:
        UserError: the disk is full.
    """
    load, ticks = plan.load, list[Callable[[Status], None]]()
    (folder / LOAD_COMMAND).unlink(missing_ok=True)
    if load.measure_until is not None or load.warm_up_until is not None:
        from bench.live_dwell import LiveDwell  # noqa: PLC0415 - a fixed load needs no pandas

        ticks.append(LiveDwell(load, manifest, entry, folder).tick)
    if searches is not None:
        ticks.append(searches.begin(entry).tick)

    def tick(status: Status) -> None:
        for each in ticks:
            each(status)

    return tick
