"""How many samples a statistic needs, and how sure it is. Pure functions of arrays."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 1000
Z95 = 1.959963984540054
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, in the unit of its statistic."""

    low: float
    high: float


def samples_needed(percentile: float) -> int:
    """Samples that a percentile needs before it is shown: n ≥ 5/(1 − p), that is five beyond it.

    p50 10, p90 50, p95 100, p99 500. Source: sample-size guide of LLMeter (awslabs).
    """
    return math.ceil(round(5 / (1 - percentile / 100), 6))


def percentile(values: Floats, p: float) -> float | None:
    """Exact percentile of raw values, linear between order statistics (numpy's default); None when empty."""
    return float(np.percentile(values, p)) if len(values) else None


def percentile_interval(ordered: Floats, p: float, rng: np.random.Generator) -> Interval | None:
    """Bootstrap 95 % interval of a percentile, without resampling the rows.

    The p-quantile of a resample of n values is their k-th order statistic, and the k-th of n uniform draws
    follows Beta(k, n − k + 1): drawing that directly gives the bootstrap distribution at any n at no cost
    (Hutson and Ernst, "The exact bootstrap mean and variance of an L-estimator", 2000).

    Args:
        ordered: the values, ascending.
        p: the percentile, 0 to 100.
        rng: seeded by the caller, so that a report is reproducible.
    """
    n = len(ordered)
    if n < 2:
        return None
    rank = min(max(p / 100 * (n + 1), 1), n)
    position = rng.beta(rank, n - rank + 1, RESAMPLES)
    draws = ordered[np.minimum((position * n).astype(int), n - 1)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(low), float(high))


def resampled_sums(blocks: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Block bootstrap: sums of ``len(blocks)`` blocks drawn with replacement.

    Blocks of time keep together what queued together, so the interval allows for requests that
    influence each other.

    Args:
        blocks: one row per block of time, one column per quantity to add up.
        rng: seeded by the caller.
        resamples: how many sums to draw.

    Returns:
        ``resamples`` rows of sums, one column per quantity.
    """
    count = len(blocks)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray(weights @ blocks, dtype=float)


def interval_of(draws: Floats) -> Interval | None:
    """The central 95 % of bootstrap draws; None when fewer than half of them are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < max(2, len(draws) / 2):
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return Interval(float(low), float(high))


def share_interval(count: int, total: int) -> Interval:
    """Wilson's 95 % score interval of a share.

    A percentile objective is a share: "p95 ≤ L" says that at most 5 % lie above L, whatever the distribution.
    Source: E. B. Wilson, 1927; z = 1.96.

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


def samples_to_settle(count: int, total: int, allowed: float) -> int | None:
    """Samples after which a share like this could be told from ``allowed`` (95 %); None when equal."""
    share = count / total
    distance = abs(share - allowed)
    spread = max(share * (1 - share), allowed * (1 - allowed))
    return None if distance == 0 else math.ceil(Z95 * Z95 * spread / (distance * distance))
