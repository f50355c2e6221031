"""A step cut into blocks of time: sums per block, from which intervals and drifts follow.

Requests that ran together influenced each other, so noise is judged by blocks, not by requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.metrics.definitions import Window, arrived_at, ended_at, of_part, per_row
from analysis.metrics.statistics import Floats, Integers
from configs.slo import Objective

BLOCKS = 60
"""Into how many blocks a window is cut; only swings much slower than a block are looked at."""


@dataclass(frozen=True)
class ObjectiveSums:
    """Sums for one latency objective, one value per block."""

    measured: Floats
    """Answered requests that have the metric."""
    amounts: Floats
    """For a percentile, how many of them exceed the limit; for a mean, the sum of the metric in ms."""


@dataclass(frozen=True)
class BlockSums:
    """Sums per block of time: every array has one value per block, in the order of time.

    ``completions`` counts requests by their end. Everything else is of the requests that started in the
    block: how many, how many of them failed and were answered, and the sum of their E2E latency in ms.
    """

    completions: Floats
    started: Floats
    failed: Floats
    latency_ms: Floats
    answered: Floats
    objectives: tuple[ObjectiveSums, ...] = ()
    """In the order of the plan."""

    def __len__(self) -> int:
        return len(self.completions)

    def matrix(self) -> Floats:
        """One row per block, one column per quantity; two columns per objective come last."""
        per_objective = [column for sums in self.objectives for column in (sums.measured, sums.amounts)]
        own = [self.completions, self.started, self.failed, self.latency_ms, self.answered]
        return np.column_stack([*own, *per_objective])

    @classmethod
    def from_matrix(cls, matrix: Floats) -> "BlockSums":
        """The sums of such a matrix; its rows may also be repetitions, or simulated totals."""
        completions, started, failed, latency_ms, answered, *rest = matrix.T
        objectives = tuple(ObjectiveSums(*pair) for pair in zip(rest[::2], rest[1::2], strict=True))
        return cls(completions, started, failed, latency_ms, answered, objectives)


def block_of(rows: pd.DataFrame, window: Window) -> Integers:
    """The block in which each row started; every row must have started inside the window."""
    position = (arrived_at(rows) - window.start) / window.seconds
    return np.clip((position * BLOCKS).astype(np.int64), 0, BLOCKS - 1)


def block_sums(
    rows: pd.DataFrame, started: pd.DataFrame, window: Window, objectives: Sequence[Objective]
) -> BlockSums:
    """Cut a window into blocks.

    Args:
        rows: all rows of the experiment (completions are counted by their end).
        started: the rows that started in the window (latency, errors and objectives).
        window: the measure window.
        objectives: the plan's latency objectives.
    """
    edges = np.linspace(window.start, window.end, BLOCKS + 1)
    start, e2e = arrived_at(started), per_row(started, "e2e")
    ok = (started["outcome"] == "ok").to_numpy()
    failed = (started["outcome"] == "failed").to_numpy()
    ends = ended_at(rows)[(rows["outcome"] == "ok").to_numpy()]
    return BlockSums(
        completions=_histogram(ends[(ends >= window.start) & (ends < window.end)], edges),
        started=_histogram(start, edges),
        failed=_histogram(start[failed], edges),
        latency_ms=_histogram(start[ok], edges, e2e[ok]),
        answered=_histogram(start[ok], edges),
        objectives=tuple(_objective_sums(started, ok, edges, objective) for objective in objectives),
    )


def latency_sums(ok: pd.DataFrame, metric: str, window: Window) -> ObjectiveSums | None:
    """The sums of a latency metric per block; None where no answer has it.

    Args:
        ok: the answered rows that started in the window.
        metric: one of the latency metrics, in milliseconds.
        window: the measure window.
    """
    values = per_row(ok, metric)
    known = ~np.isnan(values)
    if not known.any():
        return None
    edges, start = np.linspace(window.start, window.end, BLOCKS + 1), arrived_at(ok)[known]
    return ObjectiveSums(_histogram(start, edges), _histogram(start, edges, values[known]))


def _objective_sums(
    started: pd.DataFrame, ok: np.ndarray, edges: Floats, objective: Objective
) -> ObjectiveSums:
    values = per_row(started, objective.metric)
    known = ok & ~np.isnan(values) & of_part(started, objective)
    start, values = arrived_at(started)[known], values[known]
    weights = values if objective.percentile is None else (values > objective.limit_ms).astype(float)
    return ObjectiveSums(_histogram(start, edges), _histogram(start, edges, weights))


def _histogram(times: Floats, edges: Floats, weights: Floats | None = None) -> Floats:
    return np.histogram(times, edges, weights=weights)[0].astype(float)
