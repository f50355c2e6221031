"""What is shown while a run goes on is what the report says of the same rows."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.metrics import definitions
from analysis.metrics.definitions import Window as ReportWindow
from analysis.metrics.definitions import started_in
from locustfiles.master import sorted_values
from locustfiles.master.circuit_breaker import MIN_FAILURES, MIN_SECONDS, CircuitBreaker
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.sorted_values import SortedValues
from locustfiles.master.step_tally import StepTally, tokens_inside
from locustfiles.messages import MeasureWindow
from runfolder.percentiles import percentile
from runfolder.records import REQUEST_COLUMNS, Request

WINDOW = MeasureWindow(10.0, 20.0)


@st.composite
def answers(draw: st.DrawFn) -> Request:
    e2e = draw(st.floats(1.0, 8000.0))
    streamed = draw(st.booleans())
    row = Request("r", "s", "w0", "p", draw(st.floats(5.0, 25.0)))
    row.e2e_ms = row.elapsed_ms = e2e
    row.ttft_ms = draw(st.floats(0.0, e2e)) if streamed else None
    row.schedule_delay_ms = draw(st.none() | st.floats(0.0, 900.0))
    row.completion_tokens = draw(st.none() | st.integers(1, 500))
    row.first_chunk_tokens = draw(st.none() | st.integers(1, 20)) if streamed else None
    return row


def frame(rows: list[Request]) -> pd.DataFrame:
    data = [[getattr(row, column) for column in REQUEST_COLUMNS] for row in rows]
    table = pd.DataFrame(data, columns=list(REQUEST_COLUMNS))
    for column in REQUEST_COLUMNS:
        if column.endswith(("_ms", "_at", "_tokens")):
            table[column] = table[column].astype(float)
    return table


@settings(max_examples=40)
@given(rows=st.lists(answers(), min_size=1, max_size=20))
def test_live_figures_of_a_closed_window_are_the_reports(rows: list[Request]) -> None:
    tally = StepTally(window=WINDOW)
    for row in rows:
        ended_at = row.started_at + (row.e2e_ms or 0) / 1000
        tally.add_ok(row, ended_at)
        tally.add_to_window(row, ended_at)
    table, window = frame(rows), ReportWindow(*WINDOW)
    per_minute, tokens_per_s = tally.rates(30.0, 0.0)
    if per_minute is not None and tokens_per_s is not None:
        assert per_minute == pytest.approx(definitions.requests_per_minute(table, window))
        assert tokens_per_s == pytest.approx(definitions.completion_tokens_in(table, window) / window.seconds)
    for name in ("ttft", "e2e"):
        values = definitions.per_row(started_in(table, window), name)
        values = values[~np.isnan(values)]
        live = tally.percentile(f"{name}_ms", 50)  # type: ignore[arg-type]
        assert live == (pytest.approx(float(np.percentile(values, 50))) if len(values) else None), name


@settings(max_examples=40)
@given(row=answers())
def test_tokens_of_one_answer_are_the_reports(row: Request) -> None:
    ended_at = row.started_at + (row.e2e_ms or 0) / 1000
    ours = tokens_inside(row, ended_at, WINDOW)
    theirs = definitions.completion_tokens_in(frame([row]), ReportWindow(*WINDOW))
    assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def test_an_open_window_is_divided_by_the_time_that_was_reported() -> None:
    tally = StepTally(window=MeasureWindow(10.0, math.inf))
    for at in (10.5, 11.0, 11.5, 12.0):
        row = Request("r", "s", "w0", "p", at - 0.4, e2e_ms=400.0, completion_tokens=10)
        tally.add_ok(row, at)
        tally.add_to_window(row, at)
    assert tally.rates(12.0, 0.0) == (120.0, 20.0)


def test_before_the_window_the_last_seconds_of_the_step_are_shown() -> None:
    tally = StepTally()
    for at in (1.0, 2.0, 3.0, 4.0):
        tally.add_ok(Request("r", "s", "w0", "p", at - 0.1, e2e_ms=100.0), at)
    assert tally.rates(5.0, 0.0)[0] == 48.0
    assert tally.rates(5.0, 2.5)[0] == pytest.approx(48.0)
    assert tally.rates(30.0, 0.0) == (None, None), "nothing for fifteen seconds"


@settings(max_examples=40)
@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50),
    p=st.one_of(st.floats(0, 100), st.sampled_from([0, 50, 95, 99, 100])),
)
def test_a_percentile_is_numpys(values: list[float], p: float) -> None:
    ordered = sorted(values)
    expected = float(np.percentile(ordered, p))
    assert percentile(ordered, p) == pytest.approx(expected, rel=1e-12, abs=1e-6)
    assert percentile(np.array(ordered), p) == percentile(ordered, p)
    assert ordered[0] <= (percentile(ordered, p) or 0.0) <= ordered[-1] or len(set(ordered)) == 1


@settings(max_examples=40)
@given(values=st.lists(st.floats(-1e9, 1e9), max_size=60), chunk=st.integers(1, 5))
def test_values_stay_in_order_in_chunks_of_any_length(values: list[float], chunk: int) -> None:
    ordered = SortedValues()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_values, "_CHUNK", chunk)
        for value in values:
            ordered.add(value)
    assert [ordered[index] for index in range(len(ordered))] == sorted(values)
    assert ordered.mean == (pytest.approx(np.mean(values), abs=1e-3) if values else None)


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 50) is None


def test_a_circuit_stays_closed_while_the_slowest_answer_may_still_come() -> None:
    breaker = CircuitBreaker()
    breaker.record_success(elapsed_s=40.0)
    for second in range(79):
        breaker.record_failure(float(second), "503")
    assert breaker.trip_reason() is None
    breaker.record_failure(80.0, "503")
    assert breaker.trip_reason() is not None


def test_few_failures_over_a_long_time_trip_nothing() -> None:
    breaker = CircuitBreaker()
    for number in range(MIN_FAILURES - 1):
        breaker.record_failure(number * MIN_SECONDS, "503")
    assert breaker.trip_reason() is None


def test_windows_that_follow_without_a_pause_share_the_answers_that_span_them(tmp_path: Path) -> None:
    """Rows arrive when the next window is already open: the pieces of a shape."""
    collector = ReportCollector(tmp_path, frozenset({"a", "b"}))
    collector.open_window("a", 10.0)
    collector.close_window("a", 20.0)
    collector.open_window("b", 20.0)
    rows = [
        Request("r", "a", "w0", "p", at, e2e_ms=e2e_ms) for at, e2e_ms in ((18.0, 1500.0), (19.0, 2000.0))
    ]
    for each in rows:
        each.ttft_ms, each.completion_tokens, each.first_chunk_tokens = 500.0, 31, 1
    collector.add_rows(rows, 30.0)
    for step, window in (("a", ReportWindow(10.0, 20.0)), ("b", ReportWindow(20.0, 30.0))):
        tally = collector.steps[step]
        assert tally.completions == 1
        assert tally.completion_tokens == pytest.approx(definitions.completion_tokens_in(frame(rows), window))
