"""When an adaptive measurement and warm-up end, and what the report says of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.decide.dwell import GROWTH, IN_A_ROW, Look, is_known, look_at, next_look_s, reach_of
from analysis.decide.dwell_course import dwell_of
from analysis.decide.recommendation import choose
from analysis.decide.warm_up import is_steady
from analysis.measure.results import StepResult
from analysis.metrics.definitions import Window
from analysis.metrics.time_blocks import BLOCKS, BlockSums, ObjectiveSums
from analysis.render.recommendation_text import answer_notes
from analysis.render.step_tables import step_tables
from analysis.report import measure_and_judge
from bench.benchmarks.adaptive_dwell import measure
from bench.benchmarks.coverage import Load as SimulatedLoad
from bench.benchmarks.coverage import play
from bench.benchmarks.coverage import step as measured_step
from configs.dwell import MeasureUntil
from tests.support.adaptive_run import make_adaptive
from tests.support.synthetic_run import Deployed, write_run

UNTIL = MeasureUntil(until=0.05, of="e2e_p95", at_most=600)


def looks(*reaches: float | None) -> list[Look]:
    """Looks at 60, 90, 135 … seconds."""
    return [Look(60 * GROWTH**number, reach) for number, reach in enumerate(reaches)]


def test_it_ends_only_after_two_narrow_looks_in_a_row() -> None:
    assert not is_known(UNTIL, looks(0.04))
    assert is_known(UNTIL, looks(0.04, 0.04))
    assert not is_known(UNTIL, looks(0.04, 0.2))
    assert is_known(UNTIL, looks(0.2, 0.05, 0.05))
    assert not is_known(UNTIL, looks(0.05, None))
    assert not is_known(UNTIL, looks(None, 0.04))


def test_the_noisier_of_the_two_looks_counts() -> None:
    """±7% after 60 s is as noisy as ±5.7% after 90 s."""
    assert not is_known(UNTIL, looks(0.07, 0.01))
    assert is_known(UNTIL, looks(0.06, 0.01)), "6% after 60 s is 4.9% after 90 s"


def test_it_does_not_end_before_several_waves_or_while_the_load_drifts() -> None:
    narrow = looks(0.01, 0.01)
    assert is_known(UNTIL, narrow)
    for unfit in ({"enough": False}, {"steady": False}):
        assert not is_known(UNTIL, [*narrow[:-1], replace(narrow[-1], **unfit)])


def test_the_looks_are_far_apart_and_allow_the_shortest_measurement() -> None:
    found: list[Look] = []
    while (seconds := next_look_s(UNTIL, found)) is not None:
        found.append(Look(seconds, 0.01))
    assert len(found) == IN_A_ROW
    assert found[-1].seconds == pytest.approx(90)
    assert next_look_s(UNTIL, looks(0.2)) == pytest.approx(90)


def test_mlperf_has_a_minimum_duration_of_its_own() -> None:
    mlperf = MeasureUntil(until=0.05, of="throughput", at_least="mlperf", at_most=3600)
    assert mlperf.floor_s(None) == 600
    assert mlperf.floor_s(200.0) == 1000, "five times the p99"
    step = measured_step(SimulatedLoad(8, 2.0, 120, 0.0), 120, np.random.default_rng(1))
    assert look_at(step, UNTIL).enough
    assert not look_at(step, mlperf).enough


def test_a_look_takes_the_intervals_of_the_report() -> None:
    step = measured_step(SimulatedLoad(8, 2.0, 120, 0.0), 120, np.random.default_rng(1))
    e2e = step.latency["e2e"]
    p95 = e2e.intervals[95]
    assert reach_of(step, "e2e_p95") == pytest.approx((p95.high - p95.low) / 2 / e2e.percentiles[95])
    rate = step.throughput.per_minute_interval
    assert rate is not None
    assert reach_of(step, "throughput") == pytest.approx(
        (rate.high - rate.low) / 2 / (step.throughput.per_minute or 0)
    )
    assert reach_of(step, "ttft_p95") is None, "the answers were not streamed"
    look = look_at(step, UNTIL)
    assert (look.seconds, look.enough, look.steady) == (120, True, True)
    assert not look_at(step, UNTIL.model_copy(update={"at_least": 200.0})).enough
    assert step.trust.reasons == [], "a look judges nothing"


def test_the_simulation_ends_no_run_before_its_first_narrow_look() -> None:
    load, until = SimulatedLoad(8, 2.0, 300, 2.0), UNTIL.model_copy(update={"until": 0.2, "at_most": 300.0})
    ruled, naive, whole = measure(play(load, 300, np.random.default_rng(3)), load, until, 3000.0)
    assert 90 <= naive.seconds <= ruled.seconds < whole.seconds == 300


def warming(tpot: np.ndarray, answered: int = 600) -> StepResult:
    each = np.full(BLOCKS, answered / BLOCKS)
    nothing = np.zeros(BLOCKS)
    step = StepResult(
        "e/c4", "e", 1, 4, "running",
        window=Window(0.0, 30.0),
        blocks=BlockSums(nothing, nothing, nothing, nothing, each),
        tpot_blocks=ObjectiveSums(each, tpot * each),
    )  # fmt: skip
    return replace(step, window_counts=replace(step.window_counts, ok=answered))


def test_a_warm_up_ends_when_the_time_per_token_has_settled() -> None:
    time = np.linspace(0, 1, BLOCKS)
    noise = np.random.default_rng(4).normal(0, 0.01, BLOCKS)
    assert is_steady(warming(20 * (1 + noise)))
    assert is_steady(warming(20 * (1 + noise + np.exp(-time / 0.05)))), "the first third is left out"
    assert not is_steady(warming(20 * (1 + noise + np.exp(-time / 0.5))))
    assert not is_steady(warming(20 * (1 + noise), answered=7)), "not two waves of four users"


def test_the_report_says_what_the_lengths_saved(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, warm_up_s=20, concurrency=(2, 4), usd_per_hour=3.6),))
    make_adaptive(tmp_path)
    result = measure_and_judge(tmp_path)
    course = dwell_of(result.experiments[0], result.plan)
    assert course is not None
    assert [step.end for step in course.steps] == ["reached", "reached"]
    warm = [step.warm_up_s for step in course.steps]
    assert course.saved_s == pytest.approx(2 * 480 + sum(120 - (each or 0) for each in warm))
    assert course.saved_usd == pytest.approx(course.saved_s * 0.001)
    choices = choose(result)
    (note,) = (note for note in answer_notes(result, choices) if "saved" in note)
    assert note.endswith("against fixed measurements of 10 min 00 s and warm-ups of 2 min 00 s.")
    table = next(t for t in step_tables(result, result.experiments[0], choices) if "Length" in t.title)
    assert [row[2] for row in table.rows] == ["2 min 00 s", "2 min 00 s"]
    assert {row[4] for row in table.rows} == {"narrow enough"}


def test_a_measurement_that_used_all_its_time_ended_at_the_limit(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(2,)),))
    make_adaptive(tmp_path, at_most="120s", warm_up=20)
    result = measure_and_judge(tmp_path)
    course = dwell_of(result.experiments[0], result.plan)
    assert course is not None
    assert course.steps[0].end == "limit"
    assert course.saved_s == 0
