"""Tables as data: each is built once, and one macro per page draws it in Markdown and in HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Self

ColumnKind = Literal["text", "number", "status", "sentence", "code"]
"""How a column is drawn: numbers to the right, statuses colored, code in its font, sentences with room."""


@dataclass(frozen=True)
class Column:
    """One column: its heading and how its cells are drawn."""

    title: str
    kind: ColumnKind


def texts(*titles: str) -> list[Column]:
    """Columns of short texts."""
    return [Column(title, "text") for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Columns of figures."""
    return [Column(title, "number") for title in titles]


class Cell(str):
    """The text of a cell with the class that HTML gives it, such as ``void`` or ``met``."""

    kind: str
    __slots__ = ("kind",)

    def __new__(cls, text: str, kind: str = "") -> Self:
        """A cell; both pages show the text."""
        cell = super().__new__(cls, text)
        cell.kind = kind
        return cell


@dataclass(frozen=True)
class Table:
    """A table of both pages."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    """As many cells in each row as there are columns."""
    heading: int = 0
    """The column that names its row."""
    note: str = ""
    """A sentence or two above the table. It may hold code spans."""
    row_kinds: Sequence[str] = ()
    """A class per row, such as ``best``, or nothing."""
    grouped: bool = False
    """Whether neighbouring rows with the same heading share one cell. The heading must be column 0."""
    layout: Literal["", "wraps", "stacks"] = ""
    """``wraps`` breaks long words; ``stacks`` puts cells below each other on narrow screens."""

    def row_kind(self, row: int) -> str:
        """The class of a row."""
        return self.row_kinds[row] if row < len(self.row_kinds) else ""

    def spans(self) -> list[int]:
        """How many rows each row's heading covers; 0 where the heading of a row above covers it."""
        if not self.grouped:
            return [1] * len(self.rows)
        spans: list[int] = []
        for _, rows in groupby(self.rows, key=lambda row: row[self.heading]):
            count = len(list(rows))
            spans += [count] + [0] * (count - 1)
        return spans
