"""How often we look and how long we wait. Polling starts quick and slows down: it suits seconds and hours."""

import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds. The defaults are for AWS; tests shorten them."""

    first_poll: float = 0.2
    last_poll: float = 10.0
    growth: float = 1.3
    visible: float = 60.0
    """For what was created to become visible to the next call (CreateEndpoint after CreateEndpointConfig)."""
    settle: float = 20.0
    """For a create call of unknown outcome to show what it made, before it counts as having made nothing."""
    provision: float = 1800.0
    """For instances to be found, on top of the plan's download and start-up time-outs."""
    in_service: float | None = None
    """Longest wait for InService; None: the plan's time-outs plus ``provision``."""
    removal: float = 1800.0
    """For one resource to be gone."""
    creating: float = 9000.0
    """On top of ``removal`` for what never came into service: AWS deletes nothing that is Creating."""

    def polls(self, limit: float) -> Iterator[float]:
        """Yield the seconds left, at once and then after each pause, until ``limit`` seconds have passed."""
        end = time.monotonic() + limit
        pause = self.first_poll
        while (left := end - time.monotonic()) > 0:
            yield left
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * self.growth, self.last_poll)


AWS_PACE = Pace()
