"""The trace that a run replays: when its requests arrive, and how long they are. It holds no text."""

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


TRACE_COLUMNS = tuple(field.name for field in fields(TraceRow))


def write_trace(folder: Path, rows: list[TraceRow]) -> None:
    """Keep the trace with the run. Raises OSError if it cannot be written."""
    replace_rows(folder / TRACE, TRACE_COLUMNS, rows)


def read_trace_rows(folder: Path) -> list[TraceRow]:
    """The trace of a run folder, in the order of its times; empty without one."""
    return read_rows(folder / TRACE, TraceRow)
