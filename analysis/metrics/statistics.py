"""How many samples a statistic needs, and how sure it is. Pure functions of arrays.

Requests of a load test are not independent: a slow moment of the server makes many of them slow. So the noise
of every figure is taken from how its sums swing over the window (`cosine_projections`), never from the
number of requests alone. `python -m bench.benchmarks.coverage` measures how often the intervals hold the
truth.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from runfolder.percentiles import samples_needed as samples_needed  # noqa: PLC0414 - part of this module

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES = 1000
Z95 = 1.959963984540054
PERCENTILES = (50, 90, 95, 99)
NOISE_TERMS = 6
"""Cosine terms that estimate the noise. Fewer cover a longer memory of the load, more give narrower
intervals: with six, what the load has forgotten after a twentieth of the window is covered."""


@dataclass(frozen=True)
class Interval:
    """A 95% interval, in the unit of its statistic."""

    low: float
    high: float


def student(confidence: float, freedom: float = NOISE_TERMS) -> float:
    """Student's t: how many standard errors a two-sided interval of this confidence reaches to each side."""
    return float(stdtrit(freedom, (1 + confidence) / 2))


T95 = student(0.95)
THREE_SIGMA = student(0.9973)
"""Standard errors that a difference must exceed: as rare by chance as three of a known noise."""


def cosine_projections(blocks: Floats, first: int = 1) -> Floats:
    """The slow swings of sums over a window: their projections on cosines of 1/2, 1, 3/2 … periods.

    Formula: c_j = √2 · Σ_t x_t cos(π j (t + ½) / T) for T blocks, six of them from j = ``first``. The mean
    of their squares estimates the variance of the window's total whatever correlation the blocks have, as
    long as it fades within the window; a deviation over that error is Student's t, six degrees of freedom.
    Unit: that of the sums.
    Source: equal-weighted cosine estimator; Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations
    for Practice", 2018.

    Args:
        blocks: one row per block of time, in order (columns: quantities), or one quantity alone.
        first: the slowest swing to take.

    Returns:
        a row per term; fewer than six when there are fewer blocks than terms.
    """
    count = len(blocks)
    swing = np.arange(first, min(first + NOISE_TERMS, count))
    phase = (np.arange(count) + 0.5) / max(1, count)
    return np.asarray(math.sqrt(2) * np.cos(np.pi * np.outer(swing, phase)) @ blocks, dtype=float)


def standard_error(blocks: Floats, first: int = 1) -> float | None:
    """Standard error of the total of one quantity's blocks; None from fewer than two blocks."""
    terms = cosine_projections(blocks, first)
    return math.sqrt(float(np.mean(terms * terms))) if len(terms) else None


def simulate_totals(blocks: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Totals as other windows of the same load might have had them, all quantities of a draw together.

    Formula: total + Σ_j z_j c_j / √χ²₆, z_j normal and χ²₆ drawn anew for each draw, c_j the
    `cosine_projections`: Student's t around the measured totals with their covariance, cut off at 0.
    Unit: that of the sums.
    Source: as `cosine_projections`.

    Args:
        blocks: one row per block of time, one column per quantity.
        rng: seeded by the caller, so that a report is reproducible.
        resamples: how many totals to draw.

    Returns:
        ``resamples`` rows, one column per quantity.
    """
    total = blocks.sum(axis=0)
    terms = cosine_projections(blocks)
    if not len(terms):
        return np.repeat(total[None, :], resamples, axis=0)
    normal = rng.standard_normal((resamples, len(terms)))
    spread = np.sqrt(rng.chisquare(len(terms), resamples))
    return np.asarray(np.maximum(total + (normal @ terms) / spread[:, None], 0.0))


def effective_samples(flags: Floats, block: Integers, blocks: int) -> float:
    """How many independent samples a share rests on.

    Formula: n / (max(1, g) · (t/z)²); g = variance of the flagged sum by its `cosine_projections` over that
    of independent samples, n · share · (1 − share); t and z the 95% points of Student's t (as many degrees
    of freedom as terms) and of the normal distribution.
    Unit: samples, at most those that there are.
    Source: A. Vehtari et al., "Rank-Normalization, Folding, and Localization", 2021: the effective sample
    size of a quantile is that of its indicator.

    Args:
        flags: 1 where the sample counts for the share, else 0.
        block: index of the block of time in which each sample lies.
        blocks: how many blocks there are.
    """
    share = float(flags.mean())
    sums = np.bincount(block, weights=flags - share, minlength=blocks).astype(float)
    return effective_count(len(flags), share, sums)


def effective_count(samples: int, share: float, residuals: Floats) -> float:
    """`effective_samples` from sums: ``residuals`` is, per block, samples flagged − share × samples."""
    independent = samples * share * (1 - share)
    terms = cosine_projections(residuals)
    if not len(terms) or independent <= 0:
        return float(samples)  # where all agree no swing was seen
    excess = float(np.mean(terms * terms)) / independent
    return samples / (max(1.0, excess) * (student(0.95, len(terms)) / Z95) ** 2)


def percentile_interval(ordered: Floats, p: float, effective: float) -> Interval | None:
    """95% interval of a percentile: the values at the ends of the interval of its share.

    Formula: [Q(low), Q(high)], low and high `share_interval` of p for the effective number of samples.
    Unit: that of the values.
    Source: R. S. Woodruff, "Confidence Intervals for Medians and Other Position Measures", 1952.

    Args:
        ordered: the values, ascending.
        p: the percentile, 0 to 100.
        effective: their effective number of independent samples, see `effective_samples`.
    """
    if len(ordered) < 2:
        return None
    share = share_interval(p / 100 * effective, effective)
    low, high = np.percentile(ordered, [100 * share.low, 100 * share.high])
    return Interval(float(low), float(high))


def ratio_interval(amounts: Floats, per: Floats) -> Interval | None:
    """95% interval of a ratio of totals: a rate (per second) or a mean (per request).

    Formula: R ± t · s / Σ per, R = Σ amounts / Σ per, s the `standard_error` of amounts − R · per; not
    below 0.
    Unit: that of the ratio.
    Source: linearised ratio estimator with the noise of `cosine_projections`.

    Args:
        amounts: what is counted, per block of time.
        per: seconds or requests, per block of time.

    Returns:
        None where there is nothing to divide by, or from fewer than two blocks.
    """
    total = float(per.sum())
    if total <= 0:
        return None
    ratio = float(amounts.sum()) / total
    terms = cosine_projections(amounts - ratio * per)
    if not len(terms):
        return None
    reach = student(0.95, len(terms)) * math.sqrt(float(np.mean(terms * terms))) / total
    return Interval(max(0.0, ratio - reach), ratio + reach)


def share_interval(count: float, total: float) -> Interval:
    """Wilson's 95% score interval of a share.

    A percentile objective is a share: "p95 ≤ L" says that at most 5% lie above L, whatever the distribution.
    Source: E. B. Wilson, 1927; z = 1.96, for independent samples: ``total`` is the effective number.

    Raises:
        ValueError: ``total`` is not positive or ``count`` outside 0..total.
    """
    if total <= 0 or not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no share")
    z2 = Z95 * Z95
    share = count / total
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def samples_to_decide(share: float, allowed: float) -> int | None:
    """Independent samples after which a share could be told from ``allowed`` (95%); None when equal."""
    distance = abs(share - allowed)
    spread = max(share * (1 - share), allowed * (1 - allowed))
    return None if distance == 0 else math.ceil(Z95 * Z95 * spread / (distance * distance))
