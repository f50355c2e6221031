"""A worker's arrivals: each is handed on when it comes due."""

import heapq
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from gevent.event import Event

from locustfiles.messages import Arrival


class ArrivalQueue:
    """Hands arrivals on in the order of their times.

    Args:
        on_due: called with the step and the arrival, no earlier than its time; must not block.
    """

    def __init__(self, on_due: Callable[[str, Arrival], None]) -> None:
        self._on_due = on_due
        self._pending: list[tuple[float, str, Arrival]] = []
        self._changed = Event()

    def add(self, step: str, arrivals: Iterable[Arrival]) -> None:
        """Add arrivals of a step; their times are in this machine's clock."""
        for arrival in arrivals:
            heapq.heappush(self._pending, (arrival.at, step, arrival))
        self._changed.set()

    def stop(self, until: float) -> None:
        """Hand on at once what arrives up to ``until``, and drop the rest."""
        while self._pending and self._pending[0][0] <= until:
            _, step, arrival = heapq.heappop(self._pending)
            self._on_due(step, arrival)
        self._pending.clear()

    @property
    def oldest_due(self) -> float | None:
        """Time of the oldest arrival that is due and has not been handed on; None if there is none."""
        at = self._pending[0][0] if self._pending else None
        return at if at is not None and at <= time.time() else None

    def run(self) -> NoReturn:
        """Hand arrivals on, for ever."""
        while True:
            wait_s = self._pending[0][0] - time.time() if self._pending else None
            if wait_s is not None and wait_s <= 0:
                _, step, arrival = heapq.heappop(self._pending)
                self._on_due(step, arrival)
                continue
            self._changed.clear()
            self._changed.wait(wait_s)
