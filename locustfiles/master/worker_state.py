"""What the master knows of one worker: its last report, and which reports and rows have arrived."""

from collections import Counter
from dataclasses import dataclass, field

from locustfiles.master.number_set import NumberSet
from locustfiles.messages import Counts, ReportMessage
from runfolder.records import Request

REPORT_S = 0.5
"""Interval of a worker's reports (`worker.reporter.REPORT_S`, in a module that imports Locust)."""


@dataclass(slots=True)
class WorkerState:
    """One worker according to its last report. A worker that starts again is another one."""

    name: str
    host: str = ""
    reported_at: float = 0.0
    """When its last report was sent, in the master's clock."""
    in_flight: int = 0
    oldest_start: float | None = None
    rows: Counter[str] = field(default_factory=Counter)
    """Rows received per step."""
    recovered: Counter[str] = field(default_factory=Counter)
    """Those of them that came from its disk after it was killed."""
    counts: dict[str, Counts] = field(default_factory=dict)
    reports: NumberSet = field(default_factory=NumberSet)
    """Numbers of its reports: one that arrives twice is dropped."""
    row_numbers: NumberSet = field(default_factory=NumberSet)
    """Numbers of its rows, likewise."""
    counted_rows: int = 0
    """Number of the last row that ``counts`` includes."""
    silences: list[tuple[float, float]] = field(default_factory=list)
    """Intervals without a report, in the master's clock."""

    def take_state(self, report: ReportMessage, sent_at: float, offset: float) -> None:
        """Take what the newest report says. ``sent_at`` is in the master's clock."""
        if self.reported_at and sent_at - self.reported_at > 2 * REPORT_S:
            self.silences.append((self.reported_at, sent_at))
        self.host, self.in_flight, self.reported_at = report.host, report.in_flight, sent_at
        self.oldest_start = None if report.oldest_start is None else report.oldest_start - offset
        self.counts = {step: Counts(*counts) for step, counts in report.counts.items()}
        self.counted_rows = report.first_row + len(report.rows) - 1

    def count_recovered(self, number: int, started: int, row: Request) -> None:
        """Count a row that came from its disk.

        Args:
            number: of the row.
            started: requests of its step that the worker had started by then.
            row: the row.
        """
        self.recovered[row.step] += 1
        if number <= self.counted_rows:
            return  # its last report included it
        counts = self.counts.setdefault(row.step, Counts())
        setattr(counts, row.outcome, getattr(counts, row.outcome) + 1)
        counts.started = max(counts.started, started, counts.ended)
