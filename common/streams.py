"""Keep a closed terminal or a full disk from changing the exit code."""

import contextlib
import errno
import io
import os
import sys
from typing import Any

_READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""A pipe without a reader, or a closed terminal."""


def survive_lost_streams() -> None:
    """Make this process's stdout and stderr drop output that can no longer be written.

    Without this, a write raises in the middle of a clean-up, and Python's own flush at shutdown replaces the
    exit code with 120. Call it before anything is written. A full disk on stdout is reported on stderr, once.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):  # closed, or not a file of the system
                setattr(sys, name, _lossy(stream))


def _lossy(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _LossyFile(stream.fileno())
    # With `python -u` the text layer writes straight to the file.
    buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _LossyFile(io.FileIO):
    """An open file descriptor whose writes always succeed."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._reported = False

    def write(self, data: Any) -> int:
        """Write; output that cannot be written is dropped."""
        try:
            written: int | None = super().write(data)
        except OSError as error:
            self._report(error)
            written = None
        return memoryview(data).nbytes if written is None else written

    def _report(self, error: OSError) -> None:
        if self.fileno() == 1 and not self._reported and error.errno not in _READER_GONE:
            self._reported = True
            with contextlib.suppress(OSError):
                os.write(2, f"error: standard output cannot be written: {error.strerror}\n".encode())
