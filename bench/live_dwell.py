"""Ends warm-ups and measurements that have no fixed length, while their load runs.

It runs in this process, beside Locust, as a search does: every quarter of a second it looks at small files,
and it measures a step only when its next look is due, with the functions of the report.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.decide import dwell, warm_up
from bench.dwell_lines import line_of_close, line_of_look, line_of_warm_up
from bench.step_watch import StepWatch
from bench.terminal import Status, print_status
from configs.load import Load
from runfolder.load_commands import LoadCommand
from runfolder.manifest import ExperimentEntry, Manifest
from runfolder.records import StepRow

if TYPE_CHECKING:
    from analysis.decide.dwell import Look


class LiveDwell:
    """One experiment's warm-ups and measurements.

    Args:
        load: the plan's.
        manifest: of the run.
        entry: the experiment.
        folder: the run folder.
        say: prints a line about a measurement.
    """

    def __init__(
        self,
        load: Load,
        manifest: Manifest,
        entry: ExperimentEntry,
        folder: Path,
        *,
        say: Callable[[str], None] = print_status,
    ) -> None:
        self._until, self._warm_up = load.measure_until, load.warm_up_until
        self._least_warm_up_s = load.least_warm_up_s
        self._folder, self._say = folder, say
        self._watch = StepWatch(manifest, entry, folder)
        self._ordinal = 0
        self._begin_step()

    def _begin_step(self) -> None:
        self._warm = self._closed = False
        self._steady = 0
        """Looks in a row at which the warm-up had settled."""
        self._looks: list[Look] = []
        self._next_warm_s = self._least_warm_up_s / warm_up.GROWTH ** (warm_up.IN_A_ROW - 1)
        self._next_s = 0.0 if self._until is None else dwell.first_look_s(self._until)

    def tick(self, status: Status) -> None:
        """Look at the load, whose status this is; called several times a second."""
        row, settled = self._watch.newest(), status.get("settled_until")
        if row is None:
            return
        if row.ordinal != self._ordinal:
            self._ordinal = row.ordinal
            self._begin_step()
        if settled is None or row.measure_ended_at is not None:
            return
        if row.measure_started_at is not None:
            self._look(row, row.measure_started_at, settled)
        elif row.ramped_at is not None:
            self._look_at_warm_up(row, row.ramped_at, settled)

    def _look_at_warm_up(self, row: StepRow, began_at: float, settled: float) -> None:
        """End the warm-up when the load has settled."""
        if self._warm_up is None or self._warm or settled - began_at < self._next_warm_s:
            return
        self._next_warm_s = warm_up.GROWTH * (settled - began_at)
        steady = warm_up.is_steady(self._watch.measure(row, begins=began_at, ends=settled))
        self._steady = self._steady + 1 if steady else 0
        if self._steady >= warm_up.IN_A_ROW:
            self._warm = True
            self._say(line_of_warm_up(row, settled - began_at))
            LoadCommand(at=row.ordinal, action="measure").write(self._folder)

    def _look(self, row: StepRow, started_at: float, settled: float) -> None:
        """End the measurement when its statistic is known well enough; else say when to look next."""
        until = self._until
        if until is None or self._closed or settled - started_at < self._next_s:
            return
        self._looks.append(look := dwell.look_at(self._watch.measure(row, ends=settled), until))
        next_s = dwell.next_look_s(until, self._looks)
        self._closed = next_s is None
        if next_s is None:
            self._say(line_of_close(row, until, look))
            command = LoadCommand(at=row.ordinal, action="close", reach=look.reach)
        else:
            self._next_s = next_s
            self._say(line_of_look(row, until, look))
            looks_at = started_at + next_s
            command = LoadCommand(at=row.ordinal, action="wait", reach=look.reach, looks_at=looks_at)
        command.write(self._folder)
