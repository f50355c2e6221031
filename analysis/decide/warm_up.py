"""When a warm-up that has no fixed length is over. Pure functions."""

import numpy as np

from analysis.measure.results import StepResult
from analysis.metrics.changes import change_at
from analysis.metrics.statistics import Floats

GROWTH = 1.25
"""Each look comes after this multiple of the time of the look before."""
IN_A_ROW = 2
WAVES = 2
"""Answers of a warm-up at least, as a multiple of the requests in flight."""
CHANGE = 0.03
"""A smaller change does not matter."""


def is_steady(step: StepResult) -> bool:
    """Whether a warm-up, measured so far as if it were a window, has settled.

    Formula: the first third is left out; between the second and the last third, neither the mean time per
    token nor, in an open loop, the mean number of requests in flight changed by more than 3% and by more
    than the standard error of that change. Without a time per token, the E2E latency takes its place.
    Source: like MLPerf Endpoints' detection of steady state, it goes by TPOT and the requests in flight, not
    by TTFT, whose tail swings too much.
    """
    blocks = step.blocks
    in_flight = float(step.concurrency or step.in_flight.mean or 0.0)
    if blocks is None or step.window_counts.ok < max(1.0, WAVES * in_flight):
        return False
    tokens = step.tpot_blocks
    if tokens is None:
        steady = _settled(blocks.latency_ms, blocks.answered)
    else:
        steady = _settled(tokens.amounts, tokens.measured)
    over_time = np.array(step.in_flight.over_time)
    return steady and (not len(over_time) or _settled(over_time, np.ones_like(over_time)))


def _settled(amounts: Floats, per: Floats) -> bool:
    third = len(per) // 3
    change = change_at(amounts[third:], per[third:], (len(per) - third) // 2)
    return change is not None and (abs(change.share) <= CHANGE or change.errors <= 1)
