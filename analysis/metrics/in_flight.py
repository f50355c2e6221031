"""Requests in flight, and Little's law, which ties them to throughput and latency. Pure functions."""

import itertools

import numpy as np
import pandas as pd

from analysis.metrics.definitions import Window, ended_at, numbers
from analysis.metrics.statistics import Floats

_PARTS = 20


def mean_in_flight(rows: pd.DataFrame, window: Window) -> float | None:
    """Requests in flight, averaged over the window, whatever became of them.

    Formula: sum of the overlaps of [start, end] with the window / seconds of the window.
    Unit: requests; absent where the record does not say when a request of the window ended.
    Source: L of Little's law, measured directly.
    """
    if window.seconds <= 0:
        return None
    rows = rows[(rows["outcome"] != "withheld").to_numpy()]
    start, end = numbers(rows, "started_at"), ended_at(rows)
    if np.isnan(end[(start >= window.start) & (start < window.end)]).any():
        return None
    overlap = np.minimum(end, window.end) - np.maximum(start, window.start)
    return float(np.nansum(np.clip(overlap, 0, None)) / window.seconds)


def least_in_flight(rows: pd.DataFrame, window: Window) -> float | None:
    """The fewest requests in flight in any twentieth of the window.

    Formula: the smallest of the means of requests in flight over 20 equal parts of the window.
    Unit: requests; absent where the record does not say when a request of the window ended.
    Source: shows whether a load held while its workers changed.
    """
    return min(in_flight_over_time(rows, window), default=None)


def in_flight_over_time(rows: pd.DataFrame, window: Window) -> list[float]:
    """The means of requests in flight over 20 equal parts of the window; empty where one is not known."""
    edges = np.linspace(window.start, window.end, _PARTS + 1)
    parts = [mean_in_flight(rows, Window(float(a), float(b))) for a, b in itertools.pairwise(edges)]
    known = [part for part in parts if part is not None]
    return known if len(known) == _PARTS else []


def in_flight_at(rows: pd.DataFrame, times: Floats) -> Floats:
    """Requests in flight at each of ``times`` (epoch seconds), of those whose end is known."""
    end = ended_at(rows)
    known = ~np.isnan(end)
    begun = np.searchsorted(np.sort(numbers(rows, "started_at")[known]), times, side="right")
    return np.asarray(begun - np.searchsorted(np.sort(end[known]), times, side="right"), dtype=float)


def little_residual(
    concurrency: float, per_minute: float | None, mean_latency_ms: float | None
) -> float | None:
    """Little's-law residual: how far throughput × latency is from the number of users (closed loop).

    Formula: X × R / N − 1, X completions per second, R mean E2E in seconds, N users.
    Unit: share; about 0 is sound, above 0 is impossible, below 0 says that users were idle.
    Source: J. D. C. Little, 1961. FMBench's 49 a minute with one client at 2.355 s gives +0.92.
    """
    if per_minute is None or mean_latency_ms is None or concurrency <= 0:
        return None
    return per_minute / 60 * mean_latency_ms / 1000 / concurrency - 1


def most_per_minute(concurrency: float, mean_latency_ms: float) -> float:
    """The most that a closed loop can complete.

    Formula: 60 × N / R.
    Unit: requests per minute.
    Source: Little's law.
    """
    return 60_000 * concurrency / mean_latency_ms
