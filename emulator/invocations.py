"""The runtime's record of each invocation, from which the CloudWatch metrics are computed."""

import time
from collections import deque
from dataclasses import dataclass, field

INVOCATIONS_KEPT = 200_000
"""Invocations kept per region; older ones are dropped."""


@dataclass(slots=True)
class Invocation:
    """One invocation; times in epoch seconds. ``status`` is what the client received."""

    arrived_at: float
    endpoint: str
    variant: str
    component: str | None = None
    streamed: bool = False
    status: int | None = None
    model_status: int | None = None
    sent_at: float | None = None
    first_chunk_at: float | None = None
    answered_at: float | None = None
    finished_at: float | None = None
    broken: bool = False
    """The stream ended with an exception after HTTP 200."""

    def mark_sent(self) -> None:
        """The request is sent to the container."""
        self.sent_at = time.time()

    def mark_chunk(self) -> None:
        """Bytes of the response have arrived from the container."""
        if self.first_chunk_at is None:
            self.first_chunk_at = time.time()

    def mark_answered(self) -> None:
        """The container's response has ended, completely or not."""
        if self.answered_at is None:
            self.answered_at = time.time()

    def finish(self, status: int, model_status: int | None = None) -> None:
        """The client has its response; only the first call counts."""
        if self.finished_at is None:
            self.finished_at = time.time()
            self.status, self.model_status = status, model_status


@dataclass
class Invocations:
    """The newest invocations by region."""

    _by_region: dict[str, deque[Invocation]] = field(default_factory=dict)

    def add(self, region: str, invocation: Invocation) -> None:
        """Add one."""
        self._by_region.setdefault(region, deque(maxlen=INVOCATIONS_KEPT)).append(invocation)

    def of(self, region: str) -> deque[Invocation]:
        """The invocations of a region, oldest first."""
        return self._by_region.get(region, deque())
