"""The table of an experiment's steps (``steps.csv``): phases, reasons, and counts reconciled at the end."""

import logging
from collections.abc import Callable, Iterable

from configs.experiment import Experiment, Step
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.worker_group import StepReason
from runfolder import layout
from runfolder.appending import read_rows, replace_rows
from runfolder.records import STEP_COLUMNS, ReasonCode, StepRow

logger = logging.getLogger(__name__)


class StepTable:
    """Rows of one experiment's steps, saved beside those of the run's other experiments."""

    def __init__(self, experiment: Experiment, collector: ReportCollector) -> None:
        self._collector = collector
        self._path = experiment.run_folder / layout.STEPS
        self.rows = [
            _planned_row(step, experiment.name, ordinal) for ordinal, step in enumerate(experiment.steps, 1)
        ]
        self._others = [row for row in read_rows(self._path, StepRow) if row.experiment != experiment.name]
        self._experiment = experiment.name
        self._reasons: dict[str, list[StepReason]] = {row.step: [] for row in self.rows}
        self._infos: dict[str, list[StepReason]] = {}
        self.save()

    def add(self, step: Step) -> StepRow:
        """Add a step that was not planned."""
        ordinal = len(self.rows) + 1
        row = StepRow(step.id, self._experiment, ordinal, step.concurrency, step.rate, purpose=step.purpose)
        self.rows.append(row)
        self._reasons[row.step] = []
        self._collector.add_step(step.id)
        return row

    def add_reason(self, row: StepRow, code: ReasonCode, text: str) -> None:
        """Add, once, a reason why a step is degraded."""
        if (code, text) not in self._reasons[row.step]:
            self._reasons[row.step].append(StepReason(code, text))
            logger.warning("%s: %s", row.step, text)

    def add_reasons(self, row: StepRow, reasons: Iterable[StepReason]) -> None:
        """Add, once each, reasons why a step is degraded."""
        for code, text in reasons:
            self.add_reason(row, code, text)

    def add_info(self, row: StepRow, infos: Iterable[StepReason]) -> None:
        """Set what is worth knowing about a step and does not degrade it."""
        self._infos[row.step] = list(infos)

    def mark_unplayed(self, reason: str) -> None:
        """Add to every step that has not started why it was not played."""
        for row in self.rows:
            if row.state == "planned" and not self._reasons[row.step]:
                self.skip(row, reason)

    def skip(self, row: StepRow, reason: str) -> None:
        """Say why a step is not played."""
        self._reasons[row.step] = [StepReason("not_played", f"not played: {reason}")]

    def save(self) -> None:
        """Write ``steps.csv``."""
        for row in self.rows:
            reasons = [*self._reasons[row.step], *self._infos.get(row.step, ())]
            row.reasons = "; ".join(text for _, text in reasons) or None
            row.reason_codes = ";".join(dict.fromkeys(code for code, _ in reasons)) or None
        with self._collector.writing(layout.STEPS):
            replace_rows(self._path, STEP_COLUMNS, [*self._others, *self.rows])

    def reconcile(self, locust_counts: Callable[[str], tuple[int, int]]) -> bool:
        """Compare the workers' counts, the rows and Locust's counts; write the result.

        Args:
            locust_counts: Locust's own requests and failures of a step.

        Returns:
            Whether every step that was played is complete and had at least one answer.
        """
        whole = True
        for row in self.rows:
            if row.state == "planned":
                continue
            tally = self._collector.steps[row.step]
            row.started = self._collector.counts(row.step).started
            row.ok, row.failed, row.censored = tally.ok, tally.failed, tally.censored
            row.withheld = tally.withheld
            row.locust_requests, row.locust_failures = locust_counts(row.step)
            self.add_reasons(row, self._collector.count_mismatches(row.step))
            self._infos.setdefault(row.step, []).extend(self._collector.recovered_rows(row.step))
            unanswered = tally.failed + tally.censored + tally.withheld
            written = tally.ok + unanswered
            if (row.locust_requests, row.locust_failures) != (written, unanswered):
                counted = f"Locust counted {row.locust_requests} requests, but {written} rows were recorded"
                self.add_reason(row, "locust_count_differs", counted)
            if row.state == "complete" and not written:
                self.add_reason(row, "no_requests", "no request ended in this step")
            if row.state == "complete" and self._reasons[row.step]:
                row.state = "degraded"
            whole = whole and row.state != "degraded" and not (tally.failed and not tally.ok)
        self.save()
        return whole


def _planned_row(step: Step, experiment: str, ordinal: int) -> StepRow:
    row = StepRow(step.id, experiment, ordinal, step.concurrency, step.rate, step.speed)
    if step.piece is not None:
        row.piece = ordinal
        if (ends := step.piece.users or step.piece.rates) is not None:
            row.ramp_from, row.ramp_to = ends.start, ends.end
    return row
