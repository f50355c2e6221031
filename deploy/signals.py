"""Signals that end a run in order: the first interrupts, later ones wait until everything is deleted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end. ``exit_code`` is the shell's: 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class _Orderly:
    def __init__(self) -> None:
        self.first: int | None = None
        self.raised = False
        self.held = False

    def receive(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or number
        self.raise_pending()

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
