"""What the runtime saw of each invocation: the source of the CloudWatch metrics."""

import time
from collections import deque
from dataclasses import dataclass, field

KEPT = 200_000
"""Invocations kept per region; older ones are forgotten."""


@dataclass(slots=True)
class Invocation:
    """One invocation, times in epoch seconds. ``status`` is what the client got."""

    arrived: float
    endpoint: str
    variant: str
    component: str | None = None
    streamed: bool = False
    status: int | None = None
    model_status: int | None = None
    asked: float | None = None
    first_chunk: float | None = None
    answered: float | None = None
    finished: float | None = None
    broken: bool = False
    """The stream ended with an exception after HTTP 200."""

    def model_asked(self) -> None:
        """The request goes to the container."""
        self.asked = time.time()

    def saw_chunk(self) -> None:
        """Bytes of the answer came from the container."""
        if self.first_chunk is None:
            self.first_chunk = time.time()

    def model_answered(self) -> None:
        """The container's answer is complete, or will never be."""
        if self.answered is None:
            self.answered = time.time()

    def finish(self, status: int, model_status: int | None = None) -> None:
        """The client has its answer; only the first word counts."""
        if self.finished is None:
            self.finished = time.time()
            self.status, self.model_status = status, model_status


@dataclass
class Invocations:
    """All invocations, by region."""

    _by_region: dict[str, deque[Invocation]] = field(default_factory=dict)

    def add(self, region: str, invocation: Invocation) -> None:
        """Remember one."""
        self._by_region.setdefault(region, deque(maxlen=KEPT)).append(invocation)

    def of(self, region: str) -> deque[Invocation]:
        """Those of a region, oldest first."""
        return self._by_region.get(region, deque())
