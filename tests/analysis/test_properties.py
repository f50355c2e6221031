"""What must hold for any records."""

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.measure.distribution import Distribution
from analysis.metrics import definitions, in_flight
from analysis.metrics.definitions import Window
from analysis.metrics.statistics import samples_needed, share_interval
from runfolder.percentiles import percentile
from tests.analysis.records import records, streamed

WINDOW = Window(1000.0, 1060.0)
quick = settings(max_examples=25, deadline=None)


def measured(value: float | None) -> float:
    assert value is not None
    return value


@st.composite
def answers(draw: st.DrawFn, least: int = 1) -> pd.DataFrame:
    rows = []
    for _ in range(draw(st.integers(least, 25))):
        ttft = draw(st.floats(0, 20_000))
        decode = draw(st.floats(0, 60_000))
        tokens = draw(st.integers(1, 400))
        outcome = draw(st.sampled_from(["ok", "ok", "ok", "failed", "censored"]))
        first = draw(st.integers(1, tokens))
        row = streamed(draw(st.floats(950, 1080)), ttft, ttft + decode, tokens, first)
        rows.append(row | {"outcome": outcome, "prompt_tokens": draw(st.integers(1, 4000))})
    return records(*rows)


@quick
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=200))
def test_percentiles_rise_and_stay_between_the_extremes(values: list[float]) -> None:
    array = np.sort(np.array(values))
    found = [measured(percentile(array, p)) for p in (0, 50, 90, 95, 99, 100)]
    assert found == sorted(found)
    assert found[0] == array.min()
    assert found[-1] == array.max()


@quick
@given(st.lists(st.floats(1e-3, 1e7), min_size=2, max_size=300))
def test_every_interval_lies_inside_the_data_and_shown_needs_samples(values: list[float]) -> None:
    found = Distribution.of(np.array(values), np.arange(len(values)), len(values))
    assert found is not None
    for p, interval in found.intervals.items():
        assert measured(found.low) <= interval.low <= interval.high <= measured(found.high)
        assert (found.shown(p) is not None) == (len(values) >= samples_needed(p))


@quick
@given(answers(least=2), st.integers(1, 59))
def test_tokens_and_completions_add_up_over_windows(rows: pd.DataFrame, cut: int) -> None:
    left, right = Window(1000.0, 1000.0 + cut), Window(1000.0 + cut, 1060.0)
    whole = definitions.completion_tokens_in(rows, WINDOW)
    parts = definitions.completion_tokens_in(rows, left) + definitions.completion_tokens_in(rows, right)
    assert parts == pytest.approx(whole, abs=1e-6)
    assert definitions.completions(rows, left) + definitions.completions(
        rows, right
    ) == definitions.completions(rows, WINDOW)


@quick
@given(answers(), answers())
def test_tokens_and_in_flight_add_up_over_workers(one: pd.DataFrame, other: pd.DataFrame) -> None:
    both = pd.concat([one, other], ignore_index=True)
    for metric in (definitions.completion_tokens_in, in_flight.mean_in_flight, definitions.completions):
        assert metric(both, WINDOW) == pytest.approx(
            measured(metric(one, WINDOW)) + measured(metric(other, WINDOW)), abs=1e-6
        )


@quick
@given(answers())
def test_every_token_of_an_ok_answer_arrives_once(rows: pd.DataFrame) -> None:
    forever = Window(0.0, 1e6)
    ok = rows[rows["outcome"] == "ok"]
    assert definitions.completion_tokens_in(rows, forever) == pytest.approx(ok["completion_tokens"].sum())


@quick
@given(answers(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: pd.DataFrame, random: Random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = rows.iloc[order].reset_index(drop=True)
    for metric in (
        definitions.completion_tokens_in,
        definitions.requests_per_minute,
        in_flight.mean_in_flight,
    ):
        assert metric(shuffled, WINDOW) == pytest.approx(metric(rows, WINDOW))
    assert sorted(definitions.tpot_ms(shuffled)) == pytest.approx(sorted(definitions.tpot_ms(rows)))


@quick
@given(answers(), st.floats(0.1, 10))
def test_stretching_time_scales_latency_and_throughput(rows: pd.DataFrame, factor: float) -> None:
    slow = rows.copy()
    slow["started_at"] = 1000 + (rows["started_at"] - 1000) * factor
    slow[["ttft_ms", "e2e_ms"]] = rows[["ttft_ms", "e2e_ms"]] * factor
    wide = Window(1000.0, 1000.0 + 60 * factor)
    end = definitions.ended_at(rows)
    assume(all(abs(end - edge).min() > 1e-6 for edge in (1000.0, 1060.0)))
    assert measured(definitions.requests_per_minute(slow, wide)) * factor == pytest.approx(
        definitions.requests_per_minute(rows, WINDOW)
    )
    assert definitions.tpot_ms(slow) == pytest.approx(definitions.tpot_ms(rows) * factor, abs=1e-6)


@quick
@given(st.integers(1, 6), st.lists(st.floats(1, 5000), min_size=4, max_size=60))
def test_a_closed_loop_obeys_little(users: int, latencies: list[float]) -> None:
    """Users without a pause: what is in flight is the number of users."""
    rows, clock = [], [0.0] * users
    for index, latency in enumerate(latencies * 3):
        user = index % users
        rows.append(streamed(1000 + clock[user], latency / 2, latency, 5))
        clock[user] += latency / 1000
    end = min(clock)
    assume(end > 0)
    window = Window(1000.0, 1000.0 + end)
    frame = records(*rows)
    assert in_flight.mean_in_flight(frame, window) == pytest.approx(users, rel=1e-6)


@quick
@given(st.integers(1, 500), st.data())
def test_a_shares_interval_holds_the_share_and_stays_a_share(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    interval = share_interval(count, total)
    assert 0 <= interval.low <= count / total + 1e-12
    assert count / total - 1e-12 <= interval.high <= 1
