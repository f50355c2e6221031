"""The answer: the cheapest step that passes, the runner-up, and how sure that is. Pure functions."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import blocks
from analysis.objectives import Finding, Judgement, judge, verdict
from analysis.results import ExperimentResult, RunResult, StepResult
from analysis.sampling import RESAMPLES, Floats, resampled_sums

SURE = 0.95
_DEAREST = float("inf")
Flags = NDArray[np.bool_]


@dataclass
class Candidate:
    """A step of an experiment, judged against the SLO."""

    experiment: ExperimentResult
    step: StepResult
    findings: list[Finding]
    judgement: Judgement

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
    """Share of bootstrap resamples in which the best stays the cheapest that passes."""
    rival: Candidate | None = None
    """The step that wins most of the other resamples, when the best is not sure."""
    settle: tuple[Candidate, float | None] | None = None
    """Where more minutes would tell best and rival apart, and how many."""
    closest: Candidate | None = None
    """When nothing passes: the trustworthy step that misses by least."""
    closest_by: float | None = None
    priced: bool = True
    unpriced: list[str] = field(default_factory=list)
    """Instances left out of the comparison because they have no price."""

    @property
    def competing(self) -> list[Candidate]:
        """The candidates that are compared: with prices known, those that have one."""
        return [c for c in self.candidates if not self.priced or c.step.usd_per_request is not None]

    @property
    def sure(self) -> bool:
        """Whether the resamples agree."""
        return self.stays is None or self.stays >= SURE


def choose(result: RunResult) -> list[Choice]:
    """One choice per payload, in the plan's order."""
    payloads = dict.fromkeys(experiment.payload for experiment in result.experiments)
    return [choose_for(payload, result) for payload in payloads]


def candidates_for(payload: str, result: RunResult) -> list[Candidate]:
    """Every measured step of the payload with its judgement."""
    found = []
    for experiment in result.experiments:
        for step in experiment.steps:
            if experiment.payload == payload and step.window is not None and step.window_ok:
                findings = judge(step, result.objectives)
                judged = verdict(findings, step.error_rate, result.error_rate_limit)
                found.append(Candidate(experiment, step, findings, judged))
    return found


def choose_for(payload: str, result: RunResult) -> Choice:
    """Choose for one payload."""
    candidates = candidates_for(payload, result)
    choice = Choice(payload, candidates)
    with_price = [c for c in candidates if c.step.usd_per_request is not None]
    choice.priced = bool(with_price)
    if with_price:
        without = {c.experiment.instance for c in candidates} - {c.experiment.instance for c in with_price}
        choice.unpriced = sorted(without)
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
    """Resample every step and answer anew, a thousand times."""
    usable = [c for c in usable if c.step.blocks is not None]
    if choice.best not in usable or len(usable) < 2:
        return
    rng = np.random.default_rng(20240322)
    drawn = [_resampled_order(candidate, result, rng) for candidate in usable]
    orders = np.column_stack([np.where(passes, order, _DEAREST) for order, passes in drawn])
    best = next(i for i, c in enumerate(usable) if c is choice.best)
    winners = np.argmin(orders, axis=1)
    choice.stays = float(((winners == best) & np.isfinite(orders[:, best])).mean())
    others = np.bincount(winners[(winners != best) & np.isfinite(orders.min(axis=1))], minlength=len(usable))
    if choice.stays < SURE and others.any():
        rival = int(np.argmax(others))
        choice.rival = usable[rival]
        spreads = [float(np.std(drawn[i][0])) for i in (best, rival)]
        choice.settle = _settle(choice, usable[rival], spreads)


def _settle(choice: Choice, rival: Candidate, spreads: list[float]) -> tuple[Candidate, float | None]:
    """Where, and for how many more minutes, to measure until best and rival are told apart.

    Against a rival that passes, the cost difference must grow to 1.96 standard errors, which shrink with the
    root of time; against one that misses the SLO by less than noise, its statistic must be settled first.
    """
    best = choice.best
    assert best is not None  # noqa: S101 - only called with one
    for candidate in (rival, best):
        waits = [f.more_minutes for f in candidate.findings if not f.sure and f.more_minutes is not None]
        if waits and (candidate is rival) == (not rival.passes):
            return candidate, max(waits)
    at = best if spreads[0] >= spreads[1] else rival
    gap = abs(rival.order - best.order)
    if at.step.window is None or gap == 0:
        return at, None
    factor = (1.96 * float(np.hypot(spreads[0], spreads[1])) / gap) ** 2
    extra = (factor - 1) * at.step.window.seconds / 60
    return at, extra if extra > 0 else None


def _resampled_order(
    candidate: Candidate, result: RunResult, rng: np.random.Generator
) -> tuple[Floats, Flags]:
    """Resampled cost of a step, and whether the resample meets the SLO."""
    step = candidate.step
    if step.blocks is None or step.completions is None:
        return np.full(RESAMPLES, _DEAREST), np.zeros(RESAMPLES, dtype=bool)
    sums = resampled_sums(step.blocks, rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        order = candidate.order * step.completions / sums[:, blocks.COMPLETIONS]
        ended = sums[:, blocks.FAILED] + sums[:, blocks.LATENCY_COUNT]
        passes = sums[:, blocks.FAILED] <= result.error_rate_limit * ended
        for index, objective in enumerate(result.objectives):
            passes = passes & _meets(sums, index, objective)
    return order, passes


def _meets(sums: Floats, index: int, objective: dict[str, Any]) -> Flags:
    column = blocks.FIRST_OBJECTIVE + 2 * index
    ratio = sums[:, column + 1] / sums[:, column]
    if objective["statistic"] == "mean":
        return np.asarray(ratio <= float(objective["limit_ms"]))
    return np.asarray(ratio <= 1 - int(str(objective["statistic"]).removeprefix("p")) / 100 + 1e-12)
