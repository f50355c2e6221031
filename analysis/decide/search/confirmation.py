"""The confirmation: the recommended load as arrivals, or a lower one where it fails. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.search.levels import LevelState, judge_levels
from analysis.decide.search.method import Bracket, End, next_move
from analysis.decide.search.probes import Criterion, Probe, Rules

TRIES = 4
"""Rates that are tried at most."""
_LOWER = 0.9
"""The next rate is at most this share of one that did not hold."""


@dataclass(frozen=True)
class Confirmation:
    """A rate that was played to confirm a recommendation."""

    rate: float
    probes: tuple[Probe, ...]
    state: LevelState | None
    """None where nothing was measured that counts."""

    @property
    def holds(self) -> bool:
        """Whether the SLO holds there, surely or by what was measured."""
        return self.state is not None and self.state.leans_met


def judge_confirmations(
    rules: Rules, criteria: Sequence[Criterion], probes: Sequence[Probe]
) -> list[Confirmation]:
    """Each rate that was played, judged by itself: arrivals at random may be worse than at other rates."""
    confirmations = []
    for rate in dict.fromkeys(probe.level for probe in probes):
        own = tuple(probe for probe in probes if probe.level == rate)
        states = judge_levels(rules, criteria, own)
        confirmations.append(Confirmation(rate, own, states[0] if states else None))
    return confirmations


def next_rate(bracket: Bracket, rates: dict[float, float], tried: Sequence[Confirmation]) -> float | None:
    """The next rate to confirm; None when one holds, or none is left to try.

    Args:
        bracket: where the search ended.
        rates: requests per second that each level did.
        tried: the rates so far, in order.
    """
    if bracket.low is None or len(tried) >= TRIES or (tried and tried[-1].holds):
        return None
    known = sorted(rates[state.level] for state in bracket.states if state.leans_met and state.level in rates)
    if not known:
        return None
    if not tried:
        return _rounded(rates.get(bracket.low.level, known[-1]))
    limit = _LOWER * tried[-1].rate
    return _rounded(max([rate for rate in known if rate <= limit], default=limit))


def is_decided(rules: Rules, criteria: Sequence[Criterion], probe: Probe) -> bool:
    """Whether a rate that is being played needs no more time."""
    return isinstance(next_move(rules, criteria, [probe]), End)


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
