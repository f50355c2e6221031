"""Clocks of the step sequence. They are an interface so that tests can control the time."""

import time
from dataclasses import dataclass
from typing import Protocol

import gevent

from locustfiles.master.worker_group import StepReason

_MAX_CREDIBLE_STEP_S = 0.05
"""Above this the wall clock was set: slewing moves the monotonic clock by the same amount."""
_MIN_SLEEP_S = 0.5


class Clock(Protocol):
    """Time as the step sequence sees it. All values are in seconds."""

    def time(self) -> float:
        """Wall clock, since the epoch."""

    def monotonic(self) -> float:
        """Monotonic clock."""

    def asleep(self) -> float:
        """How long this machine has been suspended since it started; 0 if the platform does not report it."""

    def sleep(self, seconds: float) -> None:
        """Wait and let other greenlets run."""


class SystemClock:
    """This machine's clocks."""

    def time(self) -> float:
        """Wall clock, since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Monotonic clock."""
        return time.monotonic()

    def asleep(self) -> float:
        """How long this machine has been suspended; 0 on platforms other than Linux."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            return 0.0
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)

    def sleep(self, seconds: float) -> None:
        """Wait and let other greenlets run."""
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
    """Suspensions of this machine and changes of its wall clock between two readings."""
    slept = after.asleep - before.asleep
    moved = (after.wall - before.wall) - (after.steady - before.steady) - slept
    reasons: list[StepReason] = []
    if slept > _MIN_SLEEP_S:
        reasons.append(StepReason("load_gap", f"the machine was suspended for {slept:.1f} s"))
    if abs(moved) > _MAX_CREDIBLE_STEP_S:
        text = f"the clock of the master was set by {moved * 1000:.0f} ms"
        reasons.append(StepReason("clock_set", text))
    return reasons
