"""How often to poll, and for how long. The pauses grow, which suits waits of seconds and of hours."""

import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class PollingPolicy:
    """Pauses and limits. The defaults are for AWS; tests shorten them."""

    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    growth: float = 1.3
    """Each pause is this many times as long as the one before."""
    eventual_consistency_s: float = 60.0
    """For a created resource to become visible to the next call (a configuration to CreateEndpoint)."""
    grace_s: float = 20.0
    """For the result of a create call of unknown outcome to show, before it counts as having failed."""
    provisioning_s: float = 1800.0
    """For AWS to provision instances, on top of the plan's download and start-up time-outs."""
    in_service_s: float | None = None
    """Longest wait for InService; None: the plan's time-outs plus ``provisioning_s``."""
    removal_s: float = 1800.0
    """For one resource to be deleted."""
    extra_while_creating_s: float = 9000.0
    """Added to ``removal_s`` if it was never in service: AWS deletes nothing that is Creating."""

    def polls(self, limit_s: float) -> Iterator[float]:
        """Yield the seconds left, at once and after each pause, until ``limit_s`` seconds have passed."""
        end = time.monotonic() + limit_s
        pause = self.first_pause_s
        while (left := end - time.monotonic()) > 0:
            yield left
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * self.growth, self.longest_pause_s)


AWS_POLLING = PollingPolicy()
