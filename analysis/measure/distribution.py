"""The distribution of a latency, or of a count of tokens, in one step."""

from dataclasses import dataclass, field

import numpy as np

from analysis.metrics.certified import certified_percentile
from analysis.metrics.statistics import (
    PERCENTILES,
    Floats,
    Integers,
    Interval,
    effective_samples,
    percentile_interval,
    samples_needed,
)
from runfolder.percentiles import percentile

CERTIFIED = (90, 95, 99)
"""Percentiles for which MLPerf has floors."""


@dataclass(frozen=True)
class Distribution:
    """A latency metric of one step, in milliseconds; ``percentiles`` holds also those that are not shown."""

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None
    percentiles: dict[int, float]
    intervals: dict[int, Interval]
    certified: dict[int, float] = field(default_factory=dict)
    """What each percentile does not exceed with 99% confidence, by MLPerf's rule; only above its floors."""
    bucketed: bool = False
    """From Locust's rounded buckets (up to 4.8% off) instead of raw rows."""

    @classmethod
    def of(cls, values: Floats, block: Integers, blocks: int) -> "Distribution | None":
        """Describe raw values; None when there are none.

        Args:
            values: in milliseconds.
            block: index of the block of time in which each of them began.
            blocks: how many blocks there are.
        """
        if not len(values):
            return None
        ordered = np.sort(values)
        percentiles = {p: percentile(ordered, p) or 0.0 for p in PERCENTILES}
        effective_n = {
            p: effective_samples((values > value).astype(float), block, blocks)
            for p, value in percentiles.items()
        }
        intervals = {p: percentile_interval(ordered, p, effective_n[p]) for p in PERCENTILES}
        return cls(
            n=len(ordered),
            mean=float(ordered.mean()),
            std=float(ordered.std()),
            low=float(ordered[0]),
            high=float(ordered[-1]),
            percentiles=percentiles,
            intervals={p: i for p, i in intervals.items() if i is not None},
            certified={p: v for p in CERTIFIED if (v := certified_percentile(ordered, p)) is not None},
        )

    def shown(self, percentile: int | None) -> float | None:
        """A percentile when there are samples enough for it (n ≥ 5/(1 − p)), else None; the mean for None."""
        enough = percentile is None or self.n >= samples_needed(percentile)
        return self.statistic(percentile) if enough else None

    def statistic(self, percentile: int | None) -> float | None:
        """A percentile, or the mean for None, however few the samples."""
        return self.mean if percentile is None else self.percentiles.get(percentile)
