"""A step cut into blocks of time: sums per block, from which intervals and drifts follow.

Requests that ran together influenced each other, so noise is judged by blocks, not by requests.
"""

import numpy as np
import pandas as pd

from analysis.metrics.definitions import Window, ended_at, numbers, per_row
from analysis.metrics.statistics import Floats, Integers

COMPLETIONS, STARTED, FAILED, LATENCY_SUM, LATENCY_COUNT = range(5)
FIRST_OBJECTIVE = 5
"""Two columns per objective follow: for a percentile rows measured and rows above the limit, for a mean
rows measured and the sum of the metric in milliseconds."""


BLOCKS = 60
"""Into how many blocks a window is cut; only swings much slower than a block are looked at."""


def block_of(rows: pd.DataFrame, window: Window) -> Integers:
    """The block in which each row started; every row must have started inside the window."""
    position = (numbers(rows, "started_at") - window.start) / window.seconds
    return np.clip((position * BLOCKS).astype(np.int64), 0, BLOCKS - 1)


def block_sums(
    rows: pd.DataFrame, started: pd.DataFrame, window: Window, objectives: list[dict[str, object]]
) -> Floats:
    """Sums per block of time, one row per block.

    Args:
        rows: all rows of the experiment (completions are counted by their end).
        started: the rows that started in the window (latency, errors and objectives).
        window: the measure window.
        objectives: as in the plan: metric, statistic, limit_ms.
    """
    edges = np.linspace(window.start, window.end, BLOCKS + 1)
    sums = np.zeros((BLOCKS, FIRST_OBJECTIVE + 2 * len(objectives)))
    ok_rows = (rows["outcome"] == "ok").to_numpy()
    sums[:, COMPLETIONS] = np.histogram(_inside(ended_at(rows)[ok_rows], window), edges)[0]
    start = numbers(started, "started_at")
    ok = (started["outcome"] == "ok").to_numpy()
    e2e = numbers(started, "e2e_ms")
    sums[:, STARTED] = np.histogram(start, edges)[0]
    sums[:, FAILED] = np.histogram(start[(started["outcome"] == "failed").to_numpy()], edges)[0]
    sums[:, LATENCY_SUM] = np.histogram(start[ok], edges, weights=e2e[ok])[0]
    sums[:, LATENCY_COUNT] = np.histogram(start[ok], edges)[0]
    for index, objective in enumerate(objectives):
        values = per_row(started, str(objective["metric"]))
        known = ok & ~np.isnan(values)
        column = FIRST_OBJECTIVE + 2 * index
        sums[:, column] = np.histogram(start[known], edges)[0]
        if objective["statistic"] == "mean":
            weights = values[known]
        else:
            weights = (values[known] > float(str(objective["limit_ms"]))).astype(float)
        sums[:, column + 1] = np.histogram(start[known], edges, weights=weights)[0]
    return sums


def _inside(times: Floats, window: Window) -> Floats:
    return times[(times >= window.start) & (times < window.end)]
