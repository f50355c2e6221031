"""What the steps of a run need of Locust and of the workers, and how a run can end."""

import logging
from typing import Protocol

from common.exit_codes import ExitCode
from configs.experiment import Step
from locustfiles.messages import Ending
from runfolder.records import ReasonCode

logger = logging.getLogger(__name__)

StepReason = tuple[ReasonCode, str]
"""What happened to a step: for programs, and in words."""


class RunEndedError(Exception):
    """The run ends before its last step; carries the exit code and why."""

    def __init__(self, code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def unexpected(error: Exception) -> str:
    """Why a load failed that should not have, in one sentence; the log has the rest."""
    logger.error("The load failed", exc_info=error)
    return f"the load failed unexpectedly ({type(error).__name__}: {error}); the log has the traceback"


class WorkerLink(Protocol):
    """What the steps need of Locust and of the workers."""

    @property
    def user_count(self) -> int:
        """Users that there are."""

    def live_workers(self) -> dict[str, str]:
        """Client id → name of the workers that can be reached."""

    def unready_workers(self) -> dict[str, str | None]:
        """Name of each worker that has not taken its assignment → why it cannot; None without an answer."""

    def proxies(self) -> list[str]:
        """Proxies through which workers reach the endpoint."""

    def announce(self, step: Step) -> None:
        """Tell every worker the step."""

    def acknowledged(self, step: Step) -> set[str]:
        """Client ids that have answered."""

    def send_window(self, step: Step, window: tuple[float, float]) -> None:
        """Tell every worker the measure window."""

    def finish(self, ending: Ending, timeout: float) -> None:
        """Ask every worker for its last words."""

    def finished(self) -> set[str]:
        """Client ids that have said them."""

    def locust_counts(self, step: str) -> tuple[int, int]:
        """Locust's own requests and failures of a step."""

    def files_written(self) -> bool:
        """Whether Locust's CSV files hold every request."""
