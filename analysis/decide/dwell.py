"""When a measurement that has no fixed length is over. Pure functions.

The running step is looked at a few times, each time after half as long again. An interval that is looked at
often is sometimes narrow by chance, and a measurement that ends there holds the truth too rarely. So it ends
only when two looks in a row are narrow enough, with the greater noise of the two.
`python -m bench.benchmarks.adaptive_dwell` measures how often the interval then holds the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.trust_stationary import STATIONARY_CHECKS, UNSTEADY
from analysis.measure.results import StepResult, Trust
from analysis.metrics.statistics import Interval, samples_needed
from configs.dwell import MeasureUntil

GROWTH = 1.5
"""Each look comes after this multiple of the time of the look before."""
IN_A_ROW = 2
WAVES = 5
"""Requests of a measurement at least, as a multiple of those in flight."""


@dataclass(frozen=True)
class Look:
    """What a running measurement knows after some time."""

    seconds: float
    reach: float | None
    """How far the 95% interval reaches to each side, as a share of the statistic; None where it has none."""
    enough: bool = True
    """Whether the measurement holds several waves of requests, and is not shorter than the shortest."""
    steady: bool = True
    """Whether no drift and no shift is certain."""


def statistic_of(step: StepResult, name: str) -> tuple[float, Interval] | None:
    """A statistic of a step with its 95% interval; None where it has none.

    Args:
        step: measured.
        name: `configs.dwell.Statistic`.
    """
    if name == "throughput":
        value, interval = step.throughput.per_minute, step.throughput.per_minute_interval
    else:
        metric, percentile = _parts(name)
        described = step.latency.get(metric)
        value = None if described is None else described.statistic(percentile)
        interval = None if described is None else described.intervals.get(percentile)
    return None if not value or interval is None else (value, interval)


def reach_of(step: StepResult, name: str) -> float | None:
    """Half of the 95% interval of a statistic, as a share of it; None where it has no interval."""
    found = statistic_of(step, name)
    return None if found is None else (found[1].high - found[1].low) / 2 / found[0]


def look_at(step: StepResult, until: MeasureUntil) -> Look:
    """What a running step, measured so far, says of the end of its measurement.

    Its trust is not changed.
    """
    seconds, answered = step.seconds or 0.0, step.window_counts.ok
    e2e = step.latency.get("e2e")
    floor_s = until.floor_s(None if e2e is None else e2e.percentiles[99] / 1000)
    in_flight = float(step.concurrency or step.in_flight.mean or 0.0)
    needed = max(samples_needed(50 if until.of == "throughput" else _parts(until.of)[1]), WAVES * in_flight)
    return Look(
        seconds,
        reach_of(step, until.of),
        enough=seconds >= floor_s - 0.5 and answered >= needed,
        steady=not (is_unsteady(step) or step.in_flight.rising or step.in_flight.ttft_rising),
    )


def is_unsteady(step: StepResult) -> bool:
    """Whether a drift or a shift of the step is certain. Its trust is not changed."""
    judged = StepResult(**{**vars(step), "trust": Trust()})
    for check in STATIONARY_CHECKS:
        check(judged)
    return not UNSTEADY.isdisjoint(judged.trust.codes)


def first_look_s(until: MeasureUntil) -> float:
    """Seconds after which a measurement is looked at first, so that it may end at its shortest."""
    return until.floor_s(None) / GROWTH ** (IN_A_ROW - 1)


def next_look_s(until: MeasureUntil, looks: Sequence[Look]) -> float | None:
    """Seconds of measurement at which to look next; None when it is over.

    Args:
        until: what ends the measurement.
        looks: so far, in order.
    """
    if not looks:
        return first_look_s(until)
    return None if is_known(until, looks) else GROWTH * looks[-1].seconds


def is_known(until: MeasureUntil, looks: Sequence[Look]) -> bool:
    """Whether the measurement may end: long enough, steady, and narrow at the last two looks.

    Formula: the greater of r_i √(s_i / s) over the last two looks is at most ``until``; r the reach of the
    interval, s the seconds measured.
    Source: sequential fixed-width intervals (Y. S. Chow and H. Robbins, 1965), at few looks, with the noise
    taken from the noisier of two.
    """
    last = looks[-IN_A_ROW:]
    if len(last) < IN_A_ROW or not (last[-1].enough and last[-1].steady):
        return False
    scaled = [
        math.inf if look.reach is None else look.reach * math.sqrt(look.seconds / last[-1].seconds)
        for look in last
    ]
    return max(scaled) <= until.until


def _parts(name: str) -> tuple[str, int]:
    metric, statistic = name.split("_")
    return metric, int(statistic[1:])
