"""Open-loop runs in the report: latency from the arrival, saturation, and words that fit the load."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import make_report
from analysis.decide.recommendation import choose
from analysis.decide.saturation import saving_of
from analysis.decide.trust import check_step
from analysis.measure.results import StepResult
from analysis.measure.step_window import measure_window
from analysis.metrics.definitions import Window
from analysis.render.fmbench_page import recommendation_table, summary_sentences
from analysis.render.levels import level_value
from analysis.render.recommendation_text import answer_lines, answer_notes
from analysis.report import measure_and_judge
from runfolder.records import GAP_COLUMNS, REQUEST_COLUMNS
from tests.analysis.runs import SLO
from tests.support.open_loop_run import make_open_loop
from tests.support.synthetic_run import Deployed, write_run

WINDOW = Window(1000.0, 1120.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(4, 8)),), slo=SLO)
    return tmp_path


def open_step(rows: pd.DataFrame) -> StepResult:
    """The result of a window of such rows, judged."""
    frame = pd.DataFrame(rows).reindex(columns=list(REQUEST_COLUMNS))
    frame["outcome"] = frame["outcome"].fillna("ok")
    gaps = pd.DataFrame(columns=list(GAP_COLUMNS), dtype=float)
    step = StepResult("e/r5", "e", 1, None, "complete", rate=5.0, window=WINDOW)
    measured = measure_window(step, frame, frame, gaps, ())
    check_step(measured)
    return measured


def rows_of(
    e2e_s: "np.ndarray | float", delay_s: "np.ndarray | float" = 0.001, rate: float = 5.0
) -> pd.DataFrame:
    """Arrivals at a constant rate from ten seconds before the window to its end."""
    arrived = np.arange(WINDOW.start - 10, WINDOW.end, 1 / rate)
    delay, e2e = np.broadcast_to(delay_s, arrived.shape), np.broadcast_to(e2e_s, arrived.shape)
    return pd.DataFrame(
        {
            "started_at": arrived + delay,
            "schedule_delay_ms": 1000 * delay,
            "e2e_ms": 1000 * e2e,
            "elapsed_ms": 1000 * e2e,
            "ttft_ms": 100.0,
            "outcome": "ok",
        }
    )


def codes(step: StepResult) -> set[str]:
    return {reason.code for reason in step.trust.reasons}


def test_latency_counts_from_the_arrival_and_from_the_start(folder: Path) -> None:
    closed = measure_and_judge(folder).steps[0].latency
    make_open_loop(folder, delay_ms=40.0)
    step = measure_and_judge(folder).steps[0]
    for metric in ("ttft", "e2e"):
        assert step.latency[metric].mean == pytest.approx(closed[metric].mean + 40.0, rel=0.01)
        assert step.latency[f"{metric}_sent"].mean == pytest.approx(closed[metric].mean, rel=0.01)
        assert f"{metric}_sent" not in closed
    assert step.latency["schedule_delay"].percentiles[99] == pytest.approx(40.0)
    assert step.latency["tpot"].mean == pytest.approx(closed["tpot"].mean, rel=0.01)


def test_a_request_belongs_to_the_window_in_which_it_arrived() -> None:
    rows = rows_of(1.0, delay_s=0.0)
    last = rows.index[-1]
    rows.loc[last, ["started_at", "schedule_delay_ms"]] = [WINDOW.end + 3, 3200.0]
    step = open_step(rows)
    assert step.window_counts.ok == (rows["started_at"] >= WINDOW.start).sum()
    assert step.latency["e2e"].high == pytest.approx(4200.0)


def test_a_steady_load_is_not_saturated() -> None:
    rng = np.random.default_rng(3)
    step = open_step(rows_of(rng.exponential(1.0, 650)))
    assert "saturated" not in codes(step)
    assert step.usable


def test_requests_that_pile_up_make_the_step_void() -> None:
    growing = np.linspace(1.0, 60.0, 650)  # each waits longer than the one before
    step = open_step(rows_of(growing))
    assert "saturated" in codes(step)
    assert not step.usable
    assert "did not keep up with 5 requests/s" in " ".join(step.trust.texts)


def test_a_window_that_was_cut_short_shows_no_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first requests of a rate are all still in flight after a second."""
    rows = rows_of(4.0)
    first = rows[rows["started_at"] >= WINDOW.start]
    monkeypatch.setattr(f"{__name__}.WINDOW", Window(WINDOW.start, WINDOW.start + 1.1))
    step = open_step(first[first["started_at"] < WINDOW.start + 1.1])
    assert step.window_counts.ok == 6
    assert "saturated" not in codes(step)


def test_withheld_arrivals_are_counted_and_make_the_step_void() -> None:
    rows = rows_of(1.0)
    rows.loc[rows.index[100:103], ["outcome", "e2e_ms", "elapsed_ms", "ttft_ms"]] = [
        "withheld",
        None,
        None,
        None,
    ]
    step = open_step(rows)
    assert step.window_counts.withheld == 3
    assert step.in_flight.mean == pytest.approx(5 * 1.0 * 597 / 600, rel=0.02)
    assert "saturated" in codes(step)
    assert "3 requests arrived while as many as allowed were in flight" in " ".join(step.trust.texts)


def test_requests_that_are_sent_late_are_told() -> None:
    assert "sent_late" not in codes(open_step(rows_of(1.0, delay_s=0.004)))
    assert "sent_late" in codes(open_step(rows_of(1.0, delay_s=0.03)))


def saturate(folder: Path) -> None:
    """The first of two rates is saturated and ended 30 s early; the second was not played."""
    steps = pd.read_csv(folder / "steps.csv")
    ended = float(steps["measure_ended_at"].iloc[0])
    steps["measure_planned_end_at"] = steps["measure_planned_end_at"].astype(float)
    steps.loc[0, "measure_planned_end_at"] = ended + 30
    steps["reason_codes"] = ["saturated", "not_played"]
    steps["state"] = ["complete", "planned"]
    steps.loc[1, ["measure_started_at", "measure_ended_at", "measure_planned_end_at"]] = None
    steps.to_csv(folder / "steps.csv", index=False)


def test_what_an_early_end_saved_is_told(folder: Path) -> None:
    make_open_loop(folder)
    saturate(folder)
    result = measure_and_judge(folder)
    saving = saving_of(result.experiments[0], result.plan)
    assert saving is not None
    load = result.plan["load"]
    seconds = 30 + load.get("warm_up", 0.0) + load["measure"]
    assert (saving.saturated.rate, saving.left_out) == (0.4, 1)
    assert saving.seconds == pytest.approx(seconds)
    assert saving.usd == pytest.approx(seconds / 3600 * (result.experiments[0].usd_per_endpoint_hour or 0))
    note = " ".join(answer_notes(result, choose(result)))
    assert "did not keep up with 0.4 requests/s: ending that step early and leaving out 1 higher rate" in note


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_the_pages_speak_of_rates(folder: Path) -> None:
    make_open_loop(folder)
    made = make_report(folder)
    page = (folder / "report.md").read_text()
    assert "requests/s: it is the cheapest choice" in made.answer
    assert "concurrency" not in made.answer.lower()
    assert "| arrival rate | arrived/s |" in page
    assert "| 0.4/s |" in page
    step = made.summary["experiments"][0]["steps"][0]
    assert (step["concurrency"], step["rate"]) == (None, 0.4)
    assert made.summary["choices"][0]["best"]["rate"] in (0.4, 0.8)


def test_a_shape_is_answered_by_piece_and_recommends_no_level(folder: Path) -> None:
    make_open_loop(folder)
    steps = pd.read_csv(folder / "steps.csv")
    steps["piece"], steps["ramp_from"], steps["ramp_to"] = [1, 2], [0.4, 0.4], [0.4, 1.2]
    steps.to_csv(folder / "steps.csv", index=False)
    result = measure_and_judge(folder)
    choices = choose(result)
    assert [choice.best for choice in choices] == [None]
    text = " ".join(answer_lines(result, choices))
    assert text.startswith("The load was a shape of 2 pieces, so no level is recommended. ")
    assert "The SLO (TTFT p95 ≤ 250 ms and E2E p95 ≤ 6 s) holds in 1 of them. " in text
    assert "It is missed in piece 2 (0.4 to 1.2 requests/s): TTFT p95 256 ms." in text
    assert [level_value(step) for step in result.steps] == ["1: 0.4/s", "2: 0.4 to 1.2/s"]
    assert "the load was a shape, not a level" in summary_sentences(result, choices)[0]
    ((_, _, told),) = recommendation_table(result, choices).rows
    assert "piece 2 (0.4 to 1.2 requests/s)" in told
    assert "unknown" not in told


def test_a_time_to_first_token_that_rises_is_saturation_before_the_number_in_flight_shows_it() -> None:
    rows = rows_of(e2e_s=10.0)
    queued = (rows["started_at"] - rows["started_at"].iloc[0]) / 130
    rows["ttft_ms"] = 100 + 9000 * queued
    step = open_step(rows)
    assert not step.in_flight.rising
    [reason] = [reason for reason in step.trust.reasons if reason.code == "saturated"]
    assert reason.text.endswith("the time to first token rose steadily")
    rows["ttft_ms"] = 100 + 9000 * np.random.default_rng(1).permutation(queued)
    assert "saturated" not in open_step(rows).trust.codes
