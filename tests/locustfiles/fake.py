"""The step protocol without Locust, without processes and without time: a clock whose hands a test turns."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.experiment import Step
from locustfiles.interrupts import Interrupts
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.step_sequence import StepSequence
from locustfiles.messages import Arrival, Ending, ReportMessage
from runfolder.records import REQUEST_COLUMNS, ErrorClass, Request
from tests.locustfiles.runs import experiment, rows_of

START = 1_700_000_000.0
REPORT_S = 0.5


class ManualClock:
    """Goes on only while somebody sleeps, and does then what is due."""

    def __init__(self) -> None:
        self._steady = 1000.0
        self._asleep = 0.0
        self._set_by = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return START + self._steady + self._asleep + self._set_by

    def monotonic(self) -> float:
        return self._steady

    def asleep(self) -> float:
        return self._asleep

    def sleep(self, seconds: float) -> None:
        end = self._steady + seconds
        while self._due and self._due[0][0] <= end:
            at, _, action = heapq.heappop(self._due)
            self._steady = max(self._steady, at)
            action()
        self._steady = max(self._steady, end)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._due, (self._steady + seconds, next(self._order), action))

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the wall clock is ahead when it wakes up."""
        self._asleep += seconds

    def stall(self, seconds: float) -> None:
        """Nothing runs, as after SIGSTOP of everything: what was due meanwhile comes late."""
        self._steady += seconds

    def set_by(self, seconds: float) -> None:
        self._set_by += seconds


@dataclass
class FakeWorker:
    """Answers a request in 100 ms, or fails it, and reports twice a second."""

    client: str
    name: str
    live: bool = True
    frozen: bool = False
    acknowledges: bool = True
    finishes: bool = True
    failing: ErrorClass | None = None
    detail: str = "scripted"
    stuck_since: float | None = None
    """A request in flight that does not end."""
    reports: int = 0
    rows: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)
    arrivals: list[tuple[str, Arrival]] = field(default_factory=list)
    """In an open loop, what it was given and has no row yet."""
    per_report: float = float("inf")
    """The most arrivals that are answered between two reports; the others stay in flight."""
    ttft_grows_ms: float = 0.0
    """From one report to the next, of arrivals."""


class FakeWorkerGroup:
    """What the steps see of Locust and of the workers (`locustfiles.master.worker_group.WorkerGroup`)."""

    def __init__(self, clock: ManualClock, workers: int = 2) -> None:
        self.clock = clock
        self.workers = [FakeWorker(f"c{n}", f"w{n}") for n in range(workers)]
        self.collector: ReportCollector | None = None
        self.users = 0
        self.step: str | None = None
        self.asked_to_finish: list[Ending] = []
        self.windows: list[tuple[str, tuple[float, float]]] = []
        self.calls: list[str] = []
        self.unready: dict[str, str | None] = {}
        self.breaks: dict[str, Exception] = {}
        """Name of a method → what it raises."""
        self.given: list[tuple[str, str, Arrival]] = []
        """Client id, step and arrival of everything that was handed out."""
        self.max_in_flight = 0
        self.answer_ms: Callable[[int], float] = lambda _: 100.0
        """Number of users → the time of an answer, up to the half second between two reports."""
        self.invents = 0
        """Requests that Locust counts and no row tells of."""

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.breaks:
            raise self.breaks[name]

    @property
    def user_count(self) -> int:
        return self.users

    def live_workers(self) -> dict[str, str]:
        return {worker.client: worker.name for worker in self.workers if worker.live}

    def unready_workers(self) -> dict[str, str | None]:
        return self.unready

    def proxies(self) -> list[str]:
        return []

    def announce(self, step: Step) -> None:
        self._note("announce")
        self.step = step.id

    def acknowledged(self, step: Step) -> set[str]:
        return {worker.client for worker in self.workers if worker.acknowledges and self.step == step.id}

    def send_arrivals(self, client: str, step: Step, arrivals: list[Arrival], max_in_flight: int) -> None:
        self._note("send_arrivals")
        self.given += [(client, step.id, arrival) for arrival in arrivals]
        self.max_in_flight = max_in_flight
        worker = next(worker for worker in self.workers if worker.client == client)
        worker.arrivals += [(step.id, arrival) for arrival in arrivals]

    def send_window(self, step: Step, window: tuple[float, float]) -> None:
        self._note("send_window")
        self.windows.append((step.id, window))

    def finish(self, ending: Ending, timeout: float, until: float) -> None:  # noqa: ARG002 - the protocol's
        self._note("finish")
        self.asked_to_finish.append(ending)

    def finished(self) -> set[str]:
        return {w.client for w in self.workers if self.asked_to_finish and w.finishes and not w.frozen}

    def locust_counts(self, step: str) -> tuple[int, int]:
        self._note("locust_counts")
        assert self.collector is not None
        tally = self.collector.steps[step]
        unanswered = tally.failed + tally.censored + tally.withheld
        return tally.ok + unanswered + self.invents, unanswered

    def files_written(self) -> bool:
        return True

    def report(self, worker: FakeWorker) -> None:
        """One report, with what each of its users did since the last one; comes again half a second later."""
        if worker.live:
            self.clock.at(REPORT_S, lambda: self.report(worker))
        if worker.live and not worker.frozen and self.collector is not None:
            self.collector.handle_report(self.report_of(worker))

    def report_of(self, worker: FakeWorker) -> ReportMessage:
        now = self.clock.time()
        worker.reports += 1
        rows: list[Request] = []
        answer_ms = self.answer_ms(self.users)
        for number in range(self.users if self.step else 0):
            row = Request(f"{worker.name}-{worker.reports}-{number}", self.step or "", worker.name, "p1", 0.0)
            row.started_at, row.elapsed_ms = now - 0.1 - answer_ms / 1000, answer_ms
            counts = worker.counts.setdefault(row.step, [0, 0, 0, 0, 0])
            counts[0] += 1
            if worker.failing is None:
                row.e2e_ms, row.ttft_ms, row.tpot_ms, row.completion_tokens = answer_ms, 20.0 + number, 5.0, 8
                counts[1] += 1
            else:
                row.outcome, row.error_class, row.error_detail = "failed", worker.failing, worker.detail
                counts[2] += 1
            rows.append(row)
        due = [entry for entry in worker.arrivals if entry[1].at <= now - 0.1]
        for step, arrival in due[: int(min(worker.per_report, len(due)))]:
            worker.arrivals.remove((step, arrival))
            row = Request(f"{worker.name}-{arrival.number}", step, worker.name, "p1", arrival.at, 0.0)
            waited_ms = 100.0 if worker.per_report == float("inf") else 1000 * (now - arrival.at)
            row.arrival, row.elapsed_ms, row.e2e_ms = arrival.number, waited_ms, waited_ms
            row.ttft_ms = 20.0 + worker.ttft_grows_ms * worker.reports
            counts = worker.counts.setdefault(step, [0, 0, 0, 0, 0])
            counts[0], counts[1] = counts[0] + 1, counts[1] + 1
            rows.append(row)
        worker.rows += len(rows)
        waiting = [arrival.at for _, arrival in worker.arrivals if arrival.at <= now]
        return ReportMessage(
            worker=worker.name, client_id=worker.client, number=worker.reports, host="h", sent_at=now,
            step=self.step, users=self.users, in_flight=len(waiting),
            oldest_start=min(waiting, default=worker.stuck_since),
            first_row=worker.rows - len(rows) + 1,
            rows=[[getattr(row, column) for column in REQUEST_COLUMNS] for row in rows],
            gaps=[], samples=[], health=None,
            counts={step: (a, b, c, d, e) for step, (a, b, c, d, e) in worker.counts.items()},
        )  # fmt: skip


class Play:
    """One experiment, played against fakes."""

    def __init__(
        self, folder: Path, concurrency: tuple[int, ...] | None = (2, 4), workers: int = 2, **load: Any
    ) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.group = FakeWorkerGroup(self.clock, workers)
        load = {"warm_up": 2.0, "measure": 20.0} | load
        self.experiment = experiment(folder, concurrency, load=load)
        steps = frozenset(step.id for step in self.experiment.steps)
        self.collector = self.group.collector = ReportCollector(folder, steps, self.clock)
        self.interrupts = Interrupts()
        self.sequence = StepSequence(self.experiment, self.group, self.collector, self.interrupts, self.clock)
        self._schedule: dict[str, list[tuple[float, Callable[[], None]]]] = {}
        self._watch()
        for worker in self.group.workers:
            self.group.report(worker)

    def during(self, phase: str, action: Callable[[], None], after: float = 0.2) -> None:
        """Do something so many seconds after a phase of the run has begun for the first time."""
        self._schedule.setdefault(phase, []).append((after, action))

    def _watch(self) -> None:
        for after, action in self._schedule.pop(self.sequence.status.phase, []):
            self.clock.at(after, action)
        self.clock.at(0.05, self._watch)

    def __call__(self) -> int:
        """Play it to its end; the exit code."""
        for users, _rate in self.sequence.play():
            self.group.users = users
            self.clock.sleep(1.0)
        return self.sequence.exit_code

    def steps(self) -> list[dict[str, str]]:
        return rows_of(self.folder / "steps.csv")

    def states(self) -> list[str]:
        return [step["state"] for step in self.steps()]

    def codes(self, ordinal: int = 1) -> list[str]:
        return [code for code in self.steps()[ordinal - 1]["reason_codes"].split(";") if code]


def floats(row: dict[str, str], *names: str) -> list[float]:
    """Cells of a row as numbers."""
    return [float(row[name]) for name in names]
