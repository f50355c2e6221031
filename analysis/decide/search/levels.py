"""What all probes together say about each level: met, missed or undecided. Pure functions.

Latency and errors do not fall when the load rises. So evidence counts beyond its own level: what is met at a
level is met below it, and what is missed is missed above it. The bounds of a level are the tightest that
its neighbours allow, and values that contradict the order are smoothed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.decide.search.probes import Criterion, Estimate, Probe, Rules, interval_of, pooled
from analysis.metrics.statistics import samples_to_decide

_ROUNDING_S = 0.5
"""A measurement that ended half a second early has had its time."""

Verdict = Literal["met", "missed", "undecided"]


@dataclass(frozen=True)
class LevelState:
    """A level that was probed, judged by everything that was measured anywhere."""

    level: float
    verdict: Verdict
    leans_met: bool
    """What the smoothed values say where the verdict is undecided; the verdict otherwise."""
    seconds: float
    """Measured here, all visits together."""
    exhausted: bool
    """Whether it may not be measured longer."""
    more_s: float | None = None
    """Seconds of measurement that would decide an undecided level; None where that is not known."""

    @property
    def sure(self) -> bool:
        """Whether the intervals decide."""
        return self.verdict != "undecided"


def judge_levels(rules: Rules, criteria: Sequence[Criterion], probes: Sequence[Probe]) -> list[LevelState]:
    """Every level with a probe that counts, in ascending order.

    Formula: with levels ascending, a criterion's upper bound at a level is the least upper bound of the
    evidence pooled from that level up to any higher one, and its lower bound the greatest of the evidence
    pooled from any lower level up to it. A level is missed when a lower bound exceeds what is allowed, met
    when no upper bound does, else undecided.
    Source: the max-min formula of isotonic regression (R. E. Barlow and others, "Statistical Inference under
    Order Restrictions", 1972), applied to interval bounds.
    """
    levels = sorted({probe.level for probe in probes if probe.counts})
    if not levels:
        return []
    of_level = {level: [p for p in probes if p.level == level and p.counts] for level in levels}
    saturated = [any(p.outcome == "saturated" for p in of_level[level]) for level in levels]
    met, missed = np.ones(len(levels), dtype=bool), np.array(saturated)
    leans_met = ~missed
    more = np.zeros(len(levels))
    for index, criterion in enumerate(criteria):
        own = [pooled(_estimates(of_level[level], index)) for level in levels]
        upper, lower = _bounds(own, criterion)
        value = _smoothed(own)
        exceeds = value > criterion.allowed
        missed |= lower > criterion.allowed
        late = np.array([_late_misses(of_level[level][-1], index, criterion) for level in levels])
        met &= (value <= criterion.allowed) if criterion.kind == "errors" else (upper <= criterion.allowed)
        met &= ~late
        leans_met &= ~exceeds
        more = np.maximum(more, _more_times(own, criterion))
    # In order of the level: what is missed here is missed above, what is met here is met below.
    missed = np.maximum.accumulate(missed)
    met = np.minimum.accumulate(np.maximum.accumulate((met & ~missed)[::-1])[::-1] & ~missed)
    leans_met = np.minimum.accumulate(met | (leans_met & ~missed))
    states = []
    for i, level in enumerate(levels):
        seconds = sum(probe.seconds for probe in of_level[level])
        verdict: Verdict = "met" if met[i] else "missed" if missed[i] else "undecided"
        more_s = None
        if verdict == "undecided" and np.isfinite(more[i]):
            more_s = max(0.0, float(more[i]) - 1) * seconds
        exhausted = seconds >= rules.most_s - _ROUNDING_S
        states.append(LevelState(level, verdict, bool(leans_met[i]), seconds, exhausted, more_s))
    return states


def _estimates(probes: Sequence[Probe], index: int) -> list[Estimate]:
    found = [probe.estimates[index] for probe in probes if index < len(probe.estimates)]
    return [estimate for estimate in found if estimate is not None]


def _bounds(own: Sequence[Estimate | None], criterion: Criterion) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower bounds at each level, from every run of neighbouring levels."""
    count = len(own)
    upper, lower = np.full(count, np.inf), np.full(count, -np.inf)
    for first in range(count):
        for last in range(first, count):
            together = pooled([each for each in own[first : last + 1] if each is not None])
            if together is None:
                continue
            interval = interval_of(together, criterion)
            upper[first] = min(upper[first], interval.high)
            lower[last] = max(lower[last], interval.low)
    return upper, lower


def _smoothed(own: Sequence[Estimate | None]) -> np.ndarray:
    """The values as the order of the levels allows them; a level without evidence has the one below's."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - only a search pays for its slow import

    known = [i for i, each in enumerate(own) if each is not None]
    values = np.full(len(own), -np.inf)
    if known:
        fitted = isotonic_regression(
            [own[i].value for i in known],  # type: ignore[union-attr]
            weights=[own[i].weight for i in known],  # type: ignore[union-attr]
        ).x
        values[known] = fitted
    return np.maximum.accumulate(values)


def _late_misses(probe: Probe, index: int, criterion: Criterion) -> bool:
    """Whether the second half of the last visit alone misses: then the level may still be getting worse."""
    late = probe.late[index] if index < len(probe.late) else None
    return late is not None and late > criterion.allowed


def _more_times(own: Sequence[Estimate | None], criterion: Criterion) -> np.ndarray:
    """For each level, how many times the evidence it has would decide this criterion."""
    times = []
    for each in own:
        if each is None or criterion.kind == "errors":
            times.append(0.0)
        elif criterion.kind == "share":
            needed = samples_to_decide(each.value, criterion.allowed)
            times.append(np.inf if needed is None else needed / each.weight)
        else:
            interval, distance = interval_of(each, criterion), abs(each.value - criterion.allowed)
            times.append(((interval.high - interval.low) / 2 / distance) ** 2 if distance else np.inf)
    return np.array(times)
