"""The answer: the cheapest step that passes, the runner-up, and how sure that is. Pure functions."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.decide.repetitions import pool
from analysis.decide.slo import Finding, Judgement, judge, verdict
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.measure.steps import price_step
from analysis.metrics import time_blocks
from analysis.metrics.statistics import RESAMPLES, Floats, drawn_totals

SURE = 0.95
_DEAREST = float("inf")
Flags = NDArray[np.bool_]


@dataclass
class Candidate:
    """A step of an experiment, with its repetitions, judged against the SLO."""

    experiment: ExperimentResult
    step: StepResult
    """With ``members`` that are several, what all of them measured together."""
    findings: list[Finding]
    judgement: Judgement
    members: tuple[StepResult, ...]
    """The repetitions of the step, as they stand in the tables."""

    @property
    def passes(self) -> bool:
        """Trustworthy and within the SLO."""
        return self.step.usable and self.judgement == "met"

    @property
    def order(self) -> float:
        """What is minimised: dollars per request or, without a price, instance-minutes per request."""
        if self.step.usd_per_request is not None:
            return self.step.usd_per_request
        if self.experiment.usd_per_hour is not None or not self.step.per_minute:
            return _DEAREST
        return self.experiment.instance_count / self.step.per_minute


@dataclass
class Choice:
    """The answer for one payload; ``best`` is None when nothing passes."""

    payload: str
    candidates: list[Candidate]
    best: Candidate | None = None
    runner_up: Candidate | None = None
    gap: float | None = None
    """Runner-up minus best, in dollars per request (in minutes per request without a price)."""
    gap_share: float | None = None
    stays: float | None = None
    """Share of bootstrap draws in which the best stays the cheapest that passes."""
    rival: Candidate | None = None
    """The step that wins most of the other draws, when the best is not sure."""
    settle: list[tuple[Candidate, float]] = field(default_factory=list)
    """Where more minutes would tell best and rival apart, and how many at each; empty when none would."""
    closest: Candidate | None = None
    """When nothing passes: the trustworthy step that misses by least."""
    closest_by: float | None = None
    priced: bool = True
    compared: bool = True
    """False where only one level of a foreign run was measured: it is described, not recommended."""
    unpriced: list[str] = field(default_factory=list)
    """Instances left out of the comparison because they have no price."""

    @property
    def competing(self) -> list[Candidate]:
        """The candidates that are compared: with prices known, those that have one."""
        return [c for c in self.candidates if not self.priced or c.step.usd_per_request is not None]

    @property
    def sure(self) -> bool:
        """Whether the draws agree."""
        return self.stays is None or self.stays >= SURE


def choose(result: RunResult) -> list[Choice]:
    """One choice per payload, in the plan's order."""
    payloads = dict.fromkeys(experiment.payload for experiment in result.experiments)
    if result.locust is not None and not result.locust.several_levels:
        return [Choice(payload, [], compared=False) for payload in payloads]
    return [choose_for(payload, result) for payload in payloads]


def candidates_for(payload: str, result: RunResult) -> list[Candidate]:
    """Every measured level of the payload with its judgement; repetitions of a level are one candidate."""
    found = []
    for experiment in result.experiments:
        if experiment.payload != payload:
            continue
        levels: dict[object, list[StepResult]] = {}
        for step in experiment.steps:
            if step.window is not None and step.window_ok:
                # What cannot be trusted stands alone: it is shown, and spoils no other.
                # Locust's files hold no rows that could be pooled.
                alone = not step.usable or result.source == "locust"
                levels.setdefault(step.id if alone else step.concurrency, []).append(step)
        found += [_candidate(experiment, steps, result) for steps in levels.values()]
    return found


def _candidate(experiment: ExperimentResult, steps: list[StepResult], result: RunResult) -> Candidate:
    step = pool([(step, result.rows) for step in steps])
    if len(steps) > 1:
        price_step(step, experiment.usd_per_hour, experiment.instance_count)
    findings = judge(step, result.objectives)
    judged = verdict(findings, step.error_rate, result.error_rate_limit)
    return Candidate(experiment, step, findings, judged, tuple(steps))


def choose_for(payload: str, result: RunResult) -> Choice:
    """Choose for one payload."""
    candidates = candidates_for(payload, result)
    choice = Choice(payload, candidates)
    with_price = [c for c in candidates if c.step.usd_per_request is not None]
    choice.priced = bool(with_price)
    if with_price:
        choice.unpriced = sorted(
            {c.experiment.instance for c in candidates if c.experiment.usd_per_hour is None}
        )
    competing = with_price or candidates
    passing = sorted((c for c in competing if c.passes and c.order < _DEAREST), key=lambda c: c.order)
    if not passing:
        _find_closest(choice, result.error_rate_limit)
        return choice
    choice.best = passing[0]
    if len(passing) > 1:
        choice.runner_up = passing[1]
        choice.gap = passing[1].order - passing[0].order
        choice.gap_share = choice.gap / passing[0].order
    _weigh(choice, [c for c in competing if c.step.usable], result)
    return choice


def _find_closest(choice: Choice, error_limit: float) -> None:
    """The step whose worst miss is least: latency as a share of its limit, errors as a share of requests."""
    misses = []
    for candidate in choice.competing:
        if candidate.step.usable and candidate.judgement == "missed":
            by = [excess(f) for f in candidate.findings if f.judgement == "missed"]
            by.append((candidate.step.error_rate or 0.0) - error_limit)
            misses.append((max(by), candidate))
    if misses:
        choice.closest_by, choice.closest = min(misses, key=lambda pair: pair[0])


def excess(finding: Finding) -> float:
    """By which share a missed objective is above its limit."""
    limit = float(finding.objective["limit_ms"])
    return 0.0 if finding.value_ms is None or limit <= 0 else finding.value_ms / limit - 1


def _weigh(choice: Choice, usable: list[Candidate], result: RunResult) -> None:
    """Draw every step anew and answer again, a thousand times."""
    usable = [c for c in usable if c.step.blocks is not None]
    if choice.best not in usable or len(usable) < 2:
        return
    rng = np.random.default_rng(20240322)
    drawn = [_drawn_order(candidate, result, rng) for candidate in usable]
    orders = np.column_stack([np.where(passes, order, _DEAREST) for order, passes in drawn])
    best = next(i for i, c in enumerate(usable) if c is choice.best)
    winners = np.argmin(orders, axis=1)
    answered = np.isfinite(orders.min(axis=1))
    choice.stays = float(((winners == best) & answered).mean())
    others = np.bincount(winners[(winners != best) & answered], minlength=len(usable))
    if choice.stays < SURE and others.any():
        rival = int(np.argmax(others))
        choice.rival = usable[rival]
        fails = float((~drawn[best][1]).mean())
        dearer = float((drawn[best][0] > drawn[rival][0]).mean())
        choice.settle = _settle(usable[best], usable[rival], fails=fails, dearer=dearer)


def _settle(
    best: Candidate, rival: Candidate, *, fails: float, dearer: float
) -> list[tuple[Candidate, float]]:
    """Where, and for how many more minutes each, to measure until best and rival are told apart.

    Intervals shrink with the root of time. A rival that misses the SLO by no more than noise, or is open, is
    told apart when its own statistic is; so is a best that may miss it. Between two that pass, the difference
    in cost must outgrow the interval of both, so both are measured longer.

    Args:
        best: the cheapest that passes.
        rival: what wins most of the other draws.
        fails: share of the draws in which the best misses the SLO.
        dearer: share of the draws in which the best costs more than the rival.
    """
    if not rival.passes:
        return _unsettled(rival)
    waits = dict.fromkeys((best.step.id, rival.step.id), 0.0)
    doubt = (1 - SURE) / 2
    if fails > doubt:
        waits[best.step.id] = max((minutes for _, minutes in _unsettled(best)), default=0.0)
    gap = rival.order - best.order
    if dearer > doubt and gap > 0:
        times = (float(np.hypot(_reach(best), _reach(rival))) / gap) ** 2
        for one in (best, rival):
            if one.step.window is not None:
                longer = max(0.0, times - 1) * one.step.window.seconds / 60
                waits[one.step.id] = max(waits[one.step.id], longer)
    return [(one, waits[one.step.id]) for one in (best, rival) if waits[one.step.id] > 0]


def _unsettled(candidate: Candidate) -> list[tuple[Candidate, float]]:
    """The candidate with the longest wait of its unsure objectives."""
    waits = [f.more_minutes for f in candidate.findings if not f.sure and f.more_minutes is not None]
    return [(candidate, max(waits))] if waits else []


def _reach(candidate: Candidate) -> float:
    """Half the 95% interval of what a candidate costs, in the unit of its order."""
    interval, rate = candidate.step.per_minute_interval, candidate.step.per_minute
    return (
        0.0 if interval is None or not rate else candidate.order * (interval.high - interval.low) / 2 / rate
    )


def _drawn_order(candidate: Candidate, result: RunResult, rng: np.random.Generator) -> tuple[Floats, Flags]:
    """Drawn costs of a step, and whether each draw meets the SLO."""
    step = candidate.step
    if step.blocks is None or not step.completions:
        return np.full(RESAMPLES, _DEAREST), np.zeros(RESAMPLES, dtype=bool)
    sums = drawn_totals(step.blocks, rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        order = candidate.order * step.completions / sums[:, time_blocks.COMPLETIONS]
        ended = sums[:, time_blocks.FAILED] + sums[:, time_blocks.LATENCY_COUNT]
        passes = sums[:, time_blocks.FAILED] <= result.error_rate_limit * ended
        for index, objective in enumerate(result.objectives):
            passes = passes & _meets(sums, index, objective)
    return order, passes


def _meets(sums: Floats, index: int, objective: dict[str, Any]) -> Flags:
    column = time_blocks.FIRST_OBJECTIVE + 2 * index
    ratio = sums[:, column + 1] / sums[:, column]
    if objective["statistic"] == "mean":
        return np.asarray(ratio <= float(objective["limit_ms"]))
    return np.asarray(ratio <= 1 - int(str(objective["statistic"]).removeprefix("p")) / 100 + 1e-12)
