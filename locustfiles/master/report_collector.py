"""Receives the workers' reports and appends their rows to the run folder."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import gevent

from common.errors import UserError, writing
from common.formatting import plural
from locustfiles.client.error_classes import STOPS_RUN, Failure
from locustfiles.master.circuit_breaker import CircuitBreaker
from locustfiles.master.clock import Clock, SystemClock
from locustfiles.master.live_series import LiveSeries
from locustfiles.master.step_tally import StepTally
from locustfiles.master.worker_clocks import WorkerClocks
from locustfiles.master.worker_group import StepReason
from locustfiles.master.worker_state import REPORT_S, WorkerState
from locustfiles.messages import Counts, MeasureWindow, RecoveredMessage, ReportMessage, WorkerHealth
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

ROWS_PER_PAUSE = 20
"""In a local run, whose load must not wait for a file."""
MASTER_ROWS_PER_PAUSE = 500
"""On a master, which has no load: 20 ms at most, and few pauses."""
_PAUSE_S = 0.001
_MAX_CREDIBLE_STEP_MS = 50.0


class ReportCollector:
    """Receives reports, writes rows, and provides what the step sequence and the displays need."""

    def __init__(
        self,
        folder: Path,
        experiment_steps: frozenset[str],
        clock: Clock | None = None,
        live: LiveSeries | None = None,
        rows_per_pause: int = ROWS_PER_PAUSE,
    ) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self.live = live or LiveSeries()
        """The figures over time."""
        self._own_steps = set(experiment_steps)
        self._rows_per_pause = rows_per_pause
        self._since_pause = 0
        self._requests = RowAppender[Request](folder / layout.REQUESTS, REQUEST_COLUMNS)
        self._reports = RowAppender[WorkerReport](folder / layout.WORKERS, WORKER_COLUMNS)
        self.workers: dict[str, WorkerState] = {}
        """By Locust's client id."""
        self.clocks = WorkerClocks()
        self.lost: set[str] = set()
        """Client ids of workers that were lost: nothing waits for them."""
        self.steps: dict[str, StepTally] = defaultdict(StepTally)
        self._windows: list[StepTally] = []
        """Of the last window, and before it of those that it follows without a pause."""
        self.breaker = CircuitBreaker()
        self.dropped: Counter[str] = Counter()
        """Messages that were dropped, by reason."""
        self.fatal: Failure | None = None
        """The first failure that no further request can cure."""
        self.not_ready: str | None = None
        """The endpoint's message while it is not ready; None once a request was answered."""
        self.clock_steps: list[tuple[float, str]] = []
        """When a worker's clock was set, and a text about it."""
        self.unwritable: UserError | None = None
        """The first error in writing a file of the run folder."""
        self.on_row: Callable[[Request], None] = lambda _: None
        """Called for every row."""
        self._gaps: dict[str, Counter[int]] = defaultdict(Counter)
        self.healths: deque[WorkerReport] = deque(maxlen=10_000)
        """The newest reports on the health of the workers."""

    @property
    def offsets(self) -> dict[str, float]:
        """Client id → seconds by which its clock is ahead of the master's."""
        return self.clocks.offsets

    def add_step(self, step: str) -> None:
        """Accept the rows of a step that was not planned."""
        self._own_steps.add(step)

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Write a file of the run folder. An error is kept and ends the run in order later."""
        try:
            with writing(self._folder / name):
                yield
        except UserError as error:
            self.unwritable = self.unwritable or error

    def handle_report(self, report: ReportMessage) -> None:
        """Write the rows of a report. A report that arrives twice is dropped."""
        worker = self.workers.setdefault(report.client_id, WorkerState(report.worker))
        if report.number in worker.reports:
            self.dropped["arrived twice"] += 1
            return
        newest = report.number > worker.reports.last
        worker.reports.add(report.number)
        worker.row_numbers.add(report.first_row, report.first_row + len(report.rows) - 1)
        offset = self.offsets.get(report.client_id, 0.0)
        sent_at = report.sent_at - offset
        self._write_rows(report, worker, sent_at, offset)
        for step, index, count in report.gaps:
            if step in self._own_steps:
                self._gaps[step][index] += count
        if report.samples:
            with self.writing(layout.SAMPLES):
                append_jsonl(self._folder / layout.SAMPLES, report.samples)
        if report.health is not None:
            self._handle_health(report, report.health, sent_at)
        if newest:  # last, so that whatever reads these values can rely on the rows being there
            worker.take_state(report, sent_at, offset)

    def handle_recovered(self, message: RecoveredMessage) -> None:
        """Write rows of a worker that was killed, from its disk, which have not arrived before."""
        worker = self.workers.setdefault(message.killed, WorkerState(message.worker))
        offset = self.offsets.get(message.killed, message.offset)
        rows: list[Request] = []
        for number, started, values in message.rows:
            row = Request(*values)
            if number not in worker.row_numbers and row.step in self._own_steps:
                worker.row_numbers.add(number)
                row.started_at -= offset
                worker.rows[row.step] += 1
                worker.count_recovered(number, started, row)
                rows.append(row)
        self.add_rows(rows, self._clock.time())

    def _write_rows(self, report: ReportMessage, worker: WorkerState, sent_at: float, offset: float) -> None:
        size = self._rows_per_pause
        for start in range(0, len(report.rows), size):
            rows = [Request(*row) for row in report.rows[start : start + size]]
            own_rows = [row for row in rows if row.step in self._own_steps]
            self.dropped["row of an unknown step"] += len(rows) - len(own_rows)
            for row in own_rows:
                row.started_at -= offset
                worker.rows[row.step] += 1
            self.add_rows(own_rows, sent_at)
            self._since_pause += len(rows)
            if self._since_pause >= size:
                self._since_pause = 0
                gevent.sleep(_PAUSE_S)  # with 0, gevent would go on for up to 5 ms without looking at sockets

    def add_rows(self, rows: list[Request], now: float) -> None:
        """Count and write rows whose times are in the master's clock."""
        for row in rows:
            self._tally(row, now)
            self.live.add(row, now)
            self.on_row(row)
        with self.writing(layout.REQUESTS):
            self._requests.append(rows)

    def open_window(self, step: str, start: float) -> None:
        """Open a step's measure window."""
        tally = self.steps[step]
        if self._windows and (before := self._windows[-1].window) is not None and before.end < start:
            self._windows.clear()
        tally.window = MeasureWindow(start, float("inf"))
        self._windows.append(tally)

    def close_window(self, step: str, end: float) -> None:
        """Close a step's measure window: what ends at ``end`` or later is outside."""
        tally = self.steps[step]
        if tally.window is not None:
            tally.window = tally.window._replace(end=end)

    def _tally(self, row: Request, now: float) -> None:
        tally = self.steps[row.step]
        match row.outcome:
            case "ok":
                seconds = (row.e2e_ms or 0.0) / 1000
                ended_at = min(now, row.started_at + seconds)
                self.breaker.record_success(seconds)
                self.not_ready = None
                tally.add_ok(row, ended_at)
                for own in reversed(self._windows):
                    own.add_to_window(row, ended_at)
                    if own.window is not None and own.window.start <= row.started_at:
                        break  # those before it ended earlier
            case "failed":
                tally.add_failed(row)
                detail = row.error_detail or row.error_class or "failed"
                tally.errors[detail] += 1
                if row.error_class == "not_ready" and not any(tally.ok for tally in self.steps.values()):
                    self.not_ready = detail  # the step sequence waits for an endpoint that is starting
                else:
                    self.breaker.record_failure(self._clock.monotonic(), detail)
                if row.error_class in STOPS_RUN and self.fatal is None:
                    self.fatal = Failure(row.error_class, detail)
            case "censored":
                tally.censored += 1
            case "withheld":
                tally.withheld += 1

    def _handle_health(self, report: ReportMessage, health: WorkerHealth, reported_at: float) -> None:
        values = asdict(health)
        moved: float = values.pop("clock_step_ms")
        if abs(moved) > _MAX_CREDIBLE_STEP_MS:
            self.clock_steps.append((reported_at, f"the clock of {report.worker} was set by {moved:.0f} ms"))
        clock = self.clocks.measured.get(report.client_id)
        row = WorkerReport(
            worker=report.worker,
            host=report.host,
            reported_at=reported_at,
            step=report.step,
            users=report.users,
            in_flight=report.in_flight,
            **values,
            clock_offset_ms=None if clock is None else clock.ahead * 1000,
            clock_error_ms=None if clock is None else clock.error * 1000,
        )
        with self.writing(layout.WORKERS):
            self._reports.append([row])
        self.healths.append(row)
        self.live.workers[row.worker] = row

    def silent_workers(
        self, window: MeasureWindow, until: float, clients: AbstractSet[str]
    ) -> list[StepReason]:
        """Workers that did not report for so long that it is not known what they did.

        The limit is a twentieth of the window, at least one second and at most five, plus the time between
        two reports. A machine that was suspended and a process that was stopped show in the same way.

        Args:
            window: the measure window.
            until: when the last request of the window ended.
            clients: ids of the workers to check.
        """
        limit = max(1.0, min(5.0, (window.end - window.start) / 20)) + REPORT_S
        reasons: list[StepReason] = []
        for client in clients:
            worker = self.workers.get(client, WorkerState(client))
            silences = [*worker.silences, (worker.reported_at, until)]
            longest = max(min(end, until) - max(start, window.start) for start, end in silences)
            if longest > limit:
                reasons.append(
                    StepReason("worker_silent", f"{worker.name} did not report for {longest:.1f} s")
                )
        return reasons

    @property
    def reported_until(self) -> float:
        """Time up to which all workers have reported; 0 if none has."""
        present = [w.reported_at for client, w in self.workers.items() if client not in self.lost]
        return min(present, default=0.0)

    def all_ended_before(self, moment: float, clients: AbstractSet[str]) -> bool:
        """Whether all requests of these workers that started before ``moment`` have ended."""
        workers = [self.workers[client] for client in clients if client in self.workers]
        return len(workers) == len(clients) and all(
            worker.reported_at > moment and (worker.oldest_start is None or worker.oldest_start >= moment)
            for worker in workers
        )

    @property
    def settled_until(self) -> float | None:
        """Time before which every request that started has ended; None while a worker has not reported."""
        present = [worker for client, worker in self.workers.items() if client not in self.lost]
        if not present or not all(worker.reported_at for worker in present):
            return None
        return min(
            w.reported_at if w.oldest_start is None else min(w.reported_at, w.oldest_start) for w in present
        )

    @property
    def in_flight(self) -> int:
        """Requests in flight according to the last reports."""
        return sum(worker.in_flight for client, worker in self.workers.items() if client not in self.lost)

    def counts(self, step: str) -> Counts:
        """Requests of a step according to the workers' request logs."""
        total = Counts()
        for worker in self.workers.values():
            if (counts := worker.counts.get(step)) is not None:
                total.started += counts.started
                total.ok += counts.ok
                total.failed += counts.failed
                total.censored += counts.censored
                total.withheld += counts.withheld
        return total

    def count_mismatches(self, step: str) -> list[StepReason]:
        """For each worker, requests in its log that have no row here."""
        reasons: list[StepReason] = []
        for worker in self.workers.values():
            counts = worker.counts.get(step, Counts())
            if counts.started != counts.ended:
                text = f"{worker.name}: {counts.started - counts.ended} requests never ended"
                reasons.append(StepReason("requests_without_end", text))
            if worker.rows[step] != counts.ended:
                text = f"{worker.name}: {counts.ended - worker.rows[step]} rows did not arrive"
                reasons.append(StepReason("rows_missing", text))
        return reasons

    def recovered_rows(self, step: str) -> list[StepReason]:
        """For each worker that was killed, the rows that came from its disk."""
        return [
            StepReason("rows_recovered", f"{plural(rows, 'row')} of {worker.name} came from its disk")
            for worker in self.workers.values()
            if (rows := worker.recovered[step])
        ]

    def save_gaps(self) -> None:
        """Write ``gaps.csv``, keeping the rows of other experiments."""
        path = self._folder / layout.GAPS
        rows = [row for row in read_rows(path, GapBucket) if row.step not in self._own_steps]
        for step, counter in self._gaps.items():
            rows += [GapBucket.at(step, index, counter[index]) for index in sorted(counter)]
        with self.writing(layout.GAPS):
            replace_rows(path, GAP_COLUMNS, rows)

    def close(self) -> None:
        """Write what is left and close the files."""
        self.save_gaps()
        for name, file in ((layout.REQUESTS, self._requests), (layout.WORKERS, self._reports)):
            with self.writing(name):
                file.close()
