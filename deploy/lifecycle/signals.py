"""Signals that end a run in an orderly way.

The first signal interrupts the run. During a deletion, a signal prints what is being deleted, and a further
one ends the wait.
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
"""A signal this soon after the explanation is the same keystroke, or was sent before it could be read."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end. ``exit_code`` is the shell's: 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Abandoned(Interrupted):
    """A signal that came after the explanation: the user does not want to wait for the deletion."""


def write_to_stderr(text: str) -> None:
    """Write a line without the streams of Python: a signal may have arrived in the middle of a print."""
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())


class _Orderly:
    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.first: int | None = None
        self.raised = False
        self.held = False
        self.explain: Callable[[], str] | None = None
        self.explained_at: float | None = None

    def receive(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or number
        if self.held and self.explain is not None:
            self._explain_or_abandon(number, self.explain)
        self.raise_pending()

    def _explain_or_abandon(self, number: int, explain: Callable[[], str]) -> None:
        now = time.monotonic()
        if self.explained_at is None:
            self.explained_at = now
            self.say(f"{signal.Signals(number).name}: {explain()}")
        elif now - self.explained_at >= _READING_S:
            self.raised = True  # so that the next signal does not disturb the report
            raise Abandoned(number)

    def raise_pending(self) -> None:
        if self.first is not None and not self.raised and not self.held:
            self.raised = True
            raise Interrupted(self.first)


_active: _Orderly | None = None


@contextmanager
def orderly_exit(say: Callable[[str], None] = write_to_stderr) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into one `Interrupted` in the main thread, inside the block.

    Only the first signal raises; a second does not disturb the unwinding, which deletes what was created.
    In a `shielded` block, the signal raises when that block ends.

    Args:
        say: prints a line from inside a signal handler.
    """
    global _active  # noqa: PLW0603 - signal handlers are the process's, and so is this
    if threading.current_thread() is not threading.main_thread() or _active is not None:
        yield
        return
    orderly = _active = _Orderly(say)
    before = {number: signal.signal(number, orderly.receive) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _active = None


@contextmanager
def shielded() -> Iterator[None]:
    """Hold signals back: during a call that must have a known outcome, or during deletions."""
    with _hold(held=True):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals through again inside a `shielded` block: while waiting, or during the run itself."""
    with _hold(held=False):
        yield


@contextmanager
def abandonable(explain: Callable[[], str]) -> Iterator[None]:
    """Let a repeated signal end a `shielded` block that deletes.

    The first signal writes the result of ``explain`` to stderr. A further one, at least two seconds later,
    raises `Abandoned`.
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
    """The signal that will be raised when the `shielded` block ends; None without one."""
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
    try:
        orderly.raise_pending()
        yield
    finally:
        # Saved and restored rather than counted: an interrupt on this very line leaves nothing to undo.
        orderly.held = before
    orderly.raise_pending()
