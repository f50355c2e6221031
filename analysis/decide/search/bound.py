"""The highest throughput that a search can still find, from its probes so far. Pure functions.

With it, the search of one instance type ends as soon as it cannot beat the best price of the types before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.search.levels import LevelState
from analysis.decide.search.probes import Probe, Rules


@dataclass(frozen=True)
class RateBound:
    """No level that meets the SLO answers more requests per second than ``rate``."""

    rate: float
    top: float
    """The highest level that may still meet the SLO."""
    measured_at: float
    """The level whose throughput the bound rests on."""

    @property
    def per_level(self) -> float:
        """Requests per second and user (or per arrival), at most, at ``measured_at`` and above."""
        return self.rate / self.top


def highest_rate(rules: Rules, states: Sequence[LevelState], probes: Sequence[Probe]) -> RateBound | None:
    """Bound the throughput of the highest level that meets the SLO; None before its lowest end is measured.

    Formula: top × X(m) / m. ``top`` is the highest level below those that are missed beyond noise, m the
    highest that is met beyond noise (before there is one, the lowest of the search), X(m) the upper end of
    the 95% interval of its answered requests per second.
    Source: Little's law. A user who sends again at once sends 1 / R requests per second, so X(n) / n =
    1 / R(n). Latency does not fall when the load rises, which the search rests on anyway, so X(n) / n ≤
    X(m) / m for every n ≥ m; the same holds of requests per arrival. It does not take throughput to rise
    with the load, so it also holds where throughput collapses.
    """
    met = max((state.level for state in states if state.verdict == "met"), default=None)
    measured_at = rules.low if met is None else met
    known = [p.rate_at_most for p in probes if p.level == measured_at and p.outcome == "measured"]
    rates = [rate for rate in known if rate is not None]
    if not rates:
        return None
    missed = min((state.level for state in states if state.verdict == "missed"), default=None)
    top = rules.high if missed is None else missed - 1 if rules.whole else missed
    top = max(top, measured_at)
    return RateBound(top * max(rates) / measured_at, top, measured_at)


def cannot_beat(rules: Rules, bound: RateBound | None) -> bool:
    """Whether no answer of this search can be as cheap as what was confirmed before."""
    return rules.must_beat is not None and bound is not None and bound.rate <= rules.must_beat


def deciding_level(rules: Rules, bound: RateBound | None) -> float | None:
    """The lowest level that must meet the SLO to beat what was confirmed before; None without a rival.

    If it is missed, the search is over.
    """
    if rules.must_beat is None or bound is None or bound.per_level <= 0:
        return None
    level = rules.must_beat / bound.per_level
    return float(int(level) + 1) if rules.whole else level
