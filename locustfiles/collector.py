"""The master's side of the records: rows from all workers into the run folder, as they come."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import gevent

from configs.errors import UserError, writing
from locustfiles import gaps
from locustfiles.failures import STOPS_RUN, Failure
from locustfiles.messages import Report
from locustfiles.recorder import Counts
from runfolder import layout
from runfolder.appending import RowAppender, append_jsonl, read_rows, replace_rows
from runfolder.records import (
    GAP_COLUMNS,
    REQUEST_COLUMNS,
    WORKER_COLUMNS,
    GapBucket,
    Request,
    WorkerReport,
)

_RECENT = 500
_LOT = 20
_MAX_CREDIBLE_STEP_MS = 50.0
_MAX_CPU_PERCENT = 90.0
_MAX_LAG_MS = 50.0


@dataclass(slots=True)
class WorkerState:
    """What the master knows of one worker by its last report."""

    name: str
    host: str = ""
    reported_at: float = 0.0
    """When its last report was sent, in the master's clock."""
    in_flight: int = 0
    oldest_start: float | None = None
    rows: Counter[str] = field(default_factory=Counter)
    """Rows received per step."""
    counts: dict[str, Counts] = field(default_factory=dict)


@dataclass(slots=True)
class StepTally:
    """Rows of one step received so far, and the recent ones for the display."""

    ok: int = 0
    failed: int = 0
    censored: int = 0
    recent: deque[tuple[float, Request]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """(when it ended, row) of the last ok ones."""
    window: tuple[float, float] | None = None
    errors: Counter[str] = field(default_factory=Counter)
    """Failures by what was said of them."""
    measured_ok: int = 0
    """Ok requests that started since the window opened."""

    def rates(self, now: float, span: float) -> tuple[float | None, float | None]:
        """Requests per minute and completion tokens per second, over the last ``span`` seconds."""
        ended = [(at, row) for at, row in self.recent if at > now - span]
        if not ended or span <= 0:
            return None, None
        if len(self.recent) == _RECENT:  # so many that they do not reach back a whole span
            span = min(span, now - self.recent[0][0])
        tokens = sum(row.completion_tokens or 0 for _, row in ended)
        return len(ended) * 60 / span, tokens / span

    def quantile(self, metric: Literal["ttft_ms", "tpot_ms", "e2e_ms"], share: float) -> float | None:
        """Nearest-rank quantile of a latency over the recent answers, in milliseconds."""
        values = sorted(value for _, row in self.recent if (value := getattr(row, metric)) is not None)
        return values[min(len(values) - 1, int(len(values) * share))] if values else None


class Collector:
    """Takes reports, writes rows, and answers what the steps and the display ask."""

    def __init__(self, folder: Path, experiment_steps: frozenset[str]) -> None:
        self._folder = folder
        self._own_steps = experiment_steps
        self._requests = RowAppender[Request](folder / layout.REQUESTS, REQUEST_COLUMNS)
        self._reports = RowAppender[WorkerReport](folder / layout.WORKERS, WORKER_COLUMNS)
        self.workers: dict[str, WorkerState] = {}
        """By Locust's client id."""
        self.offsets: dict[str, float] = {}
        """Client id → seconds by which its clock is ahead of the master's."""
        self.lost: set[str] = set()
        """Client ids of workers that went away: nobody waits for them."""
        self.steps: dict[str, StepTally] = defaultdict(StepTally)
        self.fatal: Failure | None = None
        """The first failure that no further request can mend."""
        self.clock_steps: list[str] = []
        """Where a clock was set while it measured."""
        self.unwritable: str | None = None
        """What could not be written, in words, once something could not."""
        self._gaps: dict[str, Counter[int]] = defaultdict(Counter)
        self._healths: deque[WorkerReport] = deque(maxlen=10_000)

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Write a file of the run folder; a disk that is full ends the run in order, not the writer."""
        try:
            with writing(self._folder / name):
                yield
        except UserError as error:
            self.unwritable = self.unwritable or str(error)

    def take(self, report: Report) -> None:
        """Write what a report carries."""
        offset = self.offsets.get(report.client_id, 0.0)
        worker = self.workers.setdefault(report.client_id, WorkerState(report.worker))
        sent_at = report.sent_at - offset
        # In small lots: in a local run the load generator must not wait for a file.
        for start in range(0, len(report.rows), _LOT):
            rows = [Request(*row) for row in report.rows[start : start + _LOT]]
            for row in rows:
                row.started_at -= offset
                worker.rows[row.step] += 1
                self._tally(row, sent_at)
            with self.writing(layout.REQUESTS):
                self._requests.append(rows)
            gevent.sleep(0)
        for step, index, count in report.gaps:
            self._gaps[step][index] += count
        if report.samples:
            with self.writing(layout.SAMPLES):
                append_jsonl(self._folder / layout.SAMPLES, report.samples)
        if report.health is not None:
            self._health(report, sent_at)
        # Last of all: who reads these may rely on the rows being there.
        worker.host, worker.in_flight, worker.reported_at = report.host, report.in_flight, sent_at
        worker.oldest_start = None if report.oldest_start is None else report.oldest_start - offset
        worker.counts = {step: Counts(*counts) for step, counts in report.counts.items()}

    def _tally(self, row: Request, now: float) -> None:
        tally = self.steps[row.step]
        match row.outcome:
            case "ok":
                tally.ok += 1
                tally.recent.append((min(now, row.started_at + (row.e2e_ms or 0) / 1000), row))
                if tally.window and tally.window[0] <= row.started_at < tally.window[1]:
                    tally.measured_ok += 1
            case "failed":
                tally.failed += 1
                tally.errors[row.error_detail or row.error_class or "failed"] += 1
                if row.error_class in STOPS_RUN and self.fatal is None:
                    self.fatal = Failure(row.error_class, row.error_detail or row.error_class)
            case "censored":
                tally.censored += 1

    def _health(self, report: Report, reported_at: float) -> None:
        health = dict(report.health or {})
        moved = health.pop("clock_step_ms")
        if abs(moved) > _MAX_CREDIBLE_STEP_MS:
            self.clock_steps.append(f"the clock of {report.worker} was set by {moved:.0f} ms")
        row = WorkerReport(
            worker=report.worker,
            host=report.host,
            reported_at=reported_at,
            step=report.step,
            users=report.users,
            in_flight=report.in_flight,
            **health,
        )
        with self.writing(layout.WORKERS):
            self._reports.append([row])
        self._healths.append(row)

    def client_limits(self, window: tuple[float, float]) -> tuple[list[str], list[str]]:
        """Whether a load generator was the bottleneck of a window: what spoils it, and what only blurs it."""
        spoils, blurs = [], []
        seen: dict[str, list[WorkerReport]] = defaultdict(list)
        for row in self._healths:
            if window[0] <= row.reported_at <= window[1]:
                seen[row.worker].append(row)
        for worker, reports in seen.items():
            cpu = sum(row.cpu_percent for row in reports) / len(reports)
            if cpu > _MAX_CPU_PERCENT:
                spoils.append(f"client-limited: {worker} used {cpu:.0f} % of its core")
            lags = sorted(lag for row in reports if (lag := row.clock_lag_p99_ms) is not None)
            if lags and lags[len(lags) // 2] > _MAX_LAG_MS:
                blurs.append(f"{worker} read answers up to {lags[len(lags) // 2]:.0f} ms late (p99)")
        return spoils, blurs

    def settled(self, moment: float, clients: AbstractSet[str]) -> bool:
        """Whether none of these workers still has a request in flight that started before ``moment``."""
        return all(
            worker.reported_at > moment and (worker.oldest_start is None or worker.oldest_start >= moment)
            for client, worker in self.workers.items()
            if client in clients
        )

    @property
    def in_flight(self) -> int:
        """Requests in flight, by the last reports."""
        return sum(worker.in_flight for client, worker in self.workers.items() if client not in self.lost)

    def counts(self, step: str) -> Counts:
        """Requests of a step by the workers' own books."""
        total = Counts()
        for worker in self.workers.values():
            if (counts := worker.counts.get(step)) is not None:
                total.started += counts.started
                total.ok += counts.ok
                total.failed += counts.failed
                total.censored += counts.censored
        return total

    def missing(self, step: str) -> list[str]:
        """Per worker, what its book holds of a step and its rows do not, in words."""
        reasons = []
        for worker in self.workers.values():
            counts = worker.counts.get(step, Counts())
            if counts.started != counts.ended:
                reasons.append(f"{worker.name}: {counts.started - counts.ended} requests without an end")
            if worker.rows[step] != counts.ended:
                reasons.append(f"{worker.name}: {counts.ended - worker.rows[step]} rows did not arrive")
        return reasons

    def save_gaps(self) -> None:
        """Write ``gaps.csv``, keeping the rows of other experiments."""
        path = self._folder / layout.GAPS
        rows = [row for row in read_rows(path, GapBucket) if row.step not in self._own_steps]
        for step, counter in self._gaps.items():
            rows += [gaps.bucket(step, index, counter[index]) for index in sorted(counter)]
        with self.writing(layout.GAPS):
            replace_rows(path, GAP_COLUMNS, rows)

    def close(self) -> None:
        """No more rows come."""
        self.save_gaps()
        for name, file in ((layout.REQUESTS, self._requests), (layout.WORKERS, self._reports)):
            with self.writing(name):
                file.close()
