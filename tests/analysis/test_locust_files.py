"""Locust's CSV files as other machines and programs leave them: encodings, separators, versions, damage."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.importers.locust.csv_run import load_locust
from analysis.importers.locust.files import decode
from common.errors import UserError
from tests.analysis.locust_csvs import FAILURES, HISTORY, STATS, history, stats_row, write

KINDS = ("stats", "stats_history", "failures")


def run_of(folder: Path, name: str = "/chat", change: Callable[[bytes], bytes] = bytes) -> Path:
    """A minute of 5 users and 600 requests per minute of one name, every file changed."""
    key = ("POST", name)
    write(folder / "run_stats.csv", STATS, stats_row(name, 610, 0, 400.5))
    write(folder / "run_stats_history.csv", HISTORY, *history([5] * 61, {key: [10] * 61}, mean=400.5))
    write(folder / "run_failures.csv", FAILURES)
    for kind in KINDS:
        path = folder / f"run_{kind}.csv"
        path.write_bytes(change(path.read_bytes()))
    return folder / "run"


def expect_all(prefix: Path, name: str) -> list[str]:
    result = load_locust(prefix)
    assert result.locust is not None
    (entry,) = result.locust.requests
    (step,) = result.steps
    assert (entry.name, entry.mean) == (name, 400.5)
    assert (step.concurrency, step.throughput.per_minute) == (5, pytest.approx(600))
    return result.problems


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gbk", "生成文本的聊天接口"),
        ("cp932", "チャット"),
        ("cp1252", "génération"),
        ("utf-16", "聊天"),
        ("utf-8-sig", "聊天"),
    ],
)
def test_names_are_read_in_the_encoding_of_their_machine(tmp_path: Path, encoding: str, name: str) -> None:
    problems = expect_all(run_of(tmp_path, name, lambda content: content.decode().encode(encoding)), name)
    assumed = [problem for problem in problems if "(assumed)" in problem]
    assert len(assumed) == (0 if encoding.startswith("utf") else 2)


def test_one_invalid_byte_in_utf_8_does_not_change_the_encoding(tmp_path: Path) -> None:
    prefix = run_of(tmp_path, "聊天接口")
    path = tmp_path / "run_stats.csv"
    path.write_bytes(path.read_bytes().replace("接".encode(), b"\xff", 1))
    result = load_locust(prefix)
    assert any("1 invalid byte(s)" in problem for problem in result.problems)
    assert result.locust is not None
    assert result.locust.requests[0].name == "聊天\ufffd口"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"\r\n", b"\r\r\n"),
        lambda content: content.replace(b"\r\n", b"\n"),
        lambda content: content.replace(b",", b";").replace(b".", b","),
        lambda content: b"sep=;\r\n" + content.replace(b",", b";"),
        lambda content: content.decode().replace(",", "\t").encode("utf-16"),
        lambda content: content.replace(b"\r\n", b"\r\n\r\n"),
    ],
    ids=["Windows", "Unix", "decimal comma", "Excel", "Excel's Unicode text", "blank lines"],
)
def test_line_ends_and_separators_of_other_programs(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    assert expect_all(run_of(tmp_path, "/chat", change), "/chat") == []


def test_columns_of_locust_before_version_1(tmp_path: Path) -> None:
    columns = (
        '"Type","Name","# requests","# failures","Average response time","Requests/s","Requests Failed/s"'
    )
    (tmp_path / "old_stats.csv").write_text(
        f'{columns}\n"POST","/chat",600,6,400.5,10.0,0.1\n', encoding="utf-8"
    )
    (step,) = load_locust(tmp_path / "old").steps
    assert (step.window_counts.ok, step.window_counts.failed, step.throughput.per_minute) == (
        594,
        6,
        pytest.approx(594),
    )


def test_a_history_alone_gives_levels_and_totals(tmp_path: Path) -> None:
    prefix = run_of(tmp_path)
    (tmp_path / "run_stats.csv").unlink()
    problems = expect_all(prefix, "/chat")
    assert any("totals come from the end of the history" in problem for problem in problems)


def test_damaged_lines_and_cells_are_counted(tmp_path: Path) -> None:
    prefix = run_of(tmp_path)
    path = tmp_path / "run_stats_history.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[5], lines[9] = lines[5][:30], lines[9].replace(",5,", ",five,", 1)
    path.write_text("\n".join(lines), encoding="utf-8")
    problems = load_locust(prefix).problems
    assert "run_stats_history.csv: 1 damaged line(s) left out." in problems
    assert "run_stats_history.csv: 1 cell(s) hold no number and count as unmeasured." in problems


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\x00\x01\x02" * 99, "has no column")])
def test_what_is_no_statistics_file_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "run_stats.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_locust(tmp_path / "run")


def test_a_ramp_without_a_level_is_said_to_be_one(tmp_path: Path) -> None:
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 610, 0, 400.0))
    points = history(list(range(1, 62)), {("POST", "/chat"): [10] * 61})
    write(tmp_path / "run_stats_history.csv", HISTORY, *points)
    result = load_locust(tmp_path / "run")
    assert result.steps[0].concurrency is None
    assert any("number of users never held" in problem for problem in result.problems)


@given(content=st.binary(max_size=400))
def test_any_bytes_decode(content: bytes) -> None:
    text, _ = decode(content, lambda: content)
    assert isinstance(text, str)
