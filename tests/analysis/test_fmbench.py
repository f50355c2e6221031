"""FMBench's folders in both forms: one suite, one answer."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.importers.command_line_prices import Prices
from analysis.importers.fmbench.folder import load_fmbench, load_fmbench_runs
from analysis.measure.results import RunResult, StepResult
from analysis.measure.step_parts import StepCost
from analysis.report import write_report
from common.errors import UserError
from tests.analysis.fmbench_suite import FmbenchSuite, Round, Sent


def bursts(count: int, size: int = 2, **more: object) -> list[Round]:
    return [Round([Sent(2.0)] * size, **more) for _ in range(count)]  # type: ignore[arg-type]


def one_timed_out(version: int) -> FmbenchSuite:
    """20 bursts of two of 2 s; in one of them a request failed after 60 s."""
    rounds = bursts(20)
    rounds[7] = Round([Sent(2.0), Sent(60.0, ok=False)])
    return FmbenchSuite(rounds, version)


def only_step(result: RunResult) -> StepResult:
    (step,) = result.steps
    return step


def figures(step: StepResult) -> dict[str, float | None]:
    e2e = step.latency.get("e2e")
    return {
        "ok": step.window_counts.ok,
        "failed": step.window_counts.failed,
        "error_rate": step.errors.rate,
        "per_minute": step.throughput.per_minute,
        "prompt_tokens_per_s": step.throughput.prompt_tokens_per_s,
        "completion_tokens_per_s": step.throughput.completion_tokens_per_s,
        "prompt_tokens": step.tokens_per_request.prompt,
        "completion_tokens": step.tokens_per_request.completion,
        "usd_per_request": step.cost.per_request,
        "usd_per_million_output": step.cost.per_million_output,
        "in_flight": step.in_flight.mean,
        "mean": e2e.mean if e2e else None,
    }


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", ["json", "csv", "bursts"])
def test_a_burst_with_a_failure_takes_its_true_time(tmp_path: Path, version: int, form: str) -> None:
    suite = one_timed_out(version)
    folder = (
        suite.write_json(tmp_path) if form == "json" else suite.write_csv(tmp_path, requests=form == "csv")
    )
    step = only_step(load_fmbench(folder, Prices(1.41)))
    assert (step.window_counts.ok, step.window_counts.failed) == (39, 1)
    assert step.throughput.per_minute == pytest.approx(60 * 39 / 98, rel=1e-3)
    assert step.cost.per_request == pytest.approx(1.41 / 3600 * 98 / 39, rel=1e-3)
    assert step.throughput.prompt_tokens_per_s == pytest.approx(39 * 1000 / 98, rel=1e-3)
    assert step.tokens_per_request.prompt == pytest.approx(1000)


def test_a_failed_burst_takes_the_time_between_the_files(tmp_path: Path) -> None:
    """FMBench 2.x counts nothing of a burst that failed as a whole: only the files' times tell its length."""
    rounds = bursts(20)
    rounds[7] = Round([Sent(60.0, ok=False)] * 2)
    suite = FmbenchSuite(rounds, 2)
    step = only_step(load_fmbench(suite.write_json(tmp_path / "json"), Prices(1.41)))
    assert step.throughput.per_minute == pytest.approx(60 * 38 / 98, rel=1e-3)
    assert "how long 1 failed burst took" in "; ".join(step.trust.texts)
    step = only_step(load_fmbench(suite.write_csv(tmp_path / "csv"), Prices(1.41)))
    assert (step.throughput.per_minute, step.cost, step.trust.level) == (None, StepCost(), "void")
    assert "does not say how long 1 burst took" in "; ".join(step.trust.texts)
    assert step.shown("e2e", 50) == pytest.approx(2000)


@st.composite
def suites(draw: st.DrawFn) -> FmbenchSuite:
    version = draw(st.sampled_from([1, 2]))
    rounds = []
    for size in draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True)):
        for payload in draw(st.sampled_from([["payload_a.jsonl"], ["payload_a.jsonl", "payload_b.jsonl"]])):
            for _ in range(draw(st.integers(1, 6))):
                sent = [
                    Sent(
                        latency=draw(st.floats(0.05, 30)),
                        prompt_tokens=draw(st.integers(200, 4000)),
                        completion_tokens=draw(st.integers(1, 90)),
                        ok=draw(st.sampled_from([True, True, True, False])),
                    )
                    for _ in range(size)
                ]
                if version == 2 and not any(r.ok for r in sent):
                    sent[0] = replace(sent[0], ok=True)  # what failed as a whole has its own test
                rounds.append(Round(sent, payload, overhead=draw(st.floats(0.001, 0.3))))
    return FmbenchSuite(rounds, version)


@pytest.mark.e2e  # each example reads two whole folders
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suite=suites())
def test_json_and_csv_of_one_suite_give_the_same_figures(tmp_path: Path, suite: FmbenchSuite) -> None:
    shutil.rmtree(tmp_path)
    prices = Prices(1.41)
    from_json = load_fmbench(suite.write_json(tmp_path / "json"), prices)
    from_csv = load_fmbench(suite.write_csv(tmp_path / "csv"), prices)
    from_bursts = load_fmbench(suite.write_csv(tmp_path / "bursts", requests=False), prices)
    for other in (from_csv, from_bursts):
        assert [step.id for step in other.steps] == [step.id for step in from_json.steps]
        for ours, theirs in zip(from_json.steps, other.steps, strict=True):
            expected, found = figures(ours), figures(theirs)
            if other is from_bursts and suite.version == 2 and (ours.concurrency or 0) > 2:
                for name in ("mean", "in_flight"):  # percentiles of a burst do not hold its mean
                    if found[name] is None:
                        expected[name] = None
            assert {n for n, v in found.items() if v is None} == {n for n, v in expected.items() if v is None}
            known = {name: value for name, value in expected.items() if value is not None}
            assert {name: found[name] for name in known} == pytest.approx(known, rel=1e-9)
            assert theirs.errors.rate == ours.errors.rate
            if other is from_csv or ours.concurrency == 1:
                pair = [step.shown("e2e", 50) or -1.0 for step in (ours, theirs)]
                assert pair[0] == pytest.approx(pair[1])


def test_payloads_that_took_turns_share_one_bill(tmp_path: Path) -> None:
    names = ("payload_a.jsonl", "payload_b.jsonl", "payload_c.jsonl")
    rounds = [r for size in (1, 2) for name in names for r in bursts(6, size, payload=name)]
    result = load_fmbench(FmbenchSuite(rounds).write_json(tmp_path), Prices(3.6))
    span = 36 * 2.5 - 0.5 + 0.001 * 6 * 3 * 3  # 2 s and a pause of 0.5 s each, and the files' times
    assert sum(e.cost.total_s or 0 for e in result.experiments) == pytest.approx(span, abs=0.01)
    assert sum(e.cost.usd or 0 for e in result.experiments) == pytest.approx(span / 1000, abs=1e-4)
    assert [e.cost.load_s for e in result.experiments] == pytest.approx([24.0] * 3)


def test_without_times_no_bill_is_made_up(tmp_path: Path) -> None:
    (experiment,) = load_fmbench(FmbenchSuite(bursts(12)).write_csv(tmp_path), Prices(3.6)).experiments
    assert (experiment.cost.total_s, experiment.cost.usd) == (None, None)
    assert "no times" in experiment.cost.basis


PROMPT = "Tell me in one sentence what a load test of an endpoint is for, number {}."


def echoing(answer: str = "It finds out what the endpoint can do.") -> FmbenchSuite:
    """An endpoint that returns the prompt before its 12 tokens of answer, 1 s each."""
    rounds = []
    for index in range(20):
        prompt, tokens = PROMPT.format(index), 1200 + 40 * index
        rounds.append(Round([Sent(1.0, tokens, tokens + 12, completion=f"{prompt} {answer}", prompt=prompt)]))
    return FmbenchSuite(rounds)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_repeated_prompt_is_no_output(tmp_path: Path, form: str) -> None:
    suite = echoing()
    folder = suite.write_json(tmp_path) if form == "json" else suite.write_csv(tmp_path)
    step = only_step(load_fmbench(folder, Prices(1.41)))
    assert step.throughput.completion_tokens_per_s == pytest.approx(12)
    assert step.cost.per_million_output == pytest.approx(1e6 * 1.41 / 3600 / 12)
    assert "completions repeat their prompts (20 of 20)" in "; ".join(step.trust.texts)


def test_counts_beyond_the_limit_show_a_repeated_prompt(tmp_path: Path) -> None:
    """The text of the echo lacks the prompt's special tokens: the limit of the answer gives it away."""
    suite = echoing()
    rounds = [replace(r, requests=[replace(r.requests[0], completion="other text")]) for r in suite.rounds]
    step = only_step(load_fmbench(FmbenchSuite(rounds).write_json(tmp_path)))
    assert step.throughput.completion_tokens_per_s == pytest.approx(12)


def test_without_texts_counts_that_follow_the_prompts_are_not_output(tmp_path: Path) -> None:
    step = only_step(load_fmbench(echoing().write_csv(tmp_path, requests=False), Prices(1.41)))
    assert (step.throughput.completion_tokens_per_s, step.cost.per_million_output) == (None, None)
    assert step.throughput.per_minute == pytest.approx(60)
    assert "completion counts follow the prompt counts" in "; ".join(step.trust.texts)


def test_an_echo_without_an_answer_is_no_answer(tmp_path: Path) -> None:
    step = only_step(load_fmbench(echoing(answer="").write_json(tmp_path)))
    assert (step.window_counts.ok, step.window_counts.failed, step.errors.classes) == (0, 20, {"empty": 20})


def test_long_answers_are_not_taken_for_an_echo(tmp_path: Path) -> None:
    rounds = [Round([Sent(1.0, 100 + i, 100)]) for i in range(20)]
    for form in ("json", "bursts"):
        suite = FmbenchSuite(rounds)
        folder = tmp_path / form
        suite.write_json(folder) if form == "json" else suite.write_csv(folder, requests=False)
        assert only_step(load_fmbench(folder)).throughput.completion_tokens_per_s == pytest.approx(100)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_models_are_named_and_not_compared(tmp_path: Path) -> None:
    rounds = bursts(12, experiment="llama2-7b-g5.xlarge") + bursts(12, experiment="mistral-7b-g5.xlarge")
    result = load_fmbench(FmbenchSuite(rounds).write_json(tmp_path), Prices(1.41))
    assert [e.model for e in result.experiments] == ["llama2-7b", "mistral-7b"]
    assert [e.payload for e in result.experiments] == ["en_500-1000 (llama2-7b)", "en_500-1000 (mistral-7b)"]
    assert "Several models were measured: llama2-7b and mistral-7b." in " ".join(result.problems)
    write_report(result, tmp_path / "report")
    page = (tmp_path / "report" / "report.md").read_text()
    assert "for the `llama2-7b` and `mistral-7b` models" in page
    assert "| `payload_en_500-1000.jsonl (mistral-7b)` |" in page


def test_one_model_on_two_instances_is_compared(tmp_path: Path) -> None:
    rounds = bursts(12, experiment="llama2-7b-g5.xlarge") + bursts(
        12, experiment="Llama2-7B-p4d.24xlarge-trt"
    )
    result = load_fmbench(FmbenchSuite(rounds).write_json(tmp_path))
    assert {e.payload for e in result.experiments} == {"en_500-1000"}


@pytest.mark.parametrize(
    ("columns", "model"),
    [
        (
            {"ModelName": "meta-textgeneration-llama-2-7b-2024-03-22-21-36-54-275"},
            "meta-textgeneration-llama-2-7b",
        ),
        (
            {"HF_MODEL_ID": "mistralai/Mistral-7B", "ModelName": "tgi-2024-03-22-21-36-54-275"},
            "mistralai/Mistral-7B",
        ),
        ({"HF_MODEL_ID": "/opt/ml/model", "ModelName": ""}, "llama2-7b"),
    ],
)
def test_the_model_has_the_name_that_tells_it_from_others(
    tmp_path: Path, columns: dict[str, str], model: str
) -> None:
    suite = FmbenchSuite(bursts(12), columns=columns)
    assert load_fmbench(suite.write_csv(tmp_path)).experiments[0].model == model


def test_several_suites_are_listed_and_treated_one_by_one(tmp_path: Path) -> None:
    FmbenchSuite(bursts(12)).write_json(tmp_path / "first")
    FmbenchSuite([Round([Sent(4.0)] * 2)] * 12).write_csv(tmp_path / "second")
    with pytest.raises(UserError, match=r"2 FMBench runs \(first and second\)"):
        load_fmbench(tmp_path)
    runs = load_fmbench_runs(tmp_path)
    assert [run.label for run in runs] == ["first", "second"]
    assert [only_step(run.result).throughput.per_minute for run in runs] == pytest.approx([60.0, 30.0])


@pytest.mark.parametrize("levels", [(1, 2), (2,)])
def test_two_runs_in_one_folder_are_not_pooled(tmp_path: Path, levels: tuple[int, ...]) -> None:
    """A level that comes again after another one, or after a long pause, is another run."""
    first = [r for size in levels for r in bursts(12, size)]
    again = [Round([Sent(4.0)] * size) for size in levels for _ in range(12)]
    again[0] = replace(again[0], pause=0.5 if len(levels) > 1 else 900.0)
    runs = load_fmbench_runs(FmbenchSuite(first + again).write_json(tmp_path))
    assert [run.label for run in runs] == ["run-1", "run-2"]
    assert [step.window_counts.ok for run in runs for step in run.result.steps] == [
        12 * s for s in levels
    ] * 2
    assert "this is run 2, begun 2026" in " ".join(runs[1].result.problems)


def test_two_endpoints_of_one_experiment_are_two_runs(tmp_path: Path) -> None:
    rounds = bursts(12) + bursts(12, endpoint="another-endpoint")
    assert len(load_fmbench_runs(FmbenchSuite(rounds).write_csv(tmp_path))) == 2


def test_payloads_in_turn_and_a_request_that_took_minutes_are_one_run(tmp_path: Path) -> None:
    rounds = [r for _ in range(6) for name in ("payload_a", "payload_b") for r in bursts(1, payload=name)]
    rounds[4] = Round([Sent(400.0)] * 2, "payload_a")
    assert len(load_fmbench_runs(FmbenchSuite(rounds).write_json(tmp_path))) == 1


def test_a_table_that_was_cut_off_loses_its_last_line(tmp_path: Path) -> None:
    path = FmbenchSuite(bursts(20)).write_csv(tmp_path, requests=False) / "all_metrics.csv"
    path.write_text(path.read_text()[:-40])
    result = load_fmbench(tmp_path)
    assert only_step(result).window_counts.ok == 38
    assert only_step(result).throughput.per_minute == pytest.approx(60)
    assert "all_metrics.csv: the last line is cut off and was left out." in result.problems


def test_a_failed_prompt_may_be_longer_than_a_csv_cell_usually_is(tmp_path: Path) -> None:
    rounds = bursts(20, 1)
    rounds[3] = Round([Sent(5.0, ok=False, prompt="x" * 200_000)])
    step = only_step(load_fmbench(FmbenchSuite(rounds).write_csv(tmp_path, requests=False)))
    assert (step.window_counts.ok, step.window_counts.failed) == (19, 1)


def test_rows_in_another_order_give_the_same_figures(tmp_path: Path) -> None:
    suite = FmbenchSuite([Round([Sent(1.0 + i), Sent(2.0)], overhead=0.01) for i in range(12)])
    expected = figures(only_step(load_fmbench(suite.write_json(tmp_path / "json"))))
    folder = suite.write_csv(tmp_path / "csv")
    for name in ("all_metrics.csv", "per_inference_request_results.csv"):
        header, *lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join([header, *reversed(lines)]) + "\n")
    found = figures(only_step(load_fmbench(folder)))
    assert {k: v for k, v in found.items() if v} == pytest.approx({k: v for k, v in expected.items() if v})


@pytest.mark.parametrize("kind", ["per_inference", "per_chunk"])
@pytest.mark.parametrize(
    "damage",
    [
        [],
        "text",
        None,
        {"concurrency": "two"},
        {"concurrency": {}},
        {"concurrency": 0},
        {"latency": [1], "successes": {}},
        {"latency": "soon", "all_prompts_token_count": "many"},
        {"prompt_tokens": {"a": 1}, "errors": 5},
        {"experiment_name": 7},
        {"latency": -1, "successes": -1},
        {"latency": float("nan"), "concurrency": float("inf")},
        {"latency": 10**400, "successes": 10**400},
    ],
)
def test_valid_json_of_a_wrong_type_is_one_sentence(tmp_path: Path, kind: str, damage: object) -> None:
    folder = FmbenchSuite(bursts(20)).write_json(tmp_path)
    victim = min((folder / kind).iterdir())
    wrong = json.loads(victim.read_text()) | damage if isinstance(damage, dict) and damage else damage
    victim.write_text(json.dumps(wrong))
    result = load_fmbench(folder)
    (problem,) = [p for p in result.problems if kind in p]
    assert f"{kind}: 1 damaged file left out ({victim.name}: " in problem
    assert only_step(result).throughput.per_minute == pytest.approx(60)
    for path in (folder / kind).iterdir():
        path.write_text(json.dumps(wrong))
    shutil.rmtree(folder / ("per_chunk" if kind == "per_inference" else "per_inference"))
    with pytest.raises(UserError, match="no FMBench record can be read"):
        load_fmbench(folder)
