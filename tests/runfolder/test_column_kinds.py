"""Every column that is written is read as what it is, and a missing newer one is no damage."""

import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from runfolder.appending import RowAppender
from runfolder.column_kinds import LATER, RECORDS
from runfolder.reading import read_table


def filled(kind: Any) -> Any:
    """A record with a value in every field."""
    hints = typing.get_type_hints(kind)
    types = {name: {hint, *typing.get_args(hint)} for name, hint in hints.items()}
    values = {f.name: 7 if types[f.name] & {int, float} else "a1b2-w0-1" for f in fields(kind)}
    return kind(**values)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_what_is_written_is_read_without_a_problem(kind: Any, tmp_path: Path) -> None:
    columns = tuple(field.name for field in fields(kind))
    appender = RowAppender[Any](tmp_path / "t.csv", columns)
    appender.append([filled(kind)])
    appender.close()
    problems: list[str] = []
    frame = read_table(tmp_path / "t.csv", columns, problems)
    assert problems == []
    assert frame.iloc[0].notna().all()


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_folder_without_the_newer_columns_is_not_damaged(kind: Any, tmp_path: Path) -> None:
    columns = tuple(field.name for field in fields(kind))
    older = tuple(name for name in columns if name not in LATER and name != "inference_id")
    appender = RowAppender[Any](tmp_path / "t.csv", older)
    appender.append([filled(kind)])
    appender.close()
    problems: list[str] = []
    read_table(tmp_path / "t.csv", columns, problems, skip=frozenset({"inference_id"}))
    assert problems == []
