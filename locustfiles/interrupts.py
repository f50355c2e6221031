"""Requests to end a run, as signals bring them."""

import time
from collections.abc import Callable

_MOMENT_S = 1.0


class Interrupts:
    """Counts signals; those within a second of each other are one.

    The kernel sends a parent-death signal once for every thread of the parent that exits, and a supervisor
    may send SIGINT and SIGTERM together. A second request means "do not wait" and must be meant.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest = float("-inf")
        self.count = 0
        """How often the run was asked to end."""

    def record(self) -> bool:
        """A signal came; whether it is a new request."""
        now = self._monotonic()
        if now - self._latest < _MOMENT_S:
            return False
        self._latest = now
        self.count += 1
        return True
