"""The end of a run: its exit code, the last rows, and the counts that are reconciled."""

from collections.abc import Callable

from common.errors import UserError
from common.exit_codes import ExitCode
from locustfiles.interrupts import Interrupts
from locustfiles.master.clock import Clock
from locustfiles.master.drain import drain
from locustfiles.master.open_loop import OpenLoop
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_table import StepTable
from locustfiles.master.worker_group import RunEndedError, WorkerGroup, unexpected_end
from locustfiles.messages import Ending
from runfolder.records import ReasonCode, StepRow

_END_CODES: dict[int, ReasonCode] = {
    ExitCode.FAILED: "failed",
    ExitCode.REFUSED: "refused",
    ExitCode.INTERRUPTED: "interrupted",
}


class RunEnd:
    """Ends a run in order, however it ends.

    Args:
        board: shows the end.
        table: of the steps.
        group: to Locust and the workers.
        collector: receives the workers' last reports.
        clock: the time.
        interrupts: counted by whoever receives them.
        open_loop: if arrivals were handed out.
    """

    def __init__(
        self,
        board: StatusBoard,
        table: StepTable,
        group: WorkerGroup,
        collector: ReportCollector,
        *,
        clock: Clock,
        interrupts: Interrupts,
        open_loop: OpenLoop | None,
    ) -> None:
        self._board = board
        self._table = table
        self._group = group
        self._collector = collector
        self._clock = clock
        self._interrupts = interrupts
        self._open_loop = open_loop
        self.exit_code = ExitCode.FAILED
        """Exit code of the load; it counts as failed until the last step has been played."""

    def set(self, code: ExitCode, error: UserError) -> None:
        """Set the exit code, and the message that goes with it."""
        self.exit_code, self._board.status.message = code, str(error)

    def end_early(self, close_window: Callable[[StepRow], None], end: RunEndedError) -> None:
        """Record why the run ends before its last step.

        Args:
            close_window: closes the window of a step that is running.
            end: why.
        """
        self.set(end.code, end)
        try:
            self._table.mark_unplayed(str(end))
            for row in self._table.rows:
                if row.state == "running":
                    row.state = "interrupted"
                    self._table.add_reason(row, _END_CODES[end.code], str(end))
                    close_window(row)
            self._table.save()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and reports it
            self.set(ExitCode.FAILED, unexpected_end(error))

    def finish(self, ending: Ending, patience: float) -> None:
        """Wait for every worker's last rows and Locust's last counts, then reconcile them.

        Args:
            ending: how requests in flight end.
            patience: seconds that they may take.
        """
        try:
            self._board.enter("drain")
            stopped_at = drain(
                self._group,
                self._clock,
                ending,
                patience,
                interrupts=self._interrupts,
                written=self._files_complete,
            )
            if self._open_loop is not None:
                self._open_loop.close(self._table.rows, stopped_at)
            if not self._table.reconcile(self._group.locust_counts) and self.exit_code == ExitCode.OK:
                self.exit_code = ExitCode.INCOMPLETE
            self._collector.close()
            unwritable = self._collector.unwritable
            if unwritable is not None and self.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE):
                self.set(ExitCode.FAILED, unwritable)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and reports it
            self.set(ExitCode.FAILED, unexpected_end(error))
        finally:
            self.show()

    def show(self) -> None:
        """Show that the run is over."""
        self._board.status.exit_code = self.exit_code
        self._board.enter("done")

    def _files_complete(self) -> bool:
        return self._collector.unwritable is not None or self._group.files_written()
