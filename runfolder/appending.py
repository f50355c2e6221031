"""Write rows as they arrive, so that a crash loses only the last seconds."""

import csv
import functools
import json
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from common.files import replacing
from runfolder.cells import guard_cell, unguard_cell

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")

_DECIMALS = 6


class RowAppender(Generic[Row]):
    """Appends dataclass rows to a CSV file; writes the header once, flushes every batch.

    A file that is there keeps its columns, which another version may have chosen.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        found = _header(path)
        self._values = _values(found or columns, columns)
        self._file: TextIO = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        if not found:
            self._writer.writerow(columns)
            self._file.flush()

    def append(self, rows: Iterable[Row]) -> None:
        """Write ``rows`` and flush them to the operating system."""
        self._writer.writerows([_cell(value) for value in self._values(row)] for row in rows)
        self._file.flush()

    def close(self) -> None:
        """Flush and close; appending afterwards is an error."""
        self._file.close()


def _header(path: Path) -> list[str]:
    """The columns of a CSV file; empty if there is no file, or nothing in it."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _values(columns: Sequence[str], known: Sequence[str]) -> Callable[[object], Iterable[object]]:
    """Reads the cells of a row; those of columns that are not known are empty."""
    if set(columns) <= set(known):
        return attrgetter(*columns)  # astuple would copy deeply, a thousand rows a second
    return lambda row: [getattr(row, name, None) for name in columns]


def replace_rows(path: Path, columns: Sequence[str], rows: Iterable["DataclassInstance"]) -> None:
    """Write a small CSV file as a whole, atomically: another process reads the old one or the new one."""
    with replacing(path) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in astuple(row)] for row in rows)


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row_from_strings(kind: type[Row], values: dict[str, str]) -> Row:
    """Rebuild a row from a line of a CSV file. An empty cell becomes None; the field gives the type."""
    return kind(**{name: _parse(values.get(name, ""), parse) for name, parse in _parsers(kind).items()})


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Rows of a small CSV file; an empty list if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row_from_strings(kind, values) for values in csv.DictReader(file)]


@functools.cache
def _parsers(kind: type["DataclassInstance"]) -> dict[str, Callable[[str], object]]:
    """The function for each field of a row that turns its cell into a value."""
    hints = typing.get_type_hints(kind)
    return {field.name: _parser(hints[field.name]) for field in fields(kind)}


def _parser(hint: object) -> Callable[[str], object]:
    types = {hint, *typing.get_args(hint)}  # ``int | None`` has two parts
    return int if int in types else float if float in types else unguard_cell


def _parse(text: str, parse: Callable[[str], object]) -> object:
    return None if text == "" else parse(text)


def _cell(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, str):
        return guard_cell(value)
    return round(value, _DECIMALS) if isinstance(value, float) else value
