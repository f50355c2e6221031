"""The confirmation: the recommended load as arrivals, or a lower one where it fails. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.search.levels import LevelState, judge_levels
from analysis.decide.search.method import Bracket
from analysis.decide.search.probes import Criterion, Probe, Rules

LADDER = (1.0, 0.9, 0.75, 0.5)
"""The rates that are tried until one holds, as shares of the rate that the recommended level did."""


@dataclass(frozen=True)
class Confirmation:
    """A rate that was played to confirm a recommendation."""

    rate: float
    """Arrivals per second."""
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
        rates: arrivals per second that each level is worth.
        tried: the rates so far, in order.
    """
    if bracket.low is None or len(tried) >= len(LADDER) or (tried and tried[-1].holds):
        return None
    rate = rates.get(bracket.low.level)
    return None if rate is None else float(f"{LADDER[len(tried)] * rate:.3g}")
