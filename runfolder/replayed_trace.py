"""The trace that a run replays: when its requests arrive, and how long they are. It holds no text."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from runfolder.appending import read_rows, replace_rows

TRACE = "trace.csv"


@dataclass(slots=True)
class TraceRow:
    """One request of the trace."""

    at_s: float
    """Seconds after the trace's first request, at the trace's own speed."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    session: str | None = None
    prefix: str | None = None
    """Numbers of the leading blocks that other prompts begin with too, with spaces between them. Absent in
    folders of older versions, as the next one."""
    block_tokens: int | None = None
    """Length of each of these blocks."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """The numbers in ``prefix``."""
        return tuple(int(number) for number in (self.prefix or "").split())


TRACE_COLUMNS = tuple(field.name for field in fields(TraceRow))


def write_trace(folder: Path, rows: list[TraceRow]) -> None:
    """Keep the trace with the run. Raises OSError if it cannot be written."""
    replace_rows(folder / TRACE, TRACE_COLUMNS, rows)


def read_trace_rows(folder: Path) -> list[TraceRow]:
    """The trace of a run folder, in the order of its times; empty without one."""
    return read_rows(folder / TRACE, TraceRow)


def write_bodies(path: Path, bodies: Iterable[bytes]) -> None:
    """Write captured bodies, one line of Base64 each, to a file outside of the run folder.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        file.writelines(base64.b64encode(body) + b"\n" for body in bodies)


def read_bodies(path: Path) -> Iterator[bytes]:
    """The bodies in their order, each read when it is needed. Raises OSError if the file cannot be read."""
    with path.open("rb") as file:
        for line in file:
            yield base64.b64decode(line)
