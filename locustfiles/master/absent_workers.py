"""Keeps a run going while no worker can be reached: the master's own link may be down.

Locust ends a test as soon as its last worker is missing. The step sequence knows better how long to wait.
"""

from locust.runners import MasterRunner

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


def outlast_absence(runner: MasterRunner, waits: Callable[[], bool]) -> None:
    """Keep Locust from ending the test by itself.

    Args:
        runner: Locust's.
        waits: whether no worker can be reached, and the step sequence waits for one.
    """
    stop, check_stopped = runner.stop, runner.check_stopped

    def stop_unless_waiting(send_stop_to_client: bool = True) -> None:  # noqa: FBT001, FBT002 - Locust's
        # Locust's own way out, `quit`, sends no stop.
        if send_stop_to_client and waits():
            logger.warning("No worker can be reached; the run waits for one")
            return
        stop(send_stop_to_client)

    def check_unless_waiting() -> None:
        if not waits():
            check_stopped()

    replaced: Any = runner
    replaced.stop, replaced.check_stopped = stop_unless_waiting, check_unless_waiting
