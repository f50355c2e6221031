"""Percentiles with a guarantee, by MLPerf's early-stopping rule. Pure functions."""

import math

import numpy as np
from scipy.special import bdtr, bdtrik  # scipy.stats has both as `binom`, and takes a second to import

from analysis.metrics.statistics import Floats

CONFIDENCE = 0.99


def certifiable_excess(samples: int, percentile: float) -> int:
    """How many of the samples may exceed a limit so that the percentile is below it with 99% confidence.

    Formula: the largest t with P(B(n, 1 − p) ≤ t) ≤ 1%, B binomial.
    Source: early stopping of MLPerf's LoadGen (mlcommons/inference, docs/early_stopping.md), tolerance 0.

    Returns:
        0 below MLPerf's floor of samples, at which t is 1: p90 64, p95 130, p99 662, p99.9 6,636.
    """
    share = 1 - percentile / 100
    reached = bdtrik(1 - CONFIDENCE, samples, share)
    allowed = 0 if math.isnan(reached) else math.ceil(reached)
    while allowed > 0 and bdtr(allowed, samples, share) > 1 - CONFIDENCE:
        allowed -= 1
    return max(0, allowed)


def samples_to_certify(percentile: float) -> int:
    """MLPerf's floor: the fewest samples from which a percentile is certified."""
    needed = math.ceil(1 / (1 - percentile / 100))
    while certifiable_excess(needed, percentile) < 1:
        needed += 1
    return needed


def certified_percentile(values: Floats, percentile: float) -> float | None:
    """The value that a percentile does not exceed with 99% confidence; None below MLPerf's floor of samples.

    Formula: the t-th largest value, t the `certifiable_excess`.
    Unit: that of the values.
    Source: as `certifiable_excess`. It takes samples as independent.
    """
    allowed = certifiable_excess(len(values), percentile)
    return None if allowed < 1 else float(np.sort(values)[len(values) - allowed])
