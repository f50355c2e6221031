"""The book of an experiment's steps: ``steps.csv``, with what is to be said of each, balanced at the end."""

import logging
from collections.abc import Callable, Iterable

from configs.experiment import Experiment
from locustfiles.collector import Collector
from runfolder import layout
from runfolder.appending import read_rows, replace_rows
from runfolder.records import STEP_COLUMNS, StepRow

logger = logging.getLogger(__name__)


class StepBook:
    """Rows of the steps, kept on disk beside those of other experiments of the run."""

    def __init__(self, experiment: Experiment, collector: Collector) -> None:
        self._collector = collector
        self._path = experiment.run_folder / layout.STEPS
        self.rows = [
            StepRow(step.id, experiment.name, ordinal, step.concurrency)
            for ordinal, step in enumerate(experiment.steps, 1)
        ]
        self._others = [row for row in read_rows(self._path, StepRow) if row.experiment != experiment.name]
        self._reasons: dict[str, list[str]] = {row.step: [] for row in self.rows}
        self._remarks: dict[str, list[str]] = {}
        self.save()

    def note(self, row: StepRow, reason: str) -> None:
        """Say once why a step is not whole."""
        if reason not in self._reasons[row.step]:
            self._reasons[row.step].append(reason)
            logger.warning("%s: %s", row.step, reason)

    def remark(self, row: StepRow, remarks: Iterable[str]) -> None:
        """Say what is worth saying of a step and does not degrade it."""
        self._remarks[row.step] = list(remarks)

    def save(self) -> None:
        """Write ``steps.csv``."""
        for row in self.rows:
            said = [*self._reasons[row.step], *self._remarks.get(row.step, ())]
            row.reasons = "; ".join(said) or None
        with self._collector.writing(layout.STEPS):
            replace_rows(self._path, STEP_COLUMNS, [*self._others, *self.rows])

    def balance(self, locust_counts: Callable[[str], tuple[int, int]]) -> bool:
        """Hold the workers' books, the rows and Locust's counts against each other.

        Args:
            locust_counts: Locust's own requests and failures of a step.

        Returns:
            Whether every step that was played is whole and was answered.
        """
        whole = True
        for row in self.rows:
            if row.state == "planned":
                continue
            tally = self._collector.steps[row.step]
            row.started = self._collector.counts(row.step).started
            row.ok, row.failed, row.censored = tally.ok, tally.failed, tally.censored
            row.locust_requests, row.locust_failures = locust_counts(row.step)
            for reason in self._collector.missing(row.step):
                self.note(row, reason)
            written = tally.ok + tally.failed + tally.censored
            if (row.locust_requests, row.locust_failures) != (written, tally.failed + tally.censored):
                self.note(row, f"Locust counted {row.locust_requests} requests, the rows are {written}")
            if row.state == "complete" and not written:
                self.note(row, "no request ended in this step")
            if row.state == "complete" and self._reasons[row.step]:
                row.state = "degraded"
            whole = whole and row.state != "degraded" and not (tally.failed and not tally.ok)
        self.save()
        return whole
