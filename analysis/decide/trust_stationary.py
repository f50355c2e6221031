"""Trust checks of the time: whether a step's figures drifted or shifted within its window."""

import numpy as np

from analysis.measure.results import StepResult
from analysis.metrics.changes import change_at, level_shift
from analysis.metrics.statistics import THREE_SIGMA, Floats
from common.formatting import percent

DRIFT = 0.10
"""A change below a tenth is not reported, however certain."""
SHIFT_ERRORS = 8.0
"""Standard errors above which a level shift is reported: more, because its place is chosen by the data."""
UNSTEADY = frozenset({"throughput_drift", "warm_up_drift", "latency_drift", "level_shift"})
"""The codes of these checks."""


def check_stationary(step: StepResult) -> None:
    """Whether the second half differs from the first, or the first quarter from the rest."""
    if step.blocks is None or len(step.blocks) < 8 or step.ramps:
        return
    half, quarter = len(step.blocks) // 2, len(step.blocks) // 4
    rate = step.blocks.completions
    if (change := _certain(rate, np.ones_like(rate), half)) is not None:
        text = f"not stationary: throughput changed by {_signed(change)} between halves"
        step.trust.add("warn", "throughput_drift", text, change=change)
    latency, answered = step.blocks.latency_ms, step.blocks.answered
    rest = _certain(latency[quarter:], answered[quarter:], (len(latency) - quarter) // 2)
    early = _certain(latency, answered, quarter)
    if rest is None and early is not None:
        text = f"warm-up still drifting: E2E changed by {_signed(early)} after the first quarter"
        step.trust.add("warn", "warm_up_drift", text, change=early)
    elif (change := _certain(latency, answered, half)) is not None:
        text = f"not stationary: E2E changed by {_signed(change)} between the halves"
        step.trust.add("warn", "latency_drift", text, change=change)


def check_level_shift(step: StepResult) -> None:
    """Whether the time per token, or in an open loop the requests in flight, went to another level.

    TTFT is left out: its tail swings too much to tell a shift from chance.
    """
    window, blocks = step.window, step.blocks
    if window is None or blocks is None or step.ramps:
        return
    tokens = step.tpot_blocks
    found = (
        ("E2E", blocks.latency_ms, blocks.answered)
        if tokens is None
        else ("TPOT", tokens.amounts, tokens.measured)
    )
    series = [found]
    if step.rate is not None and step.speed is None and step.piece is None:
        in_flight = np.array(step.in_flight.over_time)
        series.append(("the number of requests in flight", in_flight, np.ones_like(in_flight)))
    for name, amounts, per in series:
        shift = level_shift(amounts, per)
        if shift is None or shift.errors <= SHIFT_ERRORS or abs(shift.share) <= DRIFT:
            continue
        at_s = window.seconds * shift.split / len(per)
        text = f"level shift: {name} changed by {_signed(shift.share)} {at_s:.0f} s into the window"
        step.trust.add("warn", "level_shift", text, metric=name, change=shift.share, at_s=at_s)
        return


STATIONARY_CHECKS = (check_stationary, check_level_shift)


def _certain(amounts: Floats, per: Floats, split: int) -> float | None:
    """Relative change of a rate or a mean at a block, when it is both certain and above a tenth.

    Certain is what exceeds the noise beside the change as three standard errors would (one in 370).
    """
    change = change_at(amounts, per, split)
    if change is None or change.errors <= THREE_SIGMA or abs(change.share) <= DRIFT:
        return None
    return change.share


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else '−'}{percent(abs(share))}"
