"""Waits until a moment. On Linux it is exact: the timers of gevent's loop are rounded up to milliseconds."""

import ctypes
import os
import sys
import time
from typing import Protocol

import gevent
from gevent.event import Event

_CLOCK_REALTIME = 0
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_NEVER = 253_402_300_800.0


class Alarm(Protocol):
    """A moment that one greenlet waits for."""

    def set(self, at: float | None) -> None:
        """Set the moment, epoch seconds, also while somebody waits; None: never."""

    def wait(self) -> None:
        """Return at the moment, or at once if it has passed."""


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class TimerAlarm:
    """An alarm by a timer of the kernel (``timerfd``), which wakes the event loop like data on a socket.

    Raises:
        OSError: the kernel has no such timers.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        hub = gevent.get_hub()
        self._ready = hub.loop.io(self._fd, 1)
        self._ready.priority = 2  # libev's highest: an arrival is sent before answers are read

    def set(self, at: float | None) -> None:
        """Set the moment, epoch seconds, also while somebody waits; None: never."""
        seconds, fraction = divmod(_NEVER if at is None else at, 1.0)
        value = _TimeSpec(int(seconds), max(1, int(fraction * 1e9)))  # zero would disarm it
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(_TimerSpec(_TimeSpec(), value)), None)

    def wait(self) -> None:
        """Return at the moment, or at once if it has passed."""
        gevent.get_hub().wait(self._ready)
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set anew meanwhile
            return


class LoopAlarm:
    """An alarm by a timer of gevent's loop, up to a millisecond late."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._changed = Event()

    def set(self, at: float | None) -> None:
        """Set the moment, epoch seconds, also while somebody waits; None: never."""
        self._at = at
        self._changed.set()

    def wait(self) -> None:
        """Return at the moment, or at once if it has passed."""
        while self._at is None or self._at > time.time():
            self._changed.clear()
            self._changed.wait(None if self._at is None else self._at - time.time())


def make_alarm() -> Alarm:
    """The most exact alarm of this platform."""
    return TimerAlarm() if sys.platform == "linux" else LoopAlarm()
