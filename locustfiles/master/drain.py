"""The end of a run: every worker's last rows, and Locust's last numbers."""

from collections.abc import Callable

from locustfiles.master.clock import Clock
from locustfiles.master.worker_link import WorkerLink
from locustfiles.messages import Ending

_POLL_S = 0.05
_REPORT_GRACE_S = 10.0
_LOST_REPORT_S = 15.0


def drain(
    link: WorkerLink,
    clock: Clock,
    ending: Ending,
    patience: float,
    *,
    interrupts: Callable[[], int],
    written: Callable[[], bool],
) -> None:
    """Wait until all that was measured is here, but no longer than it can take.

    Args:
        link: to the workers.
        clock: to wait by.
        ending: how requests in flight end.
        patience: seconds that they may take.
        interrupts: how often the run was asked to end; once cuts them off, twice waits for nobody.
        written: whether Locust's own files hold everything.
    """
    workers = set(link.live_workers())
    link.finish(ending, patience)
    deadline = clock.monotonic() + patience + _REPORT_GRACE_S
    while not workers <= link.finished() and clock.monotonic() < deadline:
        if ending == "drain" and interrupts():
            ending = "abort"
            link.finish(ending, 0.0)
        if interrupts() > 1:
            break
        workers &= set(link.live_workers())
        clock.sleep(_POLL_S)
    deadline = clock.monotonic() + _LOST_REPORT_S
    while not written() and clock.monotonic() < deadline and interrupts() < 2:
        clock.sleep(_POLL_S)
