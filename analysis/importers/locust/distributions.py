"""Response times as Locust's CSV files hold them, in milliseconds; rounded and pooled as they are."""

import numpy as np

from analysis.importers.locust.entries import aggregate
from analysis.importers.locust.files import LocustFiles
from analysis.importers.locust.levels import LevelAmounts
from analysis.measure.distribution import Distribution
from analysis.measure.locust_run import LocustEntry


def entry_distribution(entry: LocustEntry) -> Distribution | None:
    """Locust's figures of one row, rounded as they are; None without a mean."""
    if entry.mean is None or not entry.count:
        return None
    percentiles = {int(float(p)): value for p, value in entry.percentiles.items() if float(p).is_integer()}
    return Distribution(entry.count, entry.mean, None, entry.low, entry.high, percentiles, {}, bucketed=True)


def whole_run_distribution(
    requests: list[LocustEntry], measures: list[LocustEntry], files: LocustFiles
) -> Distribution | None:
    """Response times of all requests together; None where only a sum with measures has percentiles."""
    counted = [entry for entry in requests if entry.count]
    if len(counted) == 1:
        return entry_distribution(counted[0])
    total = None if measures else aggregate(files.stats)
    return None if total is None else entry_distribution(total)


def weighted_mean(requests: list[LocustEntry]) -> Distribution | None:
    """The mean over several rows, without percentiles: those of a sum cannot be made from its parts'."""
    counted = [entry for entry in requests if entry.count and entry.mean is not None]
    counts = np.array([entry.count for entry in counted], dtype=float)
    if not len(counts):
        return None
    mean = float(np.average([entry.mean or 0.0 for entry in counted], weights=counts))
    return Distribution(int(counts.sum()), mean, None, None, None, {}, {}, bucketed=False)


def mean_alone(part: LevelAmounts) -> Distribution | None:
    """The mean response time at a level: the history tells no percentiles of a stretch of time."""
    if part.mean_ms is None:
        return None
    return Distribution(part.requests, part.mean_ms, None, None, None, {}, {}, bucketed=False)
