"""The steps of a run: ramp → warm-up → measure → tail. The load never drops between them.

One generator follows the protocol from top to bottom. It yields ``(users, spawn rate)`` whenever Locust is to
change the number of users, and waits for everything else itself.
"""

from collections.abc import Callable, Iterator

import gevent

from common.errors import UserError
from common.exit_codes import ExitCode
from configs.experiment import Experiment, Step
from locustfiles.interrupts import Interrupts
from locustfiles.master.abort_conditions import AbortConditions
from locustfiles.master.clock import Clock, ClockReading, SystemClock
from locustfiles.master.open_loop import OpenLoop
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.run_end import RunEnd
from locustfiles.master.search_steps import SearchSteps
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_checks import PlayedStep, check_step
from locustfiles.master.step_table import StepTable
from locustfiles.master.step_workers import StepWorkers, are_decided, check_ready
from locustfiles.master.user_ramp import ramp_pieces
from locustfiles.master.worker_group import RunEndedError, WorkerGroup, unexpected_end
from locustfiles.messages import Ending, MeasureWindow
from runfolder.records import StepRow

_POLL_S = 0.05
_WORKERS_READY_S = 60.0
_ACK_S = 10.0
_REPORT_GRACE_S = 10.0
_ABORT_S = 2.0
_VERDICT_S = 120.0
"""The longest wait for the next command of a search."""
_NOT_READY_S = 900.0
"""For an endpoint that reports that it has no capacity yet: it must start an instance and load a model."""


class StepSequence:
    """Plays an experiment's steps and keeps ``steps.csv`` and ``status.json`` up to date.

    Args:
        experiment: what to play.
        group: to Locust and the workers.
        collector: receives the workers' reports.
        interrupts: counted by whoever receives them. One ends the run; after a second one nothing waits.
        clock: the time; this machine's by default.
    """

    def __init__(
        self,
        experiment: Experiment,
        group: WorkerGroup,
        collector: ReportCollector,
        interrupts: Interrupts,
        clock: Clock | None = None,
    ) -> None:
        self._experiment = experiment
        self._load = experiment.load
        self._group = group
        self._collector = collector
        self._clock = clock or SystemClock()
        self._table = StepTable(experiment, collector)
        self._step_workers = StepWorkers(group, self._clock)
        self.board = StatusBoard(experiment, group, collector, self._table.rows, self._clock)
        self.status = self.board.status
        self._users = 0
        self._unfinished: list[PlayedStep] = []
        """Steps whose requests may still be in flight: in a shape, the next piece follows at once."""
        self._follows: float | None = None
        """When the last window ended, if the next step follows at once."""
        self._step: Step | None = None
        """The current step."""
        self._search = None
        if experiment.load.search is not None:
            self._search = SearchSteps(experiment.name, experiment.run_folder)
        self._open_loop = None
        if experiment.load.open_loop:
            self._open_loop = OpenLoop(experiment, group, collector, self._clock)
            for step, row in zip(experiment.steps, self._table.rows, strict=True):
                row.rate = self._open_loop.rate(step)
        self._aborts = AbortConditions(experiment, collector, interrupts)
        self._end = RunEnd(
            self.board,
            self._table,
            group,
            collector,
            clock=self._clock,
            interrupts=interrupts,
            open_loop=self._open_loop,
        )
        self.started = False

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the load; it counts as failed until the last step has been played."""
        return self._end.exit_code

    @property
    def _longest_request_s(self) -> float:
        return self._load.timeouts.connect + self._load.timeouts.total

    def play(self) -> Iterator[tuple[int, float]]:
        """Yield ``(users, spawn rate)`` until the last step ends; shut down in order however the run ends."""
        ending: Ending = "abort"
        self.started = True
        try:
            self.board.enter("start")
            self._wait(lambda: are_decided(self._group), _WORKERS_READY_S)
            check_ready(self._group, _WORKERS_READY_S)
            if self._open_loop is not None:
                yield 0, 1.0  # Locust counts a run as running once it has been given a number of users
            for step, row in self._steps():
                if self._open_loop is not None and (reason := self._open_loop.reason_to_skip(step)):
                    self._table.skip(row, reason)
                else:
                    yield from self._play(step, row)
            ending, self._end.exit_code = "drain", ExitCode.OK
        except RunEndedError as end:
            self._end.end_early(self._close_open_window, end)
        except gevent.GreenletExit:
            # Locust itself stops a test that has lost its last worker.
            reason = "stopped by hand" if self._group.live_workers() else "the last worker was lost"
            self._end.end_early(self._close_open_window, RunEndedError(ExitCode.INTERRUPTED, reason))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and reports it
            self._end.end_early(self._close_open_window, unexpected_end(error))
        finally:
            self._end.finish(ending, self._longest_request_s if ending == "drain" else _ABORT_S)

    def _steps(self) -> Iterator[tuple[Step, StepRow]]:
        """The planned steps, or those of a search as it chooses them; the load stays up while it decides.

        Raises:
            RunEndedError: the search does not say what follows.
        """
        yield from zip(self._experiment.steps, list(self._table.rows), strict=True)
        search, rows = self._search, self._table.rows
        if search is None:
            return
        while True:
            if not self._wait(lambda: search.is_over(len(rows)), _VERDICT_S):
                raise RunEndedError(ExitCode.FAILED, "the search did not say how to go on")
            ended = self._clock.time()
            if self._open_loop is not None:
                ended = max(ended, self._open_loop.stop())
            if rows:
                rows[-1].tail_ended_at = ended
            if (step := search.following(len(rows))) is None:
                return
            yield step, self._table.add(step)

    def abandon(self) -> None:
        """End the run before its first step."""
        self._end.set(ExitCode.INTERRUPTED, UserError("interrupted"))
        self._table.mark_unplayed("interrupted")
        self._table.save()
        self._collector.close()
        self._end.show()

    def fail(self, error: Exception) -> None:
        """End the run in order because something beside the steps has failed."""
        self._aborts.failure = self._aborts.failure or unexpected_end(error)

    def _play(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        status = self.status
        self._step = step
        status.step, status.ordinal = step.id, row.ordinal
        status.target, status.rate = step.concurrency, row.rate
        row.state, row.announced_at = "running", self._clock.time()
        self._table.add_reasons(row, self._step_workers.begin_step())
        row.workers = len(self._step_workers.workers)
        self._collector.lost = self._step_workers.lost
        self.board.enter("ramp")
        self._table.save()
        if self._users and step.concurrency is None:  # no user of a closed loop may send in this step
            yield from self._ramp(row, 0)
        self._announce(step, row)
        yield from self._reach(step, row) if self._follows is None else self._continue(step, row)
        opened = ClockReading.of(self._clock)
        window = self._measure(step, row, self._follows or opened.wall)
        self._unfinished.append(PlayedStep(step, row, window, opened))
        self._follows = window.end if step.continues else None
        if not step.continues:
            self._wait_for_tail(window)
            self._finish_steps(stop=True)

    def _reach(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        """Ramp and warm up."""
        if step.concurrency is not None:
            yield from self._ramp(row, step.concurrency)
        self._warm_up(step, row)
        while self._waited_until_ready():
            self._warm_up(step, row)
        self._aborts.check_any_answered()

    def _warm_up(self, step: Step, row: StepRow) -> None:
        if self._open_loop is not None and step.concurrency is None:
            begins = self._open_loop.begin(step)
            if row.ramped_at is None:  # otherwise the endpoint was not ready, and it begins anew
                row.announced_at = begins
            self._wait(lambda: self._clock.time() >= begins, self._longest_request_s)
        row.ramped_at = row.ramped_at or self._clock.time()
        self.board.enter("warm_up", self._load.warm_up)
        self._wait(lambda: False, self._load.warm_up)

    def _continue(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        """Go on with the next piece of a shape at once."""
        if self._open_loop is not None:
            self._open_loop.continue_with(step)
        elif step.concurrency is not None and (change := step.concurrency - self._users):
            self._users = step.concurrency
            yield self._users, float(abs(change))
        row.ramped_at = self._clock.time()

    def _wait_for_tail(self, window: MeasureWindow) -> None:
        """Keep the load up until the last request of the window has ended."""
        self.board.enter("tail")
        if not self._wait(lambda: self._all_ended(window), self._longest_request_s + _REPORT_GRACE_S):
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
        if self._open_loop is not None and stop and self._search is None:
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
        if not self._wait(lambda: set(expected) <= self._group.acknowledged(step), _ACK_S):
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
        if not self._wait(lambda: self._group.user_count == target, self._longest_request_s):
            running = f"{self._group.user_count} of {target} users were running"
            self._table.add_reason(row, "too_few_users", running)

    def _measure(self, step: Step, row: StepRow, opened: float) -> MeasureWindow:
        """Open the window, and close it when enough requests were measured or its time is over.

        The planned end and the end are saved as soon as they are known, so that the window's rows can be
        evaluated whatever happens later.
        """
        tally = self._collector.steps[step.id]
        row.measure_started_at = opened
        row.measure_planned_end_at = planned_end = self._planned_end(step, opened)
        seconds = max(0.0, planned_end - self._clock.time())
        self._collector.open_window(step.id, opened)
        self.board.enter("measure", seconds)
        self._table.save()
        enough, search = self._load.min_requests, self._search

        def over() -> bool:
            self._finish_steps(stop=False)
            if search is not None and search.is_closed(row.ordinal):
                return True
            if enough is not None and tally.measured_ok >= enough:
                return True
            return self._open_loop is not None and self._open_loop.is_saturated(opened)

        self._wait(over, seconds)
        # The window of a piece ends on time, so that its arrivals are those that were planned.
        end = self._clock.time() if step.piece is None else min(planned_end, self._clock.time())
        return self._close_window(step, row, end)

    def _planned_end(self, step: Step, opened: float) -> float:
        if self._open_loop is not None:
            return self._open_loop.planned_end(step, opened)
        return opened + (self._load.measure if step.piece is None else step.piece.seconds)

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
        self.status.message = f"waiting up to {minutes} for the endpoint to become ready: {reason}"
        if not self._wait(lambda: self._collector.not_ready is None, _NOT_READY_S):
            raise RunEndedError(ExitCode.REFUSED, f"the endpoint was not ready within {minutes}: {reason}")
        self.status.message = ""
        return True

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
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
        if self.status.ordinal:
            row = self._table.rows[self.status.ordinal - 1]
            self._table.add_reasons(row, self._step_workers.changes())

    def _close_open_window(self, row: StepRow) -> None:
        """Close the window of a step that is cut short: the report shows what was measured until now."""
        if self._step is not None and row.measure_started_at is not None and row.measure_ended_at is None:
            self._close_window(self._step, row, self._clock.time())
