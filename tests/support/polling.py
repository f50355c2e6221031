"""Waiting for what another process does: looked at often, for as long as a busy machine may need."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HANG_S = 300.0
"""After this, a process counts as hung. It is no measure of speed: a busy machine needs minutes."""


def eventually(condition: Callable[[], T], seconds: float = 120.0) -> T:
    """The first true value of a condition; its last value when it is never true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    return condition()


def poll(condition: Callable[[], T], seconds: float = 120.0) -> T:
    """The first true value of a condition; fails the test when it is never true."""
    value = eventually(condition, seconds)
    assert value, f"{condition} did not hold within {seconds} s"
    return value
