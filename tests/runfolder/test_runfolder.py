"""What load leaves behind is what analysis reads, row for row, and a damaged manifest is told."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolder.appending import RowAppender, append_jsonl, replace_rows, row_from_strings
from runfolder.layout import create_run_folder, locust_prefix, new_run_folder
from runfolder.manifest import FORMAT, Manifest, Notice, read_manifest
from runfolder.records import REQUEST_COLUMNS, STEP_COLUMNS, Request, StepRow

MILLISECONDS = st.none() | st.floats(0, 1e7).map(lambda x: round(x, 6))
REQUESTS = st.builds(
    Request,
    request_id=st.uuids().map(str),
    step=st.just("x/c1"),
    worker=st.just("w"),
    payload_id=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1),
    started_at=st.floats(1.6e9, 2e9).map(lambda x: round(x, 6)),
    ttft_ms=MILLISECONDS,
    e2e_ms=MILLISECONDS,
    completion_tokens=st.none() | st.integers(0, 10**6),
    error_detail=st.none() | st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1),
    outcome=st.sampled_from(["ok", "failed", "censored"]),
)


@given(rows=st.lists(REQUESTS, max_size=8))
def test_rows_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Request]
) -> None:
    path = tmp_path_factory.mktemp("run") / "requests.csv"
    appender: RowAppender[Request] = RowAppender(path, REQUEST_COLUMNS)
    for row in rows:
        appender.append([row])
    appender.close()
    with path.open(newline="", encoding="utf-8") as file:
        back = [row_from_strings(Request, line) for line in csv.DictReader(file)]
    assert back == rows


def test_an_appender_that_returns_writes_no_second_header(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    for number in range(2):
        appender: RowAppender[Request] = RowAppender(path, REQUEST_COLUMNS)
        appender.append([Request(str(number), "s", "w", "p", 1.0)])
        appender.close()
    assert len(path.read_text().splitlines()) == 3


def test_unmeasured_is_empty_and_zero_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    replace_rows(path, STEP_COLUMNS, [StepRow("s", "e", 0, 1, ok=0)])
    with path.open(newline="") as file:
        line = next(csv.DictReader(file))
    assert line["ok"] == "0"
    assert line["failed"] == ""
    back = row_from_strings(StepRow, line)
    assert (back.ok, back.failed, back.concurrency) == (0, None, 1)


def test_latest_points_at_the_newest_and_names_never_collide(tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = new_run_folder(tmp_path, "p", now)
    create_run_folder(first)
    second = new_run_folder(tmp_path, "p", now)
    create_run_folder(second)
    assert first.name == "p-20260102T030405Z"
    assert second != first
    assert (tmp_path / "latest").resolve() == second.resolve()


def test_locust_files_are_apart_only_where_there_are_several_experiments() -> None:
    assert locust_prefix(0, 1) == "locust"
    assert [locust_prefix(i, 2) for i in range(2)] == ["locust_1", "locust_2"]


def test_a_manifest_survives_the_disk(tmp_path: Path) -> None:
    notice = Notice(kind="endpoint", text="Two variants")
    manifest = Manifest(run_id="r", plan={"name": "p"}, started_at=1.5, notices=[notice])
    manifest.save(tmp_path)
    assert read_manifest(tmp_path) == manifest


def test_notices_of_other_versions_are_read(tmp_path: Path) -> None:
    notices = ["A sentence", {"kind": "of_a_later_version", "text": "Another"}]
    content = {"format": 1, "run_id": "r", "plan": {}, "started_at": 1.5, "notices": notices}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    read = [(notice.kind, notice.text) for notice in read_manifest(tmp_path).notices]
    assert read == [("other", "A sentence"), ("other", "Another")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        (json.dumps({"format": FORMAT + 1}), "update it"),
        (json.dumps({"format": FORMAT, "run_id": "r"}), "plan"),
    ],
)
def test_a_damaged_manifest_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_manifest(tmp_path)


def test_json_lines_append(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    append_jsonl(path, [{"a": "é"}])
    append_jsonl(path, [{"a": 2}])
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        {"a": "é"},
        {"a": 2},
    ]
