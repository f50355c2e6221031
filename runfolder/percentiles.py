"""The definition of a percentile, for the live figures and for the report."""

import math
from typing import Protocol


class Ordered(Protocol):
    """A list or an array of numbers in ascending order."""

    def __len__(self) -> int:
        """The number of values."""

    def __getitem__(self, index: int, /) -> float:
        """The value at an index."""


def percentile(ordered: Ordered, p: float) -> float | None:
    """Percentile of sorted values, linear between order statistics; None of nothing.

    Formula: with h = (n - 1) · p / 100, x[⌊h⌋] + (h - ⌊h⌋) · (x[⌊h⌋ + 1] - x[⌊h⌋]).
    Source: Hyndman and Fan, 1996, definition 7; the default of NumPy, R and spreadsheets.

    Args:
        ordered: the values in ascending order, in any unit.
        p: 0 to 100.
    """
    if not len(ordered):
        return None
    position = (len(ordered) - 1) * p / 100
    below = min(int(position), len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    share = position - below
    # From the nearer end, as in NumPy, so that the result never leaves [low, high].
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def samples_needed(percentile: float) -> int:
    """Samples that a percentile needs before it is shown: n ≥ 5/(1 − p), that is five beyond it.

    p50 10, p90 50, p95 100, p99 500. Source: sample-size guide of LLMeter (awslabs).
    """
    return math.ceil(round(5 / (1 - percentile / 100), 6))
