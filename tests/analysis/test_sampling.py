"""How sure a figure is: hand-worked noise, and intervals that hold the truth of a load with a memory."""

import numpy as np
import pytest

from analysis.metrics.statistics import (
    T95,
    Z95,
    cosine_projections,
    effective_samples,
    percentile_interval,
    ratio_interval,
    share_interval,
    simulate_totals,
    standard_error,
    student,
)
from bench.benchmarks.coverage import Load, figures, step

RNG = np.random.default_rng(11)


def test_what_never_swings_has_no_noise() -> None:
    assert cosine_projections(np.full(60, 7.0)) == pytest.approx(np.zeros(6), abs=1e-12)
    found = ratio_interval(np.full(60, 7.0), np.full(60, 2.0))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((3.5, 3.5))


def test_one_cosine_is_one_term_and_its_size_is_known() -> None:
    """x_t = cos(π j (t + ½) / T): Σ cos² = T/2, so c_j = √2 · T/2 and every other term is 0."""
    swing = np.cos(np.pi * 3 * (np.arange(60) + 0.5) / 60)
    terms = cosine_projections(swing)
    assert terms == pytest.approx([0, 0, np.sqrt(2) * 30, 0, 0, 0], abs=1e-9)
    assert standard_error(swing) == pytest.approx(np.sqrt(2) * 30 / np.sqrt(6))
    assert standard_error(swing, first=4) == pytest.approx(0, abs=1e-9)


def test_independent_blocks_have_the_noise_of_their_sum() -> None:
    """60 blocks of variance 4: the total's standard error is √240."""
    errors = [standard_error(RNG.normal(0, 2, 60)) or 0.0 for _ in range(2000)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt(240), rel=0.03)


def test_draws_have_the_spread_of_students_t_and_keep_quantities_together() -> None:
    blocks = np.column_stack([RNG.poisson(5, 60), np.zeros(60)]).astype(float)
    blocks[:, 1] = 2 * blocks[:, 0]
    draws = simulate_totals(blocks, np.random.default_rng(1), 20_000)
    assert draws[:, 1] == pytest.approx(2 * draws[:, 0])
    low, high = np.percentile(draws[:, 0], [2.5, 97.5])
    wanted = ratio_interval(blocks[:, 0], np.full(60, 1 / 60))
    assert wanted is not None
    assert (low, high) == pytest.approx((wanted.low, wanted.high), rel=0.02)


def test_draws_are_never_below_nothing() -> None:
    blocks = np.zeros((60, 1))
    blocks[3, 0] = 1.0
    assert simulate_totals(blocks, np.random.default_rng(1)).min() == 0.0


def test_flags_in_one_stretch_are_worth_few_samples_and_scattered_ones_nearly_all() -> None:
    block = np.repeat(np.arange(60), 10)
    scattered = (np.arange(600) % 10 == 3).astype(float)
    together = (np.arange(600) < 60).astype(float)
    most = 600 / (T95 / Z95) ** 2
    assert effective_samples(scattered, block, 60) == pytest.approx(most)
    assert effective_samples(together, block, 60) < most / 20
    assert effective_samples(np.zeros(600), block, 60) == 600


def test_a_percentiles_interval_by_hand() -> None:
    """100 values worth 100: p50 is a share of 40.38 to 59.62% (Wilson), so 40.97 to 60.03 of 1 … 100."""
    share = share_interval(50, 100)
    assert (share.low, share.high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    found = percentile_interval(np.arange(1.0, 101.0), 50, 100)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((1 + 99 * 0.40383, 1 + 99 * 0.59617), abs=1e-2)
    fewer = percentile_interval(np.arange(1.0, 101.0), 50, 25)
    assert fewer is not None
    assert fewer.high - fewer.low > 1.8 * (found.high - found.low)


def test_students_t_by_table() -> None:
    assert student(0.95, 6) == pytest.approx(2.447, abs=1e-3)
    assert student(0.95, 1e9) == pytest.approx(Z95, abs=1e-6)


@pytest.mark.parametrize(("per", "blocks"), [(0.0, 60), (1.0, 1)])
def test_no_interval_without_time_or_from_one_block(per: float, blocks: int) -> None:
    assert ratio_interval(np.ones(blocks), np.full(blocks, per)) is None


def test_intervals_hold_the_truth_of_a_load_that_swings_for_seconds_on_end() -> None:
    """Up and down by 15% with a memory of 5 s: intervals of independent requests hold it half the time."""
    load = Load(users=8, latency_s=2.0, window_s=120, memory_s=5.0)
    rng = np.random.default_rng(4)
    truth = {name: value for name, (value, _) in figures(step(load, 6000, rng)).items()}
    held = dict.fromkeys(truth, 0)
    for _ in range(60):
        for name, (_, interval) in figures(step(load, load.window_s, rng)).items():
            assert interval is not None
            held[name] += interval.low <= truth[name] <= interval.high
    assert min(held.values()) >= 51, held
