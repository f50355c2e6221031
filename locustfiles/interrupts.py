"""Interrupts: requests to end a run by signal."""

import time
from collections.abc import Callable

_MOMENT_S = 1.0


class Interrupts:
    """Counts interrupts; signals within a second of each other are one interrupt.

    The kernel sends a parent-death signal for every thread of the parent that exits, and a supervisor may
    send SIGINT and SIGTERM together. A second interrupt means "do not wait", so it must be intended.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest = float("-inf")
        self.count = 0
        """Interrupts so far."""

    def record(self) -> bool:
        """Record a signal; True if it is a new interrupt."""
        now = self._monotonic()
        if now - self._latest < _MOMENT_S:
            return False
        self._latest = now
        self.count += 1
        return True
