"""What the step sequence needs from Locust and the workers, and how a run can end early."""

import logging
from typing import NamedTuple, Protocol

from common.errors import UserError
from common.exit_codes import ExitCode
from configs.experiment import Step
from locustfiles.messages import Arrival, Ending
from runfolder.records import ReasonCode

logger = logging.getLogger(__name__)


class StepReason(NamedTuple):
    """What happened to a step: a code for programs, and a text for people."""

    code: ReasonCode
    text: str


class RunEndedError(UserError):
    """The run ends before its last step.

    Args:
        code: exit code of the load.
        finding: why the run ends.
        remedy: what the user can do about it; empty if there is nothing to do.
    """

    def __init__(self, code: ExitCode, finding: str, remedy: str = "") -> None:
        super().__init__(finding, remedy)
        self.code = code


def unexpected_end(error: Exception) -> RunEndedError:
    """The end of a load that failed through a bug; the traceback goes to the log."""
    logger.error("The load failed", exc_info=error)
    cause = f"{type(error).__name__}: {error}"
    return RunEndedError(
        ExitCode.FAILED, f"the load failed unexpectedly ({cause})", "the log has the traceback"
    )


class WorkerGroup(Protocol):
    """What the step sequence needs from Locust and the workers."""

    @property
    def user_count(self) -> int:
        """Users that are running."""

    def live_workers(self) -> dict[str, str]:
        """Client id → name of the workers that can be reached."""

    def unready_workers(self) -> dict[str, str | None]:
        """Name of each worker without an assignment → why it cannot take it; None without an answer."""

    def proxies(self) -> list[str]:
        """Proxies through which workers reach the endpoint."""

    def announce(self, step: Step) -> None:
        """Announce a step to every worker."""

    def acknowledged(self, step: Step) -> set[str]:
        """Client ids that have acknowledged the step."""

    def send_arrivals(self, client: str, step: Step, arrivals: list[Arrival], max_in_flight: int) -> None:
        """Send a worker arrivals of the step, and how many requests it may have in flight."""

    def send_window(self, step: Step, window: tuple[float, float]) -> None:
        """Send the measure window to every worker."""

    def finish(self, ending: Ending, timeout: float, until: float) -> None:
        """Ask every worker for its final report, and to send nothing that arrives after ``until``."""

    def finished(self) -> set[str]:
        """Client ids that have sent their final report."""

    def locust_counts(self, step: str) -> tuple[int, int]:
        """Locust's own requests and failures of a step."""

    def files_written(self) -> bool:
        """Whether Locust's CSV files hold every request."""
