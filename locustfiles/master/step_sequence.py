"""The steps of a run, one after the other, and its end. The load never drops between them.

One generator follows the protocol from top to bottom. It yields ``(users, spawn rate)`` whenever Locust is to
change the number of users, and waits for everything else itself.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gevent

from common.errors import UserError
from common.exit_codes import ExitCode
from configs.experiment import Experiment, Step
from locustfiles.interrupts import Interrupts
from locustfiles.master.abort_conditions import AbortConditions
from locustfiles.master.clock import Clock, SystemClock
from locustfiles.master.command_reader import CommandReader
from locustfiles.master.open_loop import OpenLoop
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.run_end import RunEnd
from locustfiles.master.search_steps import SearchSteps
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_player import LoadParts, StepPlayer
from locustfiles.master.step_table import StepTable
from locustfiles.master.step_workers import are_decided, check_ready
from locustfiles.master.worker_group import RunEndedError, WorkerGroup, unexpected_end
from runfolder.records import StepRow

if TYPE_CHECKING:
    from locustfiles.messages import Ending

_WORKERS_READY_S = 60.0
_ABORT_S = 2.0
_VERDICT_S = 120.0
"""The longest wait for the next command of a search."""


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
        self._group = group
        self._collector = collector
        self._clock = clock or SystemClock()
        self._table = StepTable(experiment, collector)
        self.board = StatusBoard(experiment, group, collector, self._table.rows, self._clock)
        self.status = self.board.status
        self._open_loop = None
        if experiment.load.open_loop:
            self._open_loop = OpenLoop(experiment, group, collector, self._clock)
            self.status.turns_per_arrival = self._open_loop.turns_per_arrival
            self.board.windows_s = [self._open_loop.measure_s(step) for step in experiment.steps]
            for step, row in zip(experiment.steps, self._table.rows, strict=True):
                row.rate = self._open_loop.rate(step)
        self._aborts = AbortConditions(experiment, collector, interrupts)
        commands = CommandReader(experiment.run_folder)
        self._search = None if experiment.load.search is None else SearchSteps(experiment.name, commands)
        self._player = StepPlayer(
            LoadParts(
                experiment,
                group,
                collector,
                self._clock,
                self._table,
                self.board,
                self._aborts,
                commands,
                self._open_loop,
            )
        )
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

    def play(self) -> Iterator[tuple[int, float]]:
        """Yield ``(users, spawn rate)`` until the last step ends; shut down in order however the run ends."""
        ending: Ending = "abort"
        self.started = True
        try:
            self.board.enter("start")
            self._player.wait(lambda: are_decided(self._group), _WORKERS_READY_S)
            check_ready(self._group, _WORKERS_READY_S)
            if self._open_loop is not None:
                yield 0, 1.0  # Locust counts a run as running once it has been given a number of users
            for step, row in self._steps():
                if self._open_loop is not None and (reason := self._open_loop.reason_to_skip(step)):
                    self._table.skip(row, reason)
                else:
                    yield from self._player.play(step, row)
            ending, self._end.exit_code = "drain", ExitCode.OK
        except RunEndedError as end:
            self._end.end_early(self._player.close_open_window, end)
        except gevent.GreenletExit:
            # Locust itself stops a test whose last worker was a process of this machine and is lost.
            reason = "stopped by hand" if self._group.live_workers() else "the last worker was lost"
            self._end.end_early(self._player.close_open_window, RunEndedError(ExitCode.INTERRUPTED, reason))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and reports it
            self._end.end_early(self._player.close_open_window, unexpected_end(error))
        finally:
            self._end.finish(ending, self._player.longest_request_s if ending == "drain" else _ABORT_S)

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
            if not self._player.wait(lambda: search.is_over(len(rows)), _VERDICT_S):
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
