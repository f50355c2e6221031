"""Tables as data: built once, rendered by one macro each in Markdown and HTML."""

from dataclasses import dataclass, field
from typing import Self


class Cell(str):
    """Text of a cell with the class that HTML gives it, such as ``void`` or ``met``."""

    kind: str
    __slots__ = ("kind",)

    def __new__(cls, text: str, kind: str = "") -> Self:
        """A cell; both pages show the text."""
        cell = super().__new__(cls, text)
        cell.kind = kind
        return cell


@dataclass(frozen=True)
class Table:
    """A table of a page. The first ``texts`` columns are text, the others figures unless named in ``wide``.

    The last text column names the row. ``kinds`` holds a class per row, such as ``best``, or nothing.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    texts: int = 1
    note: str = ""
    wide: tuple[str, ...] = ()
    """Columns of sentences."""
    kinds: list[str] = field(default_factory=list)

    def kind(self, row: int) -> str:
        """The class of a row."""
        return self.kinds[row] if row < len(self.kinds) else ""
