"""A worker's arrivals: each is handed on when it comes due."""

import heapq
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from locustfiles.messages import Arrival
from locustfiles.worker.alarm import Alarm


class ArrivalQueue:
    """Hands arrivals on in the order of their times.

    Args:
        on_due: called with the step and the arrival, no earlier than its time; must not block.
        alarm: wakes the queue at the time of the next arrival.
    """

    def __init__(self, on_due: Callable[[str, Arrival], None], alarm: Alarm) -> None:
        self._on_due = on_due
        self._alarm = alarm
        self._pending: list[tuple[float, str, Arrival]] = []

    def add(self, step: str, arrivals: Iterable[Arrival]) -> None:
        """Add arrivals of a step; their times are in this machine's clock."""
        for arrival in arrivals:
            heapq.heappush(self._pending, (arrival.at, step, arrival))
        self._alarm.set(self._next_at)

    def stop(self, until: float) -> None:
        """Hand on at once what arrives up to ``until``, and drop the rest."""
        self._hand_on(until)
        self._pending.clear()

    @property
    def _next_at(self) -> float | None:
        return self._pending[0][0] if self._pending else None

    @property
    def oldest_due(self) -> float | None:
        """Time of the oldest arrival that is due and has not been handed on; None if there is none."""
        at = self._next_at
        return at if at is not None and at <= time.time() else None

    def run(self) -> NoReturn:
        """Hand arrivals on, for ever."""
        while True:
            self._alarm.set(self._next_at)
            self._alarm.wait()
            self._hand_on(time.time())

    def _hand_on(self, until: float) -> None:
        while self._pending and self._pending[0][0] <= until:
            _, step, arrival = heapq.heappop(self._pending)
            self._on_due(step, arrival)
