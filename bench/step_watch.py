"""The newest step of a load that runs, read from its run folder and measured with the report's functions."""

from collections.abc import Sequence
from pathlib import Path

from analysis.measure.results import StepResult
from analysis.measure.steps import measure_step
from configs.slo import Objective
from runfolder import layout
from runfolder.appending import read_rows
from runfolder.manifest import ExperimentEntry, Manifest
from runfolder.reading import read_run
from runfolder.records import StepRow


class StepWatch:
    """Reads ``steps.csv`` when it has changed, and of ``requests.csv`` only what the newest steps can need.

    Args:
        manifest: of the run.
        entry: the experiment.
        folder: the run folder.
        objectives: the plan's latency objectives.
    """

    def __init__(
        self, manifest: Manifest, entry: ExperimentEntry, folder: Path, objectives: Sequence[Objective] = ()
    ) -> None:
        self._manifest, self._entry, self._folder = manifest, entry, folder
        self._objectives = objectives
        self._stamp: int | None = None
        self._newest: StepRow | None = None
        self._ordinal = 0
        self._offsets = (0, 0)
        """Sizes of requests.csv when the step before and the current one began."""

    def newest(self) -> StepRow | None:
        """The last step that has begun; None before the first."""
        path = self._folder / layout.STEPS
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if stamp != self._stamp:
            rows = [row for row in read_rows(path, StepRow) if row.experiment == self._entry.name]
            begun = [row for row in rows if row.announced_at is not None]
            self._stamp, self._newest = stamp, begun[-1] if begun else None
        if self._newest is not None and self._newest.ordinal != self._ordinal:
            size = (self._folder / layout.REQUESTS).stat().st_size
            self._ordinal, self._offsets = self._newest.ordinal, (self._offsets[1], size)
        return self._newest

    def measure(self, row: StepRow, begins: float | None = None, ends: float | None = None) -> StepResult:
        """A step as the report measures it.

        Args:
            row: the step.
            begins: where its window is to begin, epoch seconds; by default, where it did.
            ends: where it is to end; by default, where it did.
        """
        tables = read_run(self._folder, self._manifest, requests_from=self._offsets[0])
        values = tables.steps[tables.steps["step"] == row.step].to_dict("records")[-1]
        if begins is not None:
            values["measure_started_at"] = begins
        if ends is not None:
            values |= {"measure_ended_at": ends, "tail_ended_at": None}
        return measure_step(values, self._entry, tables.requests, tables, self._objectives)
