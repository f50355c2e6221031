"""The end of a run: wait for every worker's last rows and for Locust's last counts."""

from collections.abc import Callable

from locustfiles.interrupts import Interrupts
from locustfiles.master.clock import Clock
from locustfiles.master.worker_group import WorkerGroup
from locustfiles.messages import Ending

_POLL_S = 0.05
_REPORT_GRACE_S = 10.0
_LOST_REPORT_S = 15.0


def drain(
    group: WorkerGroup,
    clock: Clock,
    ending: Ending,
    patience: float,
    *,
    interrupts: Interrupts,
    written: Callable[[], bool],
) -> float:
    """Wait until everything that was measured has arrived, but no longer than that can take.

    Args:
        group: to the workers.
        clock: the time.
        ending: how requests in flight end.
        patience: seconds that they may take.
        interrupts: the first one cuts off requests in flight; after a second one nothing waits.
        written: whether Locust's own files are complete.

    Returns:
        When the workers were told to stop, epoch seconds: nothing that arrived later was sent.
    """
    workers, until = set(group.live_workers()), clock.time()
    group.finish(ending, patience, until)
    deadline = clock.monotonic() + patience + _REPORT_GRACE_S
    while not workers <= group.finished() and clock.monotonic() < deadline:
        if ending == "drain" and interrupts.count:
            ending = "abort"
            group.finish(ending, 0.0, until)
        if interrupts.count > 1:
            break
        workers &= set(group.live_workers())
        clock.sleep(_POLL_S)
    deadline = clock.monotonic() + _LOST_REPORT_S
    while not written() and clock.monotonic() < deadline and interrupts.count < 2:
        clock.sleep(_POLL_S)
    return until
