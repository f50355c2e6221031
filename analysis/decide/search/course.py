"""A whole search, from the steps that it has played: what it found, why it ended, what it may do next.

The live search and the report read the same steps with the same functions, so they say the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from analysis.decide.search.confirmation import Confirmation, judge_confirmations, next_rate
from analysis.decide.search.evidence import confirmation_rules, criteria_of, probe_of, rules_from
from analysis.decide.search.levels import LevelState
from analysis.decide.search.method import Bracket, End, Move, bracket_of, next_move
from analysis.decide.search.probes import Criterion, Probe, Rules
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from runfolder.search_path import ProbeVerdict

_AS_MUCH = 0.98


@dataclass(frozen=True)
class Course:
    """What a search has done so far."""

    rules: Rules
    criteria: tuple[Criterion, ...]
    probes: tuple[Probe, ...]
    steps: tuple[StepResult, ...]
    """Of each probe, in order."""
    bracket: Bracket
    move: Move
    """What would follow: an `End`, unless the search was ended from outside."""
    confirmations: tuple[Confirmation, ...] = ()
    confirmation_steps: tuple[StepResult, ...] = field(default=())
    turns: float | None = 1.0
    """Requests that follow from one arrival: the mean turns of a completed conversation; None if none was
    completed."""

    @property
    def spent_s(self) -> float:
        """Load time so far, confirmation included."""
        return math.fsum(step.spent_s or 0.0 for step in (*self.steps, *self.confirmation_steps))

    @property
    def ended(self) -> bool:
        """Whether the search ended by itself."""
        return isinstance(self.move, End)

    @property
    def is_sure(self) -> bool:
        """Whether both ends of the bracket are certain, and as close as asked."""
        return self.bracket.is_sure(self.rules)

    @property
    def rates(self) -> dict[float, float]:
        """Requests per second that each level did, over all its visits."""
        rates = {}
        for level in {probe.level for probe in self.probes if probe.counts}:
            visits = [
                (step.throughput.completions or 0, step.seconds or 0.0)
                for step, probe in zip(self.steps, self.probes, strict=True)
                if probe.level == level and probe.counts
            ]
            seconds = math.fsum(each for _, each in visits)
            if seconds > 0 and any(count for count, _ in visits):
                rates[level] = sum(count for count, _ in visits) / seconds
        return rates

    @property
    def arrival_rates(self) -> dict[float, float]:
        """Arrivals per second that each level is worth: of requests, or of conversations."""
        return {} if not self.turns else {level: rate / self.turns for level, rate in self.rates.items()}

    @property
    def arrivals_noun(self) -> str:
        """What arrives: ``requests`` or ``conversations``."""
        return next((step.arrivals_noun for step in self.steps), "requests")

    @property
    def confirmed(self) -> Confirmation | None:
        """The rate at which the SLO held with arrivals."""
        return next((each for each in self.confirmations if each.holds), None)

    @property
    def headroom(self) -> float | None:
        """The confirmed rate as a share of the highest rate that the endpoint did at any level."""
        highest = max(self.arrival_rates.values(), default=0.0)
        return None if self.confirmed is None or highest <= 0 else self.confirmed.rate / highest

    @property
    def ruled_out(self) -> frozenset[str]:
        """Ids of the steps that are not recommended: levels that failed as arrivals, and their stand-ins.

        A confirmation only stands beside the level that it confirms. Where the first one failed and a lower
        rate held, that rate takes the place of every level that does as much or more.
        """
        held = self.confirmed
        lowered = held is not None and held is not self.confirmations[0]
        ids = {s.id for s in self.confirmation_steps if held is None or not lowered or s.rate != held.rate}
        if held is not None and lowered:
            high = {level for level, rate in self.arrival_rates.items() if rate >= _AS_MUCH * held.rate}
            ids |= {s.id for s, p in zip(self.steps, self.probes, strict=True) if p.level in high}
        return frozenset(ids)

    def verdict_of(self, step: StepResult) -> ProbeVerdict | None:
        """Of a step of this search; None for another kind of step."""
        for own, probe in zip(self.steps, self.probes, strict=True):
            if own.id == step.id:
                return self._verdict(probe, self.bracket.states)
        for own in self.confirmation_steps:
            if own.id == step.id:
                probe = probe_of(own, self.criteria)
                return self._verdict(probe, [c.state for c in self.confirmations if c.state is not None])
        return None

    @staticmethod
    def _verdict(probe: Probe, states: Sequence[LevelState]) -> ProbeVerdict:
        if not probe.counts:
            return "not reached" if probe.outcome == "not_reached" else "void"
        return next((state.verdict for state in states if state.level == probe.level), "undecided")

    @property
    def next_rate(self) -> float | None:
        """The rate to confirm next; None when that is over, or an answer is of no use."""
        if self.move == End("beaten"):
            return None
        return next_rate(self.bracket, self.arrival_rates, self.confirmations)


def course_of(rules: Rules, criteria: Sequence[Criterion], steps: Sequence[StepResult]) -> Course:
    """The course of a search from its steps, in the order in which they were played."""
    own = tuple(step for step in steps if step.purpose == "probe")
    probes = tuple(probe_of(step, criteria) for step in own)
    confirming = tuple(step for step in steps if step.purpose == "confirmation")
    arrivals = [probe_of(step, criteria) for step in confirming]
    alone = confirmation_rules(rules, 1.0)
    return Course(
        rules,
        tuple(criteria),
        probes,
        own,
        bracket_of(rules, criteria, probes),
        next_move(rules, criteria, probes),
        tuple(judge_confirmations(alone, criteria, arrivals)),
        confirming,
        _turns(own),
    )


def _turns(steps: Sequence[StepResult]) -> float | None:
    facts = [step.conversations for step in steps if step.conversations is not None]
    if not facts:
        return 1.0
    completed = sum(each.completed for each in facts)
    turns = math.fsum(each.completed * (each.turns_mean or 0.0) for each in facts)
    return turns / completed if completed else None


def search_of(experiment: ExperimentResult, result: RunResult) -> Course | None:
    """The search of an experiment; None where its plan has none."""
    rules = rules_from(result.plan)
    if rules is None:
        return None
    if experiment.rival is not None:
        rules = replace(rules, must_beat=experiment.rival.must_beat)
    return course_of(rules, criteria_of(result.objectives, result.error_rate_limit), experiment.steps)
