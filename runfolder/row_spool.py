"""Rows that a load generator has measured and its master has not acknowledged, on the generator's disk.

A spool is a sequence of MessagePack values: a header, then for every row ``[number, started, row]``, for
every acknowledgment the number up to which rows have arrived, and the clock offset whenever the master has
told another one. It is read up to its last complete value. It holds no prompts, no answers and no secrets.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgpack

from common.paths import state_folder

SUFFIX = ".rows"
MOST_BYTES = 256_000_000
"""The most that a spool may hold: about a million rows. Rows that come later are not kept."""
_COMPACT_BYTES = 1_000_000
_COPY_BYTES = 4_000_000
"""The most that is copied at once: this takes time from the load."""


def spool_folder() -> Path:
    """The folder of this host's spools; each run has a folder of its own in it."""
    return state_folder() / "spool"


@dataclass(frozen=True, slots=True)
class SpoolHeader:
    """Whose rows a spool holds."""

    run_id: str
    experiment: str
    client_id: str
    """Locust's id of the process: a worker that starts again has another one."""
    worker: str
    columns: list[str]


class SpooledRow(NamedTuple):
    """A row with its place in the process's log."""

    number: int
    """Counts the process's rows from 1."""
    started: int
    """Requests of the row's step that the process had started by then."""
    values: list[Any]
    """In the order of the header's columns."""


@dataclass(slots=True)
class SpoolContent:
    """A spool as it was read: the rows that were not acknowledged."""

    header: SpoolHeader
    rows: list[SpooledRow] = field(default_factory=list)
    offset: float = 0.0
    """Seconds by which the worker's clock was ahead of the master's."""


class RowSpool:
    """The spool of this process. An error in writing ends it and is kept in ``fault``; it never raises.

    A write takes microseconds: it goes to the operating system's memory, which survives the process.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, header: SpoolHeader) -> None:
        self.path = path
        self.fault: str | None = None
        """Why rows are not kept on disk any more."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._header: bytes = msgpack.packb(asdict(header))
        self._offset = 0.0
        self._base = 0
        """What a position is ahead of its place in the file, which forgets its beginning."""
        self._file, self._size = -1, 0
        self._open(path)

    def _open(self, path: Path) -> None:
        flags = os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # others see that its owner is alive
        head = self._header + (msgpack.packb(self._offset) if self._offset else b"")
        os.write(self._file, head)
        self._size = len(head)

    @property
    def end(self) -> int:
        """The position after the last row."""
        return self._base + self._size

    def add(self, number: int, started: int, row: tuple[Any, ...]) -> None:
        """Append a row."""
        self._append((number, started, row))

    def set_offset(self, seconds: float) -> None:
        """Keep the offset of this machine's clock, if it has changed."""
        if seconds != self._offset:
            self._offset = seconds
            self._append(float(seconds))

    def acknowledge(self, number: int, position: int) -> None:
        """The rows up to ``number`` have arrived: what is before ``position`` is not needed any more."""
        self._append(number)
        rest = self.end - position
        if self.fault is None and self._size - rest > _COMPACT_BYTES and rest < _COPY_BYTES:
            self._forget_before(position)

    def read(self, start: int, end: int) -> list[SpooledRow]:
        """The rows between two positions, as far as they are there."""
        data = b""
        with contextlib.suppress(OSError):
            data = os.pread(self._file, end - start, start - self._base)
        return [SpooledRow(*value) for value in _values(data) if isinstance(value, list)]

    def remove(self) -> None:
        """Close the spool and delete it: everything was acknowledged."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()
            self.path.parent.rmdir()  # fails while the run has other spools

    def close(self) -> None:
        """Close the file; its rows stay."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.fault = -1, self.fault or "closed"

    def _append(self, value: object) -> None:
        data: bytes = msgpack.packb(value)
        if self.fault is None and self._size + len(data) > MOST_BYTES:
            self.fault = f"it holds {MOST_BYTES // 1_000_000} MB"
        if self.fault is not None:
            return
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self.fault = error.strerror or str(error)
            return
        self._size += written
        if written < len(data):
            self.fault = "the disk is full"

    def _forget_before(self, position: int) -> None:
        old, old_size, end = self._file, self._size, self.end
        fresh = self.path.with_suffix(".tmp")
        try:
            rest = os.pread(old, end - position, position - self._base)
            self._open(fresh)
            self._size += os.write(self._file, rest)
            fresh.replace(self.path)
        except OSError as error:
            self._file, self._size, self.fault = old, old_size, error.strerror or str(error)
            fresh.unlink(missing_ok=True)
            return
        os.close(old)
        self._base = end - self._size


def read_spool(path: Path) -> SpoolContent | None:
    """The rows of a spool that were not acknowledged; None if the file is no spool.

    Raises:
        OSError: it cannot be read.
    """
    values = _values(path.read_bytes())
    header = next(values, None)
    try:
        content = SpoolContent(SpoolHeader(**header))  # type: ignore[arg-type]  # checked by the call
    except TypeError:
        return None
    acknowledged = 0
    for value in values:
        match value:
            case [int(), int(), list()]:
                content.rows.append(SpooledRow(*value))
            case float():
                content.offset = value
            case int():
                acknowledged = value
    content.rows = [row for row in content.rows if row.number > acknowledged]
    return content


@contextmanager
def orphaned(path: Path) -> Iterator[bool]:
    """Whether the process that wrote a spool has ended; nobody else gets True within the block."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.fstat(file).st_ino == path.stat().st_ino  # it may have been replaced meanwhile
    except (BlockingIOError, FileNotFoundError):
        free = False
    try:
        yield free
    finally:
        os.close(file)


def _values(data: bytes) -> Iterator[Any]:
    unpacker = msgpack.Unpacker(max_buffer_size=2 * MOST_BYTES)
    unpacker.feed(data)
    with contextlib.suppress(ValueError, msgpack.exceptions.UnpackException):  # a file that was cut off
        yield from unpacker
