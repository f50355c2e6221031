"""The clocks that the steps go by, given to them so that tests can turn the hands."""

import time
from dataclasses import dataclass
from typing import Protocol

import gevent

from locustfiles.master.worker_link import StepReason

_MAX_CREDIBLE_STEP_S = 0.05
"""Beyond it the wall clock was set: slewing moves the steady clock just as much."""
_MIN_SLEEP_S = 0.5


class Clock(Protocol):
    """Time as the steps see it. All values are seconds."""

    def time(self) -> float:
        """Wall clock, since the epoch."""

    def monotonic(self) -> float:
        """A clock that nobody can set."""

    def asleep(self) -> float:
        """How long this machine has been suspended since it was started; 0 where it does not say."""

    def sleep(self, seconds: float) -> None:
        """Let others work for so long."""


class SystemClock:
    """This machine's clocks."""

    def time(self) -> float:
        """Wall clock, since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """A clock that nobody can set."""
        return time.monotonic()

    def asleep(self) -> float:
        """How long this machine has been suspended; only Linux says."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            return 0.0
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)

    def sleep(self, seconds: float) -> None:
        """Let other greenlets work for so long."""
        gevent.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """All clocks at one moment."""

    wall: float
    steady: float
    asleep: float

    @classmethod
    def of(cls, clock: Clock) -> "ClockReading":
        """Read the clocks."""
        return cls(clock.time(), clock.monotonic(), clock.asleep())


def clock_disturbances(before: ClockReading, after: ClockReading) -> list[StepReason]:
    """What happened to this machine's clocks between two readings: it slept, or somebody set the clock."""
    slept = after.asleep - before.asleep
    moved = (after.wall - before.wall) - (after.steady - before.steady) - slept
    reasons: list[StepReason] = []
    if slept > _MIN_SLEEP_S:
        reasons.append(("load_gap", f"the machine was suspended for {slept:.1f} s"))
    if abs(moved) > _MAX_CREDIBLE_STEP_S:
        reasons.append(("clock_set", f"the clock of the master was set by {moved * 1000:.0f} ms"))
    return reasons
