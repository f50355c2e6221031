"""What a search does next: exponential probing, then bisection, then certainty. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.decide.search.bound import RateBound, cannot_beat, deciding_level, highest_rate
from analysis.decide.search.levels import LevelState, judge_levels
from analysis.decide.search.probes import Criterion, Probe, Rules

GROWTH = 2.0
"""Factor between the levels of the exponential probing."""
LONGER = 1.5
"""An undecided level is looked at again after this multiple of its time."""
TRIES = 2
"""Visits of a level that decide nothing, after which it counts as out of reach."""

EndCode = Literal["found", "all_met", "none_met", "out_of_reach", "time_limit", "beaten"]
"""``beaten``: it cannot find a better price than another instance type has."""


@dataclass(frozen=True)
class Measure:
    """Measure a level until it has been measured for ``until_s`` in all, then look again."""

    level: float
    until_s: float


@dataclass(frozen=True)
class End:
    """The search ends by itself."""

    code: EndCode


Move = Measure | End


@dataclass(frozen=True)
class Bracket:
    """Where the probes so far put the highest passing level."""

    states: tuple[LevelState, ...]
    out_of_reach: float | None
    """The lowest level that could not be judged, twice."""
    bound: RateBound | None = None
    """The highest throughput that can still be found."""

    @property
    def low(self) -> LevelState | None:
        """The highest level that is met, or leans to it."""
        return next((state for state in reversed(self.states) if state.leans_met), None)

    @property
    def high(self) -> LevelState | None:
        """The lowest level that is missed, or leans to it."""
        return next((state for state in self.states if not state.leans_met), None)

    @property
    def sure_low(self) -> float | None:
        """The highest level that is met beyond noise."""
        return max((state.level for state in self.states if state.verdict == "met"), default=None)

    @property
    def sure_high(self) -> float | None:
        """The lowest level that is missed beyond noise."""
        return min((state.level for state in self.states if state.verdict == "missed"), default=None)

    def is_sure(self, rules: Rules) -> bool:
        """Whether both ends are certain, and as close together as asked."""
        low, high = self.low, self.high
        if low is not None and high is None:
            return low.sure and low.level >= rules.high
        if low is None:
            return high is not None and high.sure and high.level <= rules.low
        return high is not None and low.sure and high.sure and is_narrow(rules, low.level, high.level)

    @property
    def more_s(self) -> float | None:
        """Seconds of measurement that would make both ends certain; None where that is not known."""
        ends = [state for state in (self.low, self.high) if state is not None and not state.sure]
        known = [state.more_s for state in ends if state.more_s is not None]
        return math.fsum(known) if known and len(known) == len(ends) else None


def bracket_of(rules: Rules, criteria: Sequence[Criterion], probes: Sequence[Probe]) -> Bracket:
    """Judge every level and put the bracket around the highest that passes."""
    states = judge_levels(rules, criteria, probes)
    counted = {state.level for state in states}
    failed = [p.level for p in probes if not p.counts and p.level not in counted]
    return Bracket(
        tuple(states),
        min((level for level in failed if failed.count(level) >= TRIES), default=None),
        highest_rate(rules, states, probes),
    )


def is_narrow(rules: Rules, low: float, high: float) -> bool:
    """Whether no level between two needs to be probed."""
    return high <= low * (1 + rules.resolution) + 1e-9 or (rules.whole and high - low <= 1)


def next_move(rules: Rules, criteria: Sequence[Criterion], probes: Sequence[Probe]) -> Move:
    """What to do after these probes, of which the last may still be running.

    A running probe goes on when its own level is returned; otherwise it ends here. So the same function plays
    a search and says at its end why it ended.
    """
    if rules.limit_s is not None and math.fsum(p.spent_s for p in probes) >= rules.limit_s:
        return End("time_limit")
    if not probes:
        return Measure(rules.low, rules.least_s)
    bracket = bracket_of(rules, criteria, probes)
    if cannot_beat(rules, bracket.bound):
        return End("beaten")
    last = probes[-1]
    current = next((state for state in bracket.states if state.level == last.level), None)
    if current is None and bracket.out_of_reach != last.level:
        return Measure(last.level, rules.least_s)  # it decided nothing: once more
    return _stay(rules, bracket, last, current) or _move_on(rules, bracket)


def _stay(rules: Rules, bracket: Bracket, last: Probe, current: LevelState | None) -> Measure | None:
    """Longer at the current level, where it is an end of the bracket and more time may decide it."""
    if current is None or current.exhausted:
        return None
    if last.outcome == "measured" and not last.is_long_enough(rules):
        return _first_look(rules, last, current)
    undecided_end = not current.sure and current in (bracket.low, bracket.high)
    return _longer(rules, current) if undecided_end and bracket.high is not None else None


def _move_on(rules: Rules, bracket: Bracket) -> Move:
    if bracket.high is None:
        return _upwards(rules, bracket)
    if bracket.low is None:
        return _at_the_bottom(rules, bracket)
    return _between(rules, bracket, bracket.low, bracket.high)


def _first_look(rules: Rules, probe: Probe, state: LevelState) -> Measure:
    """Long enough for several waves of requests, as far as the level's time allows."""
    missing = probe.requests_needed(rules) - probe.requests
    each_s = probe.seconds / max(1, probe.requests)
    more_s = max(rules.least_s - probe.seconds, missing * each_s, 1.0)
    return Measure(state.level, min(rules.most_s, state.seconds + more_s))


def _longer(rules: Rules, state: LevelState) -> Measure:
    return Measure(state.level, min(rules.most_s, max(rules.least_s, LONGER * state.seconds)))


def _upwards(rules: Rules, bracket: Bracket) -> Move:
    """Nothing is missed yet: go up, whether or not the level is certain; what is met above counts below."""
    top = bracket.low
    ceiling = rules.high if bracket.out_of_reach is None else bracket.out_of_reach
    if top is None:  # nothing was measured at all
        return End("out_of_reach")
    if bracket.out_of_reach is not None and is_narrow(rules, top.level, ceiling):
        return _longer(rules, top) if not top.sure and not top.exhausted else End("out_of_reach")
    if top.level >= rules.high:
        return End("all_met") if top.sure or top.exhausted else _longer(rules, top)
    if bracket.out_of_reach is not None:
        return Measure(_middle(rules, top.level, ceiling), rules.least_s)
    above = min(ceiling, _rounded(rules, top.level * GROWTH))
    decides = deciding_level(rules, bracket.bound)
    if decides is not None and top.level < _rounded(rules, decides) < above:
        above = _rounded(rules, decides)
    return Measure(above, rules.least_s)


def _at_the_bottom(rules: Rules, bracket: Bracket) -> Move:
    """Even the lowest level is missed, or leans to it."""
    bottom = bracket.states[0]
    if bottom.level > rules.low:
        return Measure(rules.low, rules.least_s)
    return End("none_met") if bottom.sure or bottom.exhausted else _longer(rules, bottom)


def _between(rules: Rules, bracket: Bracket, low: LevelState, high: LevelState) -> Move:
    """Bisect; once the ends are close, make both certain, the one that needs less time first.

    Where a price is to be beaten, the level that decides that is tried first, if it is above the middle.
    """
    if not is_narrow(rules, low.level, high.level):
        level, decides = _middle(rules, low.level, high.level), deciding_level(rules, bracket.bound)
        if decides is not None and level < _rounded(rules, decides) < high.level:
            level = _rounded(rules, decides)
        return Measure(level, rules.least_s)
    open_ends = [state for state in (low, high) if not state.sure and not state.exhausted]
    if not open_ends:
        return End("found")
    return _longer(rules, min(open_ends, key=lambda state: state.more_s or math.inf))


def _middle(rules: Rules, low: float, high: float) -> float:
    """The geometric middle, as a level."""
    middle = _rounded(rules, math.sqrt(low * high))
    return min(high - 1, max(low + 1, middle)) if rules.whole else middle


def _rounded(rules: Rules, level: float) -> float:
    """A level as a plan would write it: whole users, or three digits of a rate."""
    return float(round(level)) if rules.whole else float(f"{level:.3g}")
