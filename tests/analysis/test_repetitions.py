"""Repetitions of a step: pooled for the answer and for comparisons, shown apart in the tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.decide.recommendation import choose
from analysis.decide.repetitions import differ, pool
from analysis.report import make_report, measure_and_judge
from tests.support.synthetic_run import Deployed, Server, write_run

TWICE = Deployed(measure_s=90, concurrency=(4, 8, 4), server=Server(failing=0.02))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    slo = {"objectives": [{"metric": "ttft", "statistic": "p95", "limit_ms": 1000.0}], "error_rate": 0.1}
    write_run(tmp_path, (TWICE,), slo=slo)
    return tmp_path


def test_a_pooled_step_is_all_requests_over_all_time(folder: Path) -> None:
    result = measure_and_judge(folder)
    first, _, again = result.steps
    both = pool([(first, result.rows), (again, result.rows)])
    assert (both.window, both.seconds) == (None, pytest.approx(180))
    assert both.window_counts.ok == first.window_counts.ok + again.window_counts.ok
    assert both.window_counts.failed == first.window_counts.failed + again.window_counts.failed > 0
    assert both.throughput.completions == (first.throughput.completions or 0) + (
        again.throughput.completions or 0
    )
    assert both.throughput.per_minute == pytest.approx(both.throughput.completions / 3)
    assert both.errors.rate == pytest.approx(both.window_counts.failed / both.window_counts.ended)
    assert both.errors.classes == {"model_5xx": both.window_counts.failed}
    mean = (
        first.latency["ttft"].mean * first.latency["ttft"].n
        + again.latency["ttft"].mean * again.latency["ttft"].n
    ) / both.window_counts.ok
    assert both.latency["ttft"].mean == pytest.approx(mean)
    assert both.latency["ttft"].n == both.window_counts.ok
    rows = result.rows[result.rows["step"].isin([first.id, again.id])]
    inside = [
        rows[
            (rows["step"] == s.id)
            & (rows["started_at"] >= s.window.start)
            & (rows["started_at"] < s.window.end)
        ]
        for s in (first, again)
        if s.window is not None
    ]
    values = np.concatenate([part.loc[part["outcome"] == "ok", "ttft_ms"].to_numpy(float) for part in inside])
    assert both.latency["ttft"].percentiles[95] == pytest.approx(np.percentile(values, 95))
    assert both.in_flight.mean == pytest.approx(4, rel=0.02)


def test_a_warning_of_one_repetition_is_one_of_the_pooled_step(folder: Path) -> None:
    requests = pd.read_csv(folder / "requests.csv")
    some = requests[(requests["step"].str.endswith("c4#2")) & (requests["outcome"] == "ok")].index[20:]
    requests.loc[some, "completion_tokens"] = requests.loc[some, "chunks"] - 1
    requests.to_csv(folder / "requests.csv", index=False)
    result = measure_and_judge(folder)
    first, _, again = result.steps
    assert "more_chunks_than_tokens" in again.trust.codes
    both = pool([(first, result.rows), (again, result.rows)])
    assert both.provenance.more_chunks_than_tokens == again.provenance.more_chunks_than_tokens > 0
    assert "more_chunks_than_tokens" in both.trust.codes


def test_withheld_arrivals_of_every_repetition_are_counted(folder: Path) -> None:
    result = measure_and_judge(folder)
    first, _, again = result.steps
    parts = [
        (replace(step, window_counts=replace(step.window_counts, withheld=count)), result.rows)
        for step, count in ((first, 2), (again, 3))
    ]
    assert pool(parts).window_counts.withheld == 5


def test_one_step_alone_is_itself(folder: Path) -> None:
    result = measure_and_judge(folder)
    assert pool([(result.steps[0], result.rows)]) is result.steps[0]


def test_what_differs_between_repetitions_is_noise(tmp_path: Path) -> None:
    """Two repetitions that are sure of themselves and disagree by a fifth: together they are not sure."""
    for name, tpot in (("a", 25.0), ("b", 31.0)):
        write_run(tmp_path / name, (Deployed(measure_s=120, concurrency=(4,), server=Server(tpot_ms=tpot)),))
    one, other = (measure_and_judge(tmp_path / name) for name in ("a", "b"))
    both = pool([(one.steps[0], one.rows), (other.steps[0], other.rows)])
    each, pooled = one.steps[0].throughput.per_minute_interval, both.throughput.per_minute_interval
    assert each is not None
    assert pooled is not None
    assert differ([one.steps[0], other.steps[0]])
    assert pooled.high - pooled.low > 5 * (each.high - each.low), "two runs that disagree say little"
    assert "differ by more than their own noise" in both.trust.reasons[-1].text


def test_repetitions_that_agree_make_the_figure_surer(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path / str(seed), (Deployed(measure_s=120, concurrency=(4,)),), seed=seed)
    one, other = (measure_and_judge(tmp_path / name) for name in ("1", "2"))
    both = pool([(one.steps[0], one.rows), (other.steps[0], other.rows)])
    widths = [
        interval.high - interval.low
        for step in (one.steps[0], other.steps[0], both)
        if (interval := step.throughput.per_minute_interval) is not None
    ]
    assert widths[2] < max(widths[:2])
    assert both.trust.level == "pass"


def test_what_is_too_few_for_one_may_be_enough_together(tmp_path: Path) -> None:
    failing = Server(failing=0.03)
    write_run(tmp_path, (Deployed(measure_s=30, concurrency=(4, 4), server=failing),))
    result = measure_and_judge(tmp_path)
    assert all("too few for a p95" in step.trust.reasons[0].text for step in result.steps)
    both = pool([(step, result.rows) for step in result.steps])
    assert both.window_counts.ok >= 100
    said = "; ".join(both.trust.texts)
    assert "too few for a p95" not in said
    assert said.count("failed (") == 1
    assert f"{both.window_counts.failed} requests failed" in said


def test_other_reasons_of_a_repetition_stay(folder: Path) -> None:
    result = measure_and_judge(folder)
    first, _, again = result.steps
    again.trust.add("warn", "client_lag", "the client's event loop lagged")
    both = pool([(first, result.rows), (again, result.rows)])
    assert "client_lag" in both.trust.codes
    assert both.trust.level == "warn"


def test_a_repetition_does_not_compete_with_itself(folder: Path) -> None:
    (choice,) = choose(measure_and_judge(folder))
    assert [len(candidate.repetitions) for candidate in choice.candidates] == [2, 1]
    assert choice.best is not None
    assert choice.runner_up is not None
    assert {choice.best.step.concurrency, choice.runner_up.step.concurrency} == {4, 8}


def test_a_void_repetition_spoils_no_other(folder: Path) -> None:
    steps = (folder / "steps.csv").read_text().splitlines()
    steps[-1] = steps[-1].replace(",complete,", ",interrupted,")
    (folder / "steps.csv").write_text("\n".join(steps) + "\n")
    result = measure_and_judge(folder)
    (choice,) = choose(result)
    assert [[step.id[-2:] for step in c.repetitions] for c in choice.candidates] == [["c4"], ["c8"], ["#2"]]
    assert [c.step.usable for c in choice.candidates] == [True, True, False]


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_the_tables_show_every_repetition_and_mark_those_of_the_best(folder: Path) -> None:
    made = make_report(folder)
    chosen = made.summary["choices"][0]["best"]
    page = (folder / "report.html").read_text()
    assert '<th scope="row" class="text">4 #2</th>' in page
    if chosen["concurrency"] == 4:
        assert chosen["repetitions"] == ["ml.g5.xlarge/en_1-500/c4", "ml.g5.xlarge/en_1-500/c4#2"]
    assert page.count('<tr class="best">') == 3 * len(chosen["repetitions"])
    assert [step["slo"]["status"] for step in made.summary["experiments"][0]["steps"]] == ["met"] * 3
