"""The method of the search: what it does next, what it concludes, and when it is sure."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.decide.search.levels import judge_levels
from analysis.decide.search.method import End, Measure, bracket_of, is_narrow, next_move
from analysis.decide.search.probes import Criterion, Estimate, Probe, Rules, estimate_mean, estimate_share
from analysis.metrics.certified import certified_percentile, samples_to_certify
from bench.benchmarks.search import play, search
from bench.benchmarks.search_shapes import SHAPES, SimulatedEndpoint

RULES = Rules(low=1, high=256, resolution=0.05, least_s=20, most_s=120)
P95 = Criterion("E2E p95", 0.05)


def probe(level: float, share: float, weight: float = 10_000, **facts: object) -> Probe:
    """A visit that is long enough, with a share above the limit."""
    whole = Probe(level, 20, 30, 10_000, level, (Estimate(share, weight),), (share,))
    return replace(whole, **facts)  # type: ignore[arg-type]


def levels_probed(knee: float, rules: Rules) -> tuple[list[Probe], End]:
    """Search an endpoint without noise whose SLO holds up to ``knee``."""
    probes: list[Probe] = []
    while not isinstance(move := next_move(rules, (P95,), probes), End):
        probes.append(probe(move.level, 0.0 if move.level <= knee else 1.0))
        assert len(probes) < 60, "the search does not end"
    return probes, move


@given(knee=st.integers(1, 255))
def test_every_knee_is_found_within_the_resolution(knee: int) -> None:
    probes, end = levels_probed(knee, RULES)
    bracket = bracket_of(RULES, (P95,), probes)
    assert end.code == "found"
    assert bracket.low is not None
    assert bracket.high is not None
    assert bracket.low.level <= knee < bracket.high.level
    assert is_narrow(RULES, bracket.low.level, bracket.high.level)
    assert bracket.is_sure(RULES)
    assert len(probes) <= 16


@given(knee=st.floats(0.2, 40), low=st.floats(0.05, 0.2), high=st.floats(41, 100))
def test_rates_are_searched_like_users(knee: float, low: float, high: float) -> None:
    rules = Rules(low, high, 0.05, whole=False)
    probes, end = levels_probed(knee, rules)
    bracket = bracket_of(rules, (P95,), probes)
    assert end.code == "found"
    assert bracket.low is not None
    assert bracket.low.level <= knee
    assert knee < bracket.low.level * 1.05 + 1e-6


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    weights=st.lists(st.floats(1, 5_000), min_size=60, max_size=60),
)
@settings(max_examples=60)
def test_a_search_ends_whatever_is_measured(shares: list[float], weights: list[float]) -> None:
    """No noise, however wild, keeps it from ending, and no level is measured beyond its time."""
    probes: list[Probe] = []
    for turn in range(400):
        move = next_move(RULES, (P95,), probes)
        if isinstance(move, End):
            break
        assert move.until_s <= RULES.most_s
        assert RULES.low <= move.level <= RULES.high
        measured = math.fsum(p.seconds for p in probes if p.level == move.level)
        share, weight = shares[turn % len(shares)], weights[turn % len(weights)]
        probes.append(probe(move.level, share, weight, seconds=move.until_s - measured))
    else:
        pytest.fail("the search does not end")


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0, 1), st.floats(5, 5_000)), min_size=1, max_size=12))
def test_verdicts_follow_the_order_of_the_levels(measured: list[tuple[int, float, float]]) -> None:
    """Met, then undecided, then missed: never a missed level below one that is met."""
    states = judge_levels(RULES, (P95,), [probe(*each) for each in measured])
    order = {"met": 0, "undecided": 1, "missed": 2}
    ranks = [order[state.verdict] for state in states]
    assert ranks == sorted(ranks)
    leanings = [state.leans_met for state in states]
    assert leanings == sorted(leanings, reverse=True)
    assert all(state.leans_met == (state.verdict == "met") for state in states if state.sure)


def test_the_slo_that_everything_meets_ends_at_the_top() -> None:
    probes, end = levels_probed(1_000, RULES)
    assert end.code == "all_met"
    assert [p.level for p in probes] == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_the_slo_that_nothing_meets_ends_at_the_bottom() -> None:
    probes, end = levels_probed(0, RULES)
    assert end.code == "none_met"
    assert len(probes) == 1


def test_an_undecided_level_gets_more_time_up_to_its_limit() -> None:
    low, high = probe(16, 0.0), probe(32, 0.9)
    near = probe(23, 0.049, weight=500)
    assert next_move(RULES, (P95,), [low, high, near]) == Measure(23, 30)
    exhausted = replace(near, seconds=120)
    assert next_move(RULES, (P95,), [low, high, exhausted]) == Measure(27, 20)


def test_earlier_visits_of_a_level_count_again() -> None:
    """Two visits that decide nothing alone decide together."""
    visit = probe(16, 0.03, weight=250)
    (alone,) = judge_levels(RULES, (P95,), [visit])
    (together,) = judge_levels(RULES, (P95,), [visit, visit])
    assert (alone.verdict, together.verdict) == ("undecided", "met")
    assert together.seconds == 40


def test_what_is_met_above_is_met_below() -> None:
    few, many = probe(1, 0.0, weight=10), probe(2, 0.0, weight=500)
    assert [s.verdict for s in judge_levels(RULES, (P95,), [few])] == ["undecided"]
    assert [s.verdict for s in judge_levels(RULES, (P95,), [few, many])] == ["met", "met"]


def test_a_level_that_is_getting_worse_is_not_met() -> None:
    """A cache that fills up: good at first, too slow in the second half."""
    (state,) = judge_levels(RULES, (P95,), [probe(8, 0.02, late=(0.08,))])
    assert state.verdict == "undecided"


def test_a_void_probe_is_repeated_once_and_then_counts_as_out_of_reach() -> None:
    good, void = probe(8, 0.0), Probe(16, 20, 30, outcome="void")
    assert next_move(RULES, (P95,), [good, void]) == Measure(16, 20)
    move = next_move(RULES, (P95,), [good, void, void])
    assert isinstance(move, Measure)
    assert 8 < move.level < 16
    probes = [good, void, void, *(probe(level, 0.0) for level in (11, 13, 14, 15))]
    assert next_move(RULES, (P95,), probes) == End("out_of_reach")
    assert bracket_of(RULES, (P95,), probes).out_of_reach == 16


def test_a_level_that_is_not_reached_is_never_met() -> None:
    """A job that never had 32 requests in flight says nothing about 32."""
    idle = replace(probe(32, 0.0), outcome="not_reached")
    bracket = bracket_of(RULES, (P95,), [probe(16, 0.0), idle])
    assert bracket.low is not None
    assert bracket.low.level == 16


def test_a_first_probe_that_is_void_twice_ends_the_search() -> None:
    void = Probe(1, 20, 30, outcome="void")
    assert next_move(RULES, (P95,), [void, void]) == End("out_of_reach")


def test_a_saturated_level_is_missed_for_sure_at_once() -> None:
    saturated = Probe(4, 3, 20, 5, 900, outcome="saturated")
    bracket = bracket_of(RULES, (P95,), [probe(2, 0.0), saturated])
    assert bracket.sure_high == 4
    assert next_move(RULES, (P95,), [probe(2, 0.0), saturated]) == Measure(3, 20)


def test_a_measurement_holds_several_waves_of_requests() -> None:
    few = probe(64, 0.0, requests=100, in_flight=64.0, weight=100)
    move = next_move(RULES, (P95,), [few])
    assert move == Measure(64, 64)  # 5 waves are 320 requests: at 5 a second, 64 s


def test_the_time_limit_ends_it_with_the_bracket_so_far() -> None:
    rules = replace(RULES, limit_s=60)
    probes = [probe(16, 0.0), probe(32, 1.0)]
    assert next_move(rules, (P95,), probes) == End("time_limit")
    bracket = bracket_of(rules, (P95,), probes)
    assert (bracket.sure_low, bracket.sure_high) == (16, 32)
    assert not bracket.is_sure(rules)


def test_it_says_what_more_time_would_buy() -> None:
    """A share of 4% against 5% needs 1,825 independent requests; 500 in 120 s are on record."""
    bracket = bracket_of(RULES, (P95,), [probe(20, 0.04, 500, seconds=120), probe(21, 0.5)])
    assert bracket.more_s == pytest.approx((1825 / 500 - 1) * 120, abs=1)


def test_errors_alone_miss_a_level() -> None:
    errors = Criterion("errors", 0.01, "errors")
    one = probe(4, 0.0, estimates=(Estimate(0.0, 400), Estimate(0.2, 400)), late=(0.0, 0.2))
    (state,) = judge_levels(RULES, (P95, errors), [one])
    assert state.verdict == "missed"


def test_a_mean_is_judged_by_its_interval() -> None:
    mean = Criterion("E2E mean", 1000, "mean")
    rng = np.random.default_rng(1)
    measured, amounts = np.full(60, 10.0), 10 * (900 + rng.normal(0, 40, 60))
    met = estimate_mean(measured, amounts)
    open_ = estimate_mean(measured, amounts * 1000 / amounts.sum() * 600)
    states = [
        judge_levels(RULES, (mean,), [Probe(4, 20, 30, 600, 4, (each,))])[0].verdict for each in (met, open_)
    ]
    assert states == ["met", "undecided"]


def test_a_share_without_requests_is_no_evidence() -> None:
    assert estimate_share(np.zeros(4), np.zeros(4)) is None
    assert estimate_mean(np.zeros(4), np.zeros(4)) is None


@pytest.mark.parametrize(("percentile", "floor"), [(90, 64), (95, 130), (99, 662)])
def test_certified_percentiles_have_mlperfs_floors(percentile: float, floor: int) -> None:
    assert samples_to_certify(percentile) == floor
    values = np.arange(float(floor))
    assert certified_percentile(values, percentile) == floor - 1
    assert certified_percentile(values[1:], percentile) is None


def test_a_certified_percentile_is_rarely_below_the_true_one() -> None:
    rng = np.random.default_rng(3)
    true = -math.log(0.05)
    bounds = [certified_percentile(rng.exponential(size=300), 95) for _ in range(1_000)]
    assert np.mean([bound is not None and bound >= true for bound in bounds]) >= 0.985


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_simulated_endpoints(shape: object) -> None:
    """Two endpoints of every shape of the benchmark; `python -m bench.benchmarks.search` plays forty."""
    for seed in (1, 2):
        found, _ = play(shape, seed)  # type: ignore[arg-type]
        assert found.right or not found.sure


def test_the_load_is_never_taken_off_between_probes() -> None:
    endpoint = SimulatedEndpoint(SHAPES[1], 40, 5)
    _, probes = search(endpoint)
    assert math.fsum(p.spent_s for p in probes) == pytest.approx(endpoint.now)
