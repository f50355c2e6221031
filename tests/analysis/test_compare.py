"""Comparing runs: regressions beyond noise, and no alarm for a repetition."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from analysis.decide.compare import compare, comparison_markdown
from analysis.report import measure_and_judge
from bench.commands.report import compare_command
from common.errors import UserError
from tests.support.synthetic_run import Deployed, Server, write_run

BASE = Deployed(measure_s=240, concurrency=(2, 8))
SLOW = Deployed(measure_s=240, concurrency=(2, 8), server=Server(tpot_ms=32))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("compare")
    write_run(root / "a", (BASE,), seed=1)
    write_run(root / "again", (BASE,), seed=2)
    write_run(root / "slow", (SLOW,), seed=3)
    return {name: root / name for name in ("a", "again", "slow")}


def test_a_repetition_raises_no_alarm(runs: dict[str, Path]) -> None:
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(runs["again"])])
    assert len(found.lines) == 14
    assert found.regressed == []
    assert "No regression beyond noise" in found.summary


def test_short_noisy_repetitions_raise_no_alarm_either(tmp_path: Path) -> None:
    noisy = Deployed(measure_s=40, warm_up_s=5, server=Server(noise=0.3))
    for seed in range(6):
        write_run(tmp_path / str(seed), (noisy,), seed=seed)
    first, *others = [measure_and_judge(tmp_path / str(seed)) for seed in range(6)]
    found = [compare([first], [other]) for other in others]
    assert sum(len(one.lines) for one in found) > 80
    assert [line for one in found for line in one.regressed] == []


def test_slower_tokens_are_a_regression_in_the_right_places(runs: dict[str, Path]) -> None:
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(runs["slow"])])
    worse = {line.metric for line in found.regressed}
    assert {"TPOT p50", "TPOT p95", "requests/min"} <= worse
    assert not worse & {"TTFT p50", "TTFT p95"}
    tpot = next(line for line in found.regressed if line.metric == "TPOT p50" and line.step.endswith("c2"))
    assert tpot.change == pytest.approx(7 / 28, abs=0.02)
    assert tpot.interval.low < tpot.change < tpot.interval.high


def test_faster_is_better_and_no_regression(runs: dict[str, Path]) -> None:
    found = compare([measure_and_judge(runs["slow"])], [measure_and_judge(runs["a"])])
    assert found.regressed == []
    assert any(line.effect == "better" and line.metric == "requests/min" for line in found.lines)


def test_new_errors_are_a_regression(runs: dict[str, Path], tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=240, concurrency=(2, 8), server=Server(failing=0.05)),), seed=4)
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path)])
    assert any(line.metric == "error rate" for line in found.regressed)


def test_other_plans_are_told_and_other_steps_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    write_run(tmp_path / "longer", (Deployed(measure_s=300, concurrency=(2, 8)),))
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path / "longer")])
    assert any("plans differ in load" in note for note in found.notes)
    write_run(tmp_path / "other", (Deployed("ml.p4d.24xlarge", measure_s=60),))
    with pytest.raises(UserError, match="no step in common"):
        compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path / "other")])


def test_the_command_speaks_markdown_and_json_and_its_exit_code_is_for_ci(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    def play(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(compare_command, arguments, standalone_mode=False)
        return (result.return_value, result.stdout)

    assert play(str(runs["a"]), str(runs["again"]))[0] == 0
    code, text = play(str(runs["a"]), str(runs["slow"]), "--out", str(tmp_path / "pr.md"))
    assert code == 1
    assert "**Regression: " in text
    assert "| TPOT p50 |" in (tmp_path / "pr.md").read_text()
    code, text = play(str(runs["a"]), str(runs["again"]), str(runs["slow"]), "--json")
    assert code == 1
    found = json.loads(text)
    assert (found["event"], found["exit_code"]) == ("result", 1)
    assert [one["regressed"] for one in found["comparisons"]] == [False, True]


def test_one_run_is_not_enough(runs: dict[str, Path]) -> None:
    result = CliRunner().invoke(compare_command, [str(runs["a"])])
    assert isinstance(result.exception, UserError)


def test_the_markdown_has_one_row_per_comparison(runs: dict[str, Path]) -> None:
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(runs["again"])])
    assert comparison_markdown(found).count("\n| ml.") == len(found.lines)


def test_a_comparison_of_nothing_is_no_success(runs: dict[str, Path], tmp_path: Path) -> None:
    """A run whose steps are all void has no regression to show, and must not turn CI green."""
    write_run(tmp_path, (BASE,), seed=5)
    steps = tmp_path / "steps.csv"
    steps.write_text(steps.read_text().replace(",complete,", ",interrupted,"))
    with pytest.raises(UserError, match=r"nothing of a and .* can be compared: .*was interrupted"):
        compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path)])


def test_answers_of_another_length_are_told(runs: dict[str, Path], tmp_path: Path) -> None:
    shorter = Server(completion_tokens=(12, 48))
    write_run(tmp_path, (Deployed(measure_s=240, concurrency=(2, 8), server=shorter),), seed=5)
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path)])
    note = next(note for note in found.notes if "length" in note)
    assert "the answers have another length (59.5 → 29.7 tokens" in note
    assert "−5" in note
    assert "compare different work" in note
    same = compare([measure_and_judge(runs["a"])], [measure_and_judge(runs["again"])])
    assert not any("length" in note for note in same.notes)


def test_several_runs_of_a_side_are_repetitions(runs: dict[str, Path], tmp_path: Path) -> None:
    """One run was slower for a reason of its day: its sister, as fast as ever, says that this is noise."""
    write_run(tmp_path / "b", (SLOW,), seed=8)
    write_run(tmp_path / "c", (BASE,), seed=9)
    sides = [f"{runs['a']},{runs['again']}", f"{tmp_path / 'b'},{tmp_path / 'c'}"]
    result = CliRunner().invoke(compare_command, [*sides, "--json"], standalone_mode=False)
    (found,) = json.loads(result.stdout)["comparisons"]
    assert result.return_value == 0
    assert found["baseline"] == "a and again"
    rate = next(line for line in found["lines"] if line["metric"] == "requests/min")
    assert rate["effect"] == "unclear"


def test_errors_in_one_burst_are_no_certain_regression(runs: dict[str, Path], tmp_path: Path) -> None:
    write_run(tmp_path, (BASE,), seed=6)
    path = tmp_path / "requests.csv"
    rows = pd.read_csv(path).astype({"error_class": object})
    own = rows.index[rows["step"].str.endswith("/c8")]
    burst = own[len(own) // 2 : len(own) // 2 + 30]
    rows.loc[burst, ["outcome", "error_class"]] = ["failed", "model_5xx"]
    rows.to_csv(path, index=False)
    found = compare([measure_and_judge(runs["a"])], [measure_and_judge(tmp_path)])
    errors = [line for line in found.lines if line.metric == "error rate"]
    assert [line.effect for line in errors] == ["unclear"]
