"""Plays one step: ramp → warm-up → measure → tail."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from common.exit_codes import ExitCode
from configs.experiment import Experiment, Step
from configs.shape import UserRamp
from locustfiles.master.abort_conditions import AbortConditions
from locustfiles.master.clock import Clock, ClockReading
from locustfiles.master.command_reader import CommandReader
from locustfiles.master.open_loop import OpenLoop
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_checks import PlayedStep, check_step
from locustfiles.master.step_table import StepTable
from locustfiles.master.step_workers import StepWorkers
from locustfiles.master.user_ramp import ramp_changes, ramp_pieces
from locustfiles.master.worker_group import RunEndedError, WorkerGroup
from locustfiles.messages import MeasureWindow
from runfolder.records import StepRow

_POLL_S = 0.05
_ACK_S = 10.0
_REPORT_GRACE_S = 10.0
_NOT_READY_S = 900.0
"""For an endpoint that reports that it has no capacity yet: it must start an instance and load a model."""


@dataclass(frozen=True)
class LoadParts:
    """What plays a load together."""

    experiment: Experiment
    group: WorkerGroup
    collector: ReportCollector
    clock: Clock
    table: StepTable
    board: StatusBoard
    aborts: AbortConditions
    commands: CommandReader
    open_loop: OpenLoop | None


class StepPlayer:
    """Plays the steps that it is given one after the other; the load never drops between them."""

    def __init__(self, parts: LoadParts) -> None:
        self._load = parts.experiment.load
        self._group = parts.group
        self._collector = parts.collector
        self._clock = parts.clock
        self._table = parts.table
        self._board = parts.board
        self._aborts = parts.aborts
        self._commands = parts.commands
        self._open_loop = parts.open_loop
        self._step_workers = StepWorkers(parts.group, parts.clock)
        self._users = 0
        self._unfinished: list[PlayedStep] = []
        """Steps whose requests may still be in flight: in a shape, the next piece follows at once."""
        self._follows: float | None = None
        """When the last window ended, if the next step follows at once."""
        self._step: Step | None = None
        """The current step."""

    @property
    def longest_request_s(self) -> float:
        """The longest time that a request may take."""
        return self._load.timeouts.connect + self._load.timeouts.total

    def play(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        """Play a step; yields ``(users, spawn rate)`` whenever Locust is to change the number of users."""
        status = self._board.status
        follows = self._follows is not None
        self.wait(lambda: self._step_workers.are_back(at_once=follows), float("inf"))
        self._step = step
        status.step, status.ordinal = step.id, row.ordinal
        status.target = None if step.concurrency is None else step.first_users
        status.rate = row.rate
        self._board.note_reach(None)
        row.state, row.announced_at = "running", self._clock.time()
        self._table.add_reasons(row, self._step_workers.begin_step())
        row.workers = len(self._step_workers.workers)
        self._collector.lost = self._step_workers.lost
        self._board.enter("ramp")
        self._table.save()
        if self._users and step.concurrency is None:  # no user of a closed loop may send in this step
            yield from self._ramp(row, 0)
        self._announce(step, row)
        yield from self._reach(step, row) if self._follows is None else self._continue(step, row)
        opened = ClockReading.of(self._clock)
        window = yield from self._measure(step, row, self._follows or opened.wall)
        self._unfinished.append(PlayedStep(step, row, window, opened))
        self._follows = window.end if step.continues else None
        if not step.continues:
            self._wait_for_tail(window)
            self._finish_steps(stop=True)

    def _reach(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        """Ramp and warm up."""
        if step.concurrency is not None:
            yield from self._ramp(row, step.first_users)
        self._warm_up(step, row)
        while self._waited_until_ready():
            self._warm_up(step, row)
        self._aborts.check_any_answered()

    def _warm_up(self, step: Step, row: StepRow) -> None:
        if self._open_loop is not None and step.concurrency is None:
            begins = self._open_loop.begin(step)
            if row.ramped_at is None:  # otherwise the endpoint was not ready, and it begins anew
                row.announced_at = begins
            self.wait(lambda: self._clock.time() >= begins, self.longest_request_s)
        row.ramped_at = row.ramped_at or self._clock.time()
        self._table.save()
        self._board.enter("warm_up", self._load.warm_up_s)
        self.wait(lambda: self._commands.is_warm(row.ordinal), self._load.warm_up_s)

    def _continue(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        """Go on with the next piece of a shape at once."""
        if self._open_loop is not None:
            self._open_loop.continue_with(step)
        elif step.concurrency is not None and (change := step.first_users - self._users):
            self._users = step.first_users
            yield self._users, float(abs(change))
        row.ramped_at = self._clock.time()

    def _wait_for_tail(self, window: MeasureWindow) -> None:
        """Keep the load up until the last request of the window has ended."""
        self._board.enter("tail")
        if not self.wait(lambda: self._all_ended(window), self.longest_request_s + _REPORT_GRACE_S):
            for played in self._unfinished:
                if not self._all_ended(played.window):
                    text = "not every measured request ended"
                    self._table.add_reason(played.row, "unfinished_requests", text)

    def _all_ended(self, window: MeasureWindow) -> bool:
        return self._collector.all_ended_before(window.end, set(self._step_workers.workers))

    def _finish_steps(self, *, stop: bool) -> None:
        """Check the steps whose requests have ended.

        Args:
            stop: whether the load of the last one is over; then all of them are checked.
        """
        tail_ended_at = self._clock.time()
        if self._open_loop is not None and stop and self._load.search is None:
            tail_ended_at = max(tail_ended_at, self._open_loop.stop())
        ended = ClockReading.of(self._clock)
        over = [played for played in self._unfinished if stop or self._all_ended(played.window)]
        for played in over:
            self._unfinished.remove(played)
            step, row, window, opened = played
            row.state, row.tail_ended_at = "complete", tail_ended_at
            findings = check_step(self._group, self._collector, window, opened, ended)
            self._table.add_reasons(row, findings.degrading)
            saturation = self._open_loop.findings(step) if self._open_loop is not None else []
            self._table.add_info(row, [*saturation, *findings.informational])
        if over:
            self._collector.save_gaps()
            self._table.save()

    def _announce(self, step: Step, row: StepRow) -> None:
        self._group.announce(step)
        expected = dict(self._step_workers.workers)
        if not self.wait(lambda: set(expected) <= self._group.acknowledged(step), _ACK_S):
            silent = set(expected) - self._group.acknowledged(step)
            names = ", ".join(sorted(expected[client] for client in silent))
            self._table.add_reason(row, "unacknowledged", f"{names} did not acknowledge the step")

    def _ramp(self, row: StepRow, target: int) -> Iterator[tuple[int, float]]:
        """Start or end users until there are so many."""
        for users, rate in ramp_pieces(self._users, target, self._load.spawn_rate):
            self._check_run()
            self._users = users
            yield users, rate
        if self._group.user_count < target == self._users:
            # Locust starts the users of a lost worker anew only when it is told another rate than last time.
            yield target, target + 0.5
        # A user above the target leaves only when its request has ended.
        if not self.wait(lambda: self._group.user_count == target, self.longest_request_s):
            running = f"{self._group.user_count} of {target} users were running"
            self._table.add_reason(row, "too_few_users", running)

    def _measure(
        self, step: Step, row: StepRow, opened: float
    ) -> Generator[tuple[int, float], None, MeasureWindow]:
        """Open the window, and close it when enough requests were measured or its time is over.

        The planned end and the end are saved as soon as they are known, so that the window's rows can be
        evaluated whatever happens later.
        """
        tally = self._collector.steps[step.id]
        row.measure_started_at = opened
        row.measure_planned_end_at = planned_end = self._planned_end(step, opened)
        seconds = max(0.0, planned_end - self._clock.time())
        deadline = self._clock.monotonic() + seconds
        self._collector.open_window(step.id, opened)
        self._board.enter("measure", seconds)
        self._table.save()
        enough = self._load.min_requests

        def over() -> bool:
            self._finish_steps(stop=False)
            self._board.note_reach(self._commands.at(row.ordinal))
            if self._commands.is_closed(row.ordinal):
                return True
            if enough is not None and tally.measured_ok >= enough:
                return True
            return self._open_loop is not None and self._open_loop.is_saturated(opened)

        if step.piece is not None and step.piece.users is not None:
            yield from self._follow_ramp(step.piece.users, step.piece.seconds, deadline, over)
        self.wait(over, deadline - self._clock.monotonic())
        # The window of a piece ends on time, so that its arrivals are those that were planned.
        end = self._clock.time() if step.piece is None else min(planned_end, self._clock.time())
        return self._close_window(step, row, end)

    def _follow_ramp(
        self, ramp: UserRamp, seconds: float, deadline: float, over: Callable[[], bool]
    ) -> Iterator[tuple[int, float]]:
        """Change the number of users during a piece of a shape that ends at ``deadline``."""
        status = self._board.status
        for after_s, users in ramp_changes(ramp, seconds):
            if self.wait(over, deadline - seconds + after_s - self._clock.monotonic()):
                return
            change, self._users, status.target = abs(users - self._users), users, users
            yield users, float(change)

    def _planned_end(self, step: Step, opened: float) -> float:
        if self._open_loop is not None:
            return self._open_loop.planned_end(step, opened)
        return opened + (self._load.measure_s if step.piece is None else step.piece.seconds)

    def _close_window(self, step: Step, row: StepRow, end: float) -> MeasureWindow:
        row.measure_ended_at = end
        window = MeasureWindow(row.measure_started_at or end, end)
        self._collector.close_window(step.id, end)
        self._table.save()
        self._group.send_window(step, window)
        return window

    def _waited_until_ready(self) -> bool:
        """Wait for an endpoint that scales from zero; False if it was ready.

        Raises:
            RunEndedError: the endpoint answered no request within the time limit.
        """
        if (reason := self._collector.not_ready) is None:
            return False
        minutes = f"{_NOT_READY_S / 60:.0f} min"
        self._board.status.message = f"waiting up to {minutes} for the endpoint to become ready: {reason}"
        if not self.wait(lambda: self._collector.not_ready is None, _NOT_READY_S):
            raise RunEndedError(ExitCode.REFUSED, f"the endpoint was not ready within {minutes}: {reason}")
        self._board.status.message = ""
        return True

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; False when ``seconds`` have passed without it.

        Raises:
            RunEndedError: the run was interrupted, or a failure ends it.
        """
        deadline = self._clock.monotonic() + seconds
        while not condition():
            self._check_run()
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._clock.sleep(min(_POLL_S, left))
        return True

    def _check_run(self) -> None:
        self._aborts.check()
        if self._open_loop is not None:
            self._open_loop.hand_out(self._step_workers.workers)
        self._step_workers.check_reachable()
        if self._board.status.ordinal:
            row = self._table.rows[self._board.status.ordinal - 1]
            self._table.add_reasons(row, self._step_workers.changes())

    def close_open_window(self, row: StepRow) -> None:
        """Close the window of a step that is cut short: the report shows what was measured until now."""
        if self._step is not None and row.measure_started_at is not None and row.measure_ended_at is None:
            self._close_window(self._step, row, self._clock.time())
