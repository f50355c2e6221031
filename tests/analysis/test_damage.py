"""Damaged run folders: a report that says what is missing, or one clear error. Never a silent figure."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import make_report
from analysis.report import measure_and_judge
from common.errors import UserError
from tests.support.synthetic_run import Deployed, write_run

TABLES = ("requests.csv", "steps.csv", "gaps.csv", "workers.csv")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "run"
    write_run(folder, (Deployed(measure_s=60, concurrency=(1, 4)),))
    return folder


@pytest.fixture
def folder(healthy: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy, tmp_path / "run")


def problems(folder: Path) -> str:
    return " ".join(measure_and_judge(folder).problems)


def rows(folder: Path, change: Callable[[list[str], list[list[str]]], list[list[str]]]) -> None:
    header, *lines = (folder / "requests.csv").read_text().splitlines()
    names = header.split(",")
    changed = change(names, [line.split(",") for line in lines])
    (folder / "requests.csv").write_text("\n".join([",".join(names), *(",".join(r) for r in changed)]) + "\n")


def test_a_healthy_folder_has_no_problems(folder: Path) -> None:
    assert problems(folder) == "locust_stats.csv is missing: nothing of Locust's to compare with."


def test_half_a_last_line_is_left_out_and_told(folder: Path) -> None:
    path = folder / "requests.csv"
    text = path.read_text()
    before = measure_and_judge(folder).steps[1].step_counts.ok
    path.write_text(text[: text.rindex("\n", 0, -1) + 40])
    after = measure_and_judge(folder)
    assert "requests.csv: the last line is cut off" in " ".join(after.problems)
    assert after.steps[1].step_counts.ok == before - 1


def test_a_line_cut_in_the_middle_of_the_file_is_left_out(folder: Path) -> None:
    path = folder / "requests.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5][:30] + "\n"
    path.write_text("".join(lines))
    assert "1 damaged line(s) left out" in problems(folder)


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_or_empty_table_is_told(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing" in problems(folder)
    (folder / name).write_text("")
    assert f"{name} is empty" in problems(folder)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_report_is_made_even_of_nothing_but_a_manifest(folder: Path) -> None:
    for name in TABLES:
        (folder / name).unlink()
    made = make_report(folder)
    assert "Nothing was measured" in made.answer
    assert [w for w in made.warnings if "is missing" in w][: len(TABLES)]


@pytest.mark.parametrize("column", ["ttft_ms", "prompt_tokens", "outcome", "started_at", "e2e_ms"])
def test_a_missing_column_is_told_and_never_counted_as_zero(folder: Path, column: str) -> None:
    def drop(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        at = names.index(column)
        names.pop(at)
        return [row[:at] + row[at + 1 :] for row in cells]

    rows(folder, drop)
    result = measure_and_judge(folder)
    assert any(f"has no column {column}" in problem for problem in result.problems)
    step = result.steps[0]
    if column == "ttft_ms":
        assert "ttft" not in step.latency
        assert (step.shown("e2e", 50) or 0) > 0
    elif column == "prompt_tokens":
        assert step.throughput.prompt_tokens_per_s is None
    else:
        assert step.window_counts.ok == 0
        assert step.trust.level == "void"


def test_negative_infinite_and_impossible_times_count_as_unmeasured(folder: Path) -> None:
    def spoil(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        ttft, e2e = names.index("ttft_ms"), names.index("e2e_ms")
        cells[3][ttft] = "-5"
        cells[4][ttft] = "inf"
        cells[5][ttft] = str(float(cells[5][e2e]) + 1)
        cells[6][e2e] = "NaN"
        return cells

    rows(folder, spoil)
    sentence = problems(folder)
    assert "2 negative or infinite value(s) count as unmeasured" in sentence
    assert "1 row(s) with the first token after the last" in sentence
    assert "1 ok row(s) without end-to-end latency left out" in sentence


def test_text_where_numbers_belong_counts_as_unmeasured(folder: Path) -> None:
    def spoil(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        cells[3][names.index("prompt_tokens")] = "many"
        return cells

    rows(folder, spoil)
    assert "1 cell(s) hold no number" in problems(folder)


def test_rows_without_a_start_or_with_an_unknown_outcome_are_left_out(folder: Path) -> None:
    def spoil(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        cells[3][names.index("started_at")] = ""
        cells[4][names.index("outcome")] = "perhaps"
        cells[5][names.index("started_at")] = "-7"
        return cells

    rows(folder, spoil)
    assert "3 row(s) without step, start or outcome left out" in problems(folder)


def test_a_clock_that_jumped_back_makes_a_window_void(folder: Path) -> None:
    lines = (folder / "steps.csv").read_text().splitlines()
    names = lines[0].split(",")
    cells = lines[1].split(",")
    start, end = names.index("measure_started_at"), names.index("measure_ended_at")
    cells[start], cells[end] = cells[end], cells[start]
    (folder / "steps.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    result = measure_and_judge(folder)
    assert "window(s) end before they begin" in " ".join(result.problems)
    assert result.steps[0].trust.level == "void"
    assert result.steps[1].trust.level != "void"


def test_many_rows_of_one_step_and_none_of_another(folder: Path) -> None:
    def only_first(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        return [row for row in cells if row[names.index("step")].endswith("/c1")]

    rows(folder, only_first)
    first, second = measure_and_judge(folder).steps
    assert first.trust.level != "void"
    assert second.trust.level == "void"
    assert second.throughput.per_minute in {0, None}


def test_rows_of_a_step_that_nobody_knows_enter_no_figure(folder: Path) -> None:
    before = measure_and_judge(folder).steps[0].throughput.per_minute

    def stray(names: list[str], cells: list[list[str]]) -> list[list[str]]:
        other = [list(row) for row in cells]
        for row in other:
            row[names.index("step")] = "another/c1"
        return cells + other

    rows(folder, stray)
    result = measure_and_judge(folder)
    assert result.steps[0].throughput.per_minute == before
    assert "belong to no step" in " ".join(result.problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        (json.dumps({"format": 99}), "has format 99"),
        (json.dumps({"format": 1}), "run_id"),
    ],
)
def test_a_bad_manifest_is_one_clear_error(folder: Path, content: str, message: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=message):
        make_report(folder)


@pytest.mark.parametrize("price", ["-1.41", "0", "NaN", "Infinity"])
def test_a_price_that_none_can_be_is_one_clear_error(folder: Path, price: str) -> None:
    content = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(
        content.replace('"usd_per_hour": 1.4084', f'"usd_per_hour": {price}')
    )
    with pytest.raises(UserError, match=r"experiments\.0\.price\.usd_per_hour"):
        measure_and_judge(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content.replace(b'"run_id": "', b'"run_id": "\xe9', 1),
            r"manifest.json is damaged \(byte",
        ),
        (lambda _: b'{"a":' * 6000 + b"1" + b"}" * 6000, "manifest.json is damaged .nested too deeply"),
    ],
)
def test_a_manifest_that_cannot_be_decoded_is_named(
    folder: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    path = folder / "manifest.json"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=message):
        make_report(folder)


def test_a_byte_order_mark_before_the_manifest_is_no_damage(folder: Path) -> None:
    path, before = folder / "manifest.json", problems(folder)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert problems(folder) == before


@pytest.mark.parametrize("name", ["manifest.json", "requests.csv"])
def test_a_folder_where_a_file_belongs_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(UserError, match=f"{name}: cannot be read"):
        make_report(folder)


@pytest.mark.parametrize("name", TABLES)
def test_an_invalid_byte_costs_no_row_of_a_table(folder: Path, name: str) -> None:
    before = measure_and_judge(folder).steps[1].step_counts.ok
    path = folder / name
    header, line, rest = path.read_bytes().split(b"\n", 2)
    letter = next(c for c in b"ceamt" if c in line)
    path.write_bytes(b"\n".join([header, line.replace(bytes([letter]), b"\xff", 1), rest]))
    after = measure_and_judge(folder)
    assert f"{name}: 1 invalid byte(s) are read as �" in " ".join(after.problems)
    assert after.steps[1].step_counts.ok >= before - 1
    assert after.steps[1].throughput.per_minute is not None


def test_a_stray_quotation_mark_costs_one_line_not_the_rest_of_the_file(folder: Path) -> None:
    before = measure_and_judge(folder).steps[1].step_counts.ok
    path = folder / "requests.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace(",", ',"', 1)
    path.write_text("".join(lines))
    after = measure_and_judge(folder)
    assert "requests.csv: 1 damaged line(s) left out." in after.problems
    assert after.steps[1].step_counts.ok == before


def test_binary_rubbish_in_a_table_is_told(folder: Path) -> None:
    (folder / "workers.csv").write_bytes(bytes(range(256)) * 50 + b"\n")
    assert "workers.csv" in problems(folder)


def test_a_folder_that_cannot_be_written_is_a_clear_error(folder: Path) -> None:
    (folder / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        make_report(folder, out=folder / "taken")


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def test_two_experiments_of_one_name_are_refused(folder: Path) -> None:
    """Their steps are the same rows, and each would count them and pay for them."""
    change_manifest(folder, lambda manifest: manifest["experiments"].append(manifest["experiments"][0]))
    with pytest.raises(UserError, match="is named twice"):
        make_report(folder)


def test_no_instance_at_all_is_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest["experiments"][0].update(instance_count=0))
    with pytest.raises(UserError, match="instance_count"):
        make_report(folder)


def test_an_objective_that_none_can_be_is_refused(folder: Path) -> None:
    wrong = {"metric": "ttft", "statistic": "p42", "limit_ms": 100}
    change_manifest(folder, lambda manifest: manifest["plan"].update(slo={"objectives": [wrong]}))
    with pytest.raises(UserError, match=r"plan\.slo\.objectives: statistic"):
        make_report(folder)


def test_a_step_of_no_user_at_all_is_not_one(folder: Path) -> None:
    path = folder / "steps.csv"
    steps = pd.read_csv(path)
    steps["concurrency"] = 0
    steps.to_csv(path, index=False)
    result = measure_and_judge(folder)
    assert {step.trust.level for step in result.steps} == {"void"}
    assert "without step, concurrency or rate left out" in " ".join(result.problems)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_report_is_made_without_any_count_of_output_tokens(folder: Path) -> None:
    path = folder / "requests.csv"
    rows = pd.read_csv(path).drop(columns="completion_tokens")
    rows.to_csv(path, index=False)
    made = make_report(folder)
    assert made.summary["experiments"][0]["steps"][0]["answers"]["mean_tokens"] is None


def test_a_worker_whose_clock_is_wrong_voids_the_step(folder: Path) -> None:
    path = folder / "requests.csv"
    rows = pd.read_csv(path)
    rows.loc[rows.index % 2 == 1, "started_at"] += 3000.0
    rows.to_csv(path, index=False)
    for step in measure_and_judge(folder).steps:
        assert "rows_outside_step" in step.trust.codes
        assert step.trust.level == "void"
