"""A file is replaced as a whole or not at all."""

from pathlib import Path

import pytest

from common.files import replacing, write_all_or_none, write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def write_half() -> None:
        with replacing(tmp_path / "a.txt") as fresh:
            fresh.write_text("half")
            raise OSError("half way")

    with pytest.raises(OSError, match="half way"):
        write_half()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_one_file_that_cannot_be_written_replaces_none(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="missing"):
        write_all_or_none(tmp_path, {"a.txt": "new", "missing/b.txt": "new"})
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]
