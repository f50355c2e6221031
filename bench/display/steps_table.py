"""The table of a load's steps: as many columns and rows as fit, the current step always among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.display import words
from bench.display.words import Data
from common.formatting import count, milliseconds, number
from common.text import one_line

_ANY_WIDTH = 1000
_GAP = 2
_REMARKS = 12
"""Columns that are worth a column of remarks."""
_STYLES = {"met": "green", "missed": "red", "open": "yellow", "undecided": "yellow", "degraded": "yellow"}


@dataclass(frozen=True)
class _Column:
    """A column. Optional ones are left out, the last in ``drop`` first, when the terminal is narrow."""

    title: str
    cell: Callable[[Data, Data], str]
    drop: int = 0
    left: bool = False


def _milliseconds(key: str) -> Callable[[Data, Data], str]:
    return lambda step, _: milliseconds(step[key])


_COLUMNS = (
    _Column("#", lambda step, _: count(step["ordinal"]), drop=9),
    _Column("load", lambda step, _: words.level(step) + ("*" if step["purpose"] == "confirmation" else "")),
    _Column("state", words.verdict, left=True),
    _Column("ok", lambda step, _: count(words.answers(step))),
    _Column("failed", lambda step, _: count(step["failed"])),
    _Column("req/min", lambda step, _: number(step["requests_per_minute"]), drop=3),
    _Column("tok/s", lambda step, _: number(step["completion_tokens_per_s"]), drop=1),
    _Column("TTFT p50", _milliseconds("ttft_p50_ms"), drop=2),
    _Column("p95", _milliseconds("ttft_p95_ms"), drop=6),
    _Column("TPOT p50", _milliseconds("tpot_p50_ms"), drop=5),
    _Column("p95", _milliseconds("tpot_p95_ms"), drop=8),
    _Column("E2E p50", _milliseconds("e2e_p50_ms"), drop=4),
    _Column("p95", _milliseconds("e2e_p95_ms"), drop=7),
)


def steps_table(steps: Sequence[Data], load: Data, width: int) -> Table:
    """A row per step, in columns that fit the width.

    Args:
        steps: the steps to show.
        load: the load's state.
        width: of the terminal.
    """
    columns = list(_COLUMNS)
    while (used := _width(table := _table(columns, steps, load))) > width:
        optional = max(columns, key=lambda column: column.drop)
        if not optional.drop:
            return table
        columns.remove(optional)
    room = width - used - _GAP
    if room >= _REMARKS and any(_remarks(step) for step in steps):
        return _table(columns, steps, load, remarks=room)
    return table


def _table(
    columns: Sequence[_Column], steps: Sequence[Data], load: Data, remarks: int | None = None
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="left" if column.left else "right", no_wrap=True)
    if remarks is not None:
        table.add_column("remarks", width=remarks, no_wrap=True, overflow="ellipsis")
    for step in steps:
        current = step["step"] == load["step"] and load["phase"] != "done"
        cells = [_cell(column.cell(step, load)) for column in columns]
        cells += [Text(one_line(_remarks(step)))] if remarks is not None else []
        table.add_row(*cells, style="bold" if current else "")
    return table


def _cell(text: str) -> Text:
    return Text(one_line(text), style=_STYLES.get(text, ""))


def _width(table: Table) -> int:
    console = Console(width=_ANY_WIDTH)
    return console.measure(table).maximum


def _remarks(step: Data) -> str:
    missed = [f"{check['label']}: {milliseconds(check['value_ms'])}" for check in _missed(step)]
    return "; ".join([*missed, *([step["reasons"]] if step["reasons"] else [])])


def _missed(step: Data) -> list[Data]:
    return [check for check in step["checks"] if check["status"] == "missed"]
