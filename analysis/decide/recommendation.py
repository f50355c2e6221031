"""The answer: the cheapest step that passes, the runner-up, and how sure that is. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.decide.repetitions import pool
from analysis.decide.search.course import Course, search_of
from analysis.decide.slo import SloCheck, SloStatus, check_slo, slo_status
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.measure.step_window import step_cost
from analysis.metrics.cost import Cost, cost_per_request
from analysis.metrics.statistics import RESAMPLES, Flags, Floats, simulate_totals
from analysis.metrics.time_blocks import BlockSums
from configs.slo import Objective

SURE = 0.95
_SEED = 20240322
_ROUNDING = 1e-12
"""A share of exactly 5% is within p95's 5%, whatever the last bit of the quotient."""


@dataclass(eq=False)
class Candidate:
    """A step of an experiment, with its repetitions, checked against the SLO."""

    experiment: ExperimentResult
    step: StepResult
    """Where there are several ``repetitions``, what all of them measured together."""
    checks: list[SloCheck]
    slo_status: SloStatus
    repetitions: tuple[StepResult, ...]
    """The steps as they stand in the tables."""

    @property
    def passes(self) -> bool:
        """Trustworthy and within the SLO."""
        return self.step.usable and self.slo_status == "met"

    @property
    def cost_per_request(self) -> Cost | None:
        """What is minimized: dollars or, without a price, instance-minutes; None without a rate."""
        experiment = self.experiment
        return cost_per_request(
            experiment.usd_per_hour, experiment.instance_count, self.step.throughput.per_minute
        )

    def cheaper_than(self, other: "Candidate") -> bool:
        """Whether a request costs less here; what has no cost is never cheaper."""
        return _amount(self) < _amount(other)


@dataclass
class Choice:
    """The answer for one payload; ``best`` is None when nothing passes."""

    payload: str
    candidates: list[Candidate]
    best: Candidate | None = None
    runner_up: Candidate | None = None
    extra_cost: Cost | None = None
    """What a request costs more at the runner-up than at the best."""
    extra_share: float | None = None
    """The same as a share of the cost at the best."""
    win_share: float | None = None
    """Share of bootstrap draws in which the best is the cheapest that passes."""
    contender: Candidate | None = None
    """The step that wins most of the other draws, where the best is not sure."""
    more_minutes_needed: list[tuple[Candidate, float]] = field(default_factory=list)
    """Which steps to measure longer, and for how many minutes, to decide between best and contender."""
    closest: Candidate | None = None
    """When nothing passes: the trustworthy step that misses by least."""
    priced: bool = True
    compared: bool = True
    """False where nothing is recommended: only one level of a foreign run was measured, or a shape."""
    searches: dict[str, Course] = field(default_factory=dict)
    """The search of each experiment that had one, by the experiment's name."""
    unpriced: list[str] = field(default_factory=list)
    """Instances left out of the comparison because they have no price."""

    @property
    def competing(self) -> list[Candidate]:
        """The candidates that are compared: without those that a search ruled out, or that have no price."""
        ruled_out = {step for search in self.searches.values() for step in search.ruled_out}
        known = [c for c in self.candidates if not self.priced or c.step.cost.per_request is not None]
        return [c for c in known if c.step.id not in ruled_out]

    def instance_of(self, experiment: str) -> str:
        """What a measured experiment ran on."""
        own = (c.experiment for c in self.candidates if c.experiment.name == experiment)
        return next((each.deployed for each in own), experiment)

    @property
    def sure(self) -> bool:
        """Whether the draws agree."""
        return self.win_share is None or self.win_share >= SURE


def choose(result: RunResult) -> list[Choice]:
    """One choice per payload, in the plan's order."""
    payloads = dict.fromkeys(experiment.payload for experiment in result.experiments)
    if result.locust is not None and not result.locust.several_levels:
        return [Choice(payload, [], compared=False) for payload in payloads]
    if result.shaped:
        return [Choice(payload, candidates_for(payload, result), compared=False) for payload in payloads]
    return [choose_for(payload, result) for payload in payloads]


def candidates_by_step(choices: Iterable[Choice]) -> dict[str, Candidate]:
    """The candidate of each step, by step id; the repetitions of a step share one."""
    return {
        step.id: candidate
        for choice in choices
        for candidate in choice.candidates
        for step in candidate.repetitions
    }


def cheapest(candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate with the least cost per request; None of none."""
    return min(candidates, key=_amount, default=None)


def candidates_for(payload: str, result: RunResult) -> list[Candidate]:
    """Every measured level of the payload, checked; repetitions of a level are one candidate."""
    candidates = []
    for experiment in result.experiments:
        if experiment.payload != payload:
            continue
        levels: dict[object, list[StepResult]] = {}
        for step in experiment.steps:
            if step.window is not None and step.window_counts.ok:
                # A step that cannot be trusted stands alone: it is shown, and spoils no other.
                # Locust's files hold no rows that could be pooled.
                alone = not step.usable or result.source == "locust" or step.piece is not None
                levels.setdefault(step.id if alone else (step.concurrency, step.rate), []).append(step)
        candidates += [_candidate(experiment, steps, result) for steps in levels.values()]
    return candidates


def _candidate(experiment: ExperimentResult, steps: list[StepResult], result: RunResult) -> Candidate:
    step = pool([(step, result.rows) for step in steps])
    if len(steps) > 1:
        cost = step_cost(step.throughput, experiment.usd_per_hour, experiment.instance_count)
        step = replace(step, cost=cost)
    checks = check_slo(step, result.objectives)
    status = slo_status(checks, step.errors.rate, result.error_rate_limit)
    return Candidate(experiment, step, checks, status, tuple(steps))


def choose_for(payload: str, result: RunResult) -> Choice:
    """Choose for one payload."""
    candidates = candidates_for(payload, result)
    choice = Choice(payload, candidates)
    for experiment in result.experiments:
        if experiment.payload == payload and (search := search_of(experiment, result)) is not None:
            choice.searches[experiment.name] = search
    choice.priced = any(c.step.cost.per_request is not None for c in candidates)
    if choice.priced:
        choice.unpriced = sorted(
            {c.experiment.instance for c in candidates if c.experiment.usd_per_hour is None}
        )
    competing = choice.competing
    passing = sorted((c for c in competing if c.passes and c.cost_per_request is not None), key=_amount)
    if not passing:
        choice.closest = _closest(choice, result.error_rate_limit)
        return choice
    choice.best = passing[0]
    best_cost = choice.best.cost_per_request
    if len(passing) > 1 and best_cost is not None:
        choice.runner_up = passing[1]
        extra = _amount(choice.runner_up) - best_cost.value
        choice.extra_cost = Cost(extra, best_cost.unit)
        choice.extra_share = extra / best_cost.value
    _bootstrap(choice, choice.best, [c for c in competing if c.step.usable], result)
    return choice


def _amount(candidate: Candidate) -> float:
    """The amount of a cost for comparison: infinite where there is none."""
    cost = candidate.cost_per_request
    return float("inf") if cost is None else cost.value


def _closest(choice: Choice, error_limit: float) -> Candidate | None:
    """The step with the least worst miss: latency as a share of its limit, errors as a share of requests."""
    missing = [c for c in choice.competing if c.step.usable and c.slo_status == "missed"]

    def worst_miss(candidate: Candidate) -> float:
        misses = [check.excess for check in candidate.checks if check.status == "missed"]
        return max([*misses, (candidate.step.errors.rate or 0.0) - error_limit])

    return min(missing, key=worst_miss, default=None)


def _bootstrap(choice: Choice, best: Candidate, usable: list[Candidate], result: RunResult) -> None:
    """Draw every step anew and answer again, a thousand times."""
    usable = [c for c in usable if c.step.blocks is not None]
    if best not in usable or len(usable) < 2:
        return
    rng = np.random.default_rng(_SEED)
    drawn = [_simulated_costs(candidate, result, rng) for candidate in usable]
    costs = np.column_stack([np.where(passes, cost, np.inf) for cost, passes in drawn])
    at_best = next(i for i, c in enumerate(usable) if c is best)
    winners = np.argmin(costs, axis=1)
    answered = np.isfinite(costs.min(axis=1))
    choice.win_share = float(((winners == at_best) & answered).mean())
    others = np.bincount(winners[(winners != at_best) & answered], minlength=len(usable))
    if choice.win_share < SURE and others.any():
        at_contender = int(np.argmax(others))
        choice.contender = usable[at_contender]
        choice.more_minutes_needed = _more_minutes_needed(
            best,
            choice.contender,
            fails=float((~drawn[at_best][1]).mean()),
            dearer=float((drawn[at_best][0] > drawn[at_contender][0]).mean()),
        )


def _more_minutes_needed(
    best: Candidate, contender: Candidate, *, fails: float, dearer: float
) -> list[tuple[Candidate, float]]:
    """Where, and for how many more minutes each, to measure until best and contender are told apart.

    Intervals shrink with the root of time. A contender that misses the SLO by no more than noise, or is open,
    is told apart when its own statistic is; so is a best that may miss it. Between two that pass, the
    difference in cost must outgrow the interval of both, so both are measured longer.

    Args:
        best: the cheapest that passes.
        contender: what wins most of the other draws.
        fails: share of the draws in which the best misses the SLO.
        dearer: share of the draws in which the best costs more than the contender.
    """
    if not contender.passes:
        return _undecided(contender)
    waits = dict.fromkeys((best.step.id, contender.step.id), 0.0)
    doubt = (1 - SURE) / 2
    if fails > doubt:
        waits[best.step.id] = max((minutes for _, minutes in _undecided(best)), default=0.0)
    extra = _amount(contender) - _amount(best)
    if dearer > doubt and extra > 0:
        times = (float(np.hypot(_half_width(best), _half_width(contender))) / extra) ** 2
        for candidate in (best, contender):
            step = candidate.step
            if step.seconds is not None:
                waits[step.id] = max(waits[step.id], max(0.0, times - 1) * step.seconds / 60)
    return [(c, waits[c.step.id]) for c in (best, contender) if waits[c.step.id] > 0]


def _undecided(candidate: Candidate) -> list[tuple[Candidate, float]]:
    """The candidate with the longest time that one of its unsure objectives needs."""
    waits = [c.more_minutes for c in candidate.checks if not c.sure and c.more_minutes is not None]
    return [(candidate, max(waits))] if waits else []


def _half_width(candidate: Candidate) -> float:
    """Half the 95% interval of the cost per request, in its unit."""
    interval, rate = candidate.step.throughput.per_minute_interval, candidate.step.throughput.per_minute
    if interval is None or not rate:
        return 0.0
    return _amount(candidate) * (interval.high - interval.low) / 2 / rate


def _simulated_costs(
    candidate: Candidate, result: RunResult, rng: np.random.Generator
) -> tuple[Floats, Flags]:
    """Drawn costs per request of a step, and whether each draw meets the SLO."""
    step = candidate.step
    if step.blocks is None or not step.throughput.completions:
        return np.full(RESAMPLES, np.inf), np.zeros(RESAMPLES, dtype=bool)
    totals = BlockSums.from_matrix(simulate_totals(step.blocks.matrix(), rng))
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = _amount(candidate) * step.throughput.completions / totals.completions
        ended = totals.failed + totals.answered
        passes = totals.failed <= result.error_rate_limit * ended
        return cost, passes & _within(totals, result.objectives)


def _within(totals: BlockSums, objectives: Sequence[Objective]) -> Flags:
    """In which draws every latency objective is met."""
    within = np.ones(len(totals), dtype=bool)
    for objective, sums in zip(objectives, totals.objectives, strict=True):
        ratio = sums.amounts / sums.measured
        allowed = objective.allowed_share
        within &= ratio <= (objective.limit_ms if allowed is None else allowed + _ROUNDING)
    return within
