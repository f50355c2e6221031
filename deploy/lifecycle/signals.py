"""Signals that end a run in order: the first interrupts, later ones ask about the deletion.

While something is being deleted, a signal reports what is going on, and a further one stops waiting for it.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READING_S = 2.0
"""A signal this soon after the explanation is the same keystroke, or came before it could be read."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end. ``exit_code`` is the shell's: 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Abandoned(Interrupted):
    """A signal that came after the explanation: whoever sent it no longer waits for the deletion."""


class _Orderly:
    def __init__(self) -> None:
        self.first: int | None = None
        self.raised = False
        self.held = False
        self.explain: Callable[[], str] | None = None
        self.explained_at: float | None = None

    def receive(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or number
        if self.held and self.explain is not None:
            self._answer(number, self.explain)
        self.raise_pending()

    def _answer(self, number: int, explain: Callable[[], str]) -> None:
        now = time.monotonic()
        if self.explained_at is None:
            self.explained_at = now
            # Not by print: the signal may have come in the middle of one.
            with contextlib.suppress(OSError):
                os.write(2, f"{signal.Signals(number).name}: {explain()}\n".encode())
        elif now - self.explained_at >= _READING_S:
            self.raised = True  # what is left to do, the report, is not disturbed by the next one
            raise Abandoned(number)

    def raise_pending(self) -> None:
        if self.first is not None and not self.raised and not self.held:
            self.raised = True
            raise Interrupted(self.first)


_active: _Orderly | None = None


@contextmanager
def orderly_exit() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into one `Interrupted` in the main thread, for the length of the block.

    Only the first signal raises; the unwinding that it starts (which deletes what was created) is not
    disturbed by a second. Where a `shielded` block is running, it raises when that block ends.
    """
    global _active  # noqa: PLW0603 - signal handlers are the process's, and so is this
    if threading.current_thread() is not threading.main_thread() or _active is not None:
        yield
        return
    orderly = _active = _Orderly()
    before = {number: signal.signal(number, orderly.receive) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _active = None


@contextmanager
def shielded() -> Iterator[None]:
    """Hold signals back: while a call is under way whose outcome must be known, or while deleting."""
    with _hold(held=True):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals through again inside a `shielded` block: while waiting, or while the run itself plays."""
    with _hold(held=False):
        yield


@contextmanager
def abandonable(explain: Callable[[], str]) -> Iterator[None]:
    """Let somebody who insists out of a `shielded` block that deletes.

    The first signal in it writes what ``explain`` returns to stderr. A further one, two seconds later or
    more, raises `Abandoned` wherever the block is.
    """
    orderly = _active if threading.current_thread() is threading.main_thread() else None
    if orderly is None:
        yield
        return
    before, orderly.explain = orderly.explain, explain
    try:
        yield
    finally:
        orderly.explain = before


def pending() -> Interrupted | None:
    """The signal that is held back and will be raised when the `shielded` block ends; None without one."""
    orderly = _active
    if orderly is None or orderly.first is None or (orderly.raised and orderly.explained_at is None):
        return None
    return Interrupted(orderly.first)


@contextmanager
def _hold(*, held: bool) -> Iterator[None]:
    orderly = _active if threading.current_thread() is threading.main_thread() else None
    if orderly is None:
        yield
        return
    before, orderly.held = orderly.held, held
    orderly.raise_pending()
    try:
        yield
    finally:
        # Saved and restored rather than counted: an interrupt on this very line leaves nothing to undo.
        orderly.held = before
    orderly.raise_pending()
