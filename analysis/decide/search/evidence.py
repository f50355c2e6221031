"""From a plan to the rules of its search, and from a measured step to a probe. Pure functions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.decide.search.probes import (
    Criterion,
    Estimate,
    Outcome,
    Probe,
    Rules,
    estimate_mean,
    estimate_share,
    interval_of,
)
from analysis.measure.results import StepResult
from analysis.metrics.statistics import Floats
from configs.load import Load
from configs.search import LEAST_PROBE_S, Search
from configs.slo import Objective

ERRORS = "errors"
_OWN_JUDGMENT = frozenset({"too_few_samples", "nothing_answered", "saturated", "not_finished", "no_window"})
"""Codes of the trust gate that the search judges itself, by intervals, time and errors."""
SPOILS = frozenset({"worker_lost", "worker_joined", "worker_silent", "load_gap", "clock_set"})
"""What spoils a probe although the gate may only warn: the search can afford to play it again."""
_CONFIRMATION_S = 60.0
"""Shortest confirmation, unless the plan's measurement is shorter."""


def rules_of(load: Load, search: Search) -> Rules:
    """The rules of a plan's search."""
    return Rules(
        low=search.low,
        high=search.high,
        resolution=search.resolution,
        whole=search.over == "concurrency",
        least_s=min(LEAST_PROBE_S, load.measure_s),
        most_s=load.measure_s,
        limit_s=search.at_most,
        confirm=load.confirm and search.over == "concurrency",
    )


def confirmation_rules(rules: Rules, rate: float) -> Rules:
    """The rules by which one rate is confirmed."""
    least_s = min(_CONFIRMATION_S, rules.most_s)
    return replace(rules, low=rate, high=rate, whole=False, least_s=least_s, limit_s=None, must_beat=None)


def rules_from(plan: dict[str, Any]) -> Rules | None:
    """The rules of the search in a manifest's plan; None where it has none."""
    load = Load.model_validate(plan["load"]) if (plan.get("load") or {}).get("search") else None
    return None if load is None or load.search is None else rules_of(load, load.search)


def criteria_of(objectives: Sequence[Objective], error_rate_limit: float) -> tuple[Criterion, ...]:
    """One criterion per objective, and one for the errors."""
    criteria = [
        Criterion(objective.label, objective.limit_ms, "mean")
        if objective.allowed_share is None
        else Criterion(objective.label, objective.allowed_share)
        for objective in objectives
    ]
    return (*criteria, Criterion(ERRORS, error_rate_limit, "errors"))


def probe_of(step: StepResult, criteria: Sequence[Criterion]) -> Probe:
    """What a step tells the search. Its trust must have been judged, unless it is still running."""
    probe = Probe(
        level=float(step.level or 0.0),
        seconds=step.seconds or 0.0,
        spent_s=step.spent_s or step.seconds or 0.0,
        requests=step.window_counts.ok + step.window_counts.failed,
        in_flight=float(step.concurrency or step.in_flight.mean or 0.0),
        rate_at_most=_rate_at_most(step),
        estimates=_estimates(step, criteria, slice(None)),
        late=tuple(
            None if each is None else each.value
            for each in _estimates(step, criteria, slice(len(step.blocks or ()) // 2, None))
        ),
    )
    outcome, reasons = _outcome(step, probe, criteria)
    return replace(probe, outcome=outcome, reasons=reasons)


def _estimates(step: StepResult, criteria: Sequence[Criterion], part: slice) -> tuple[Estimate | None, ...]:
    blocks = step.blocks
    if blocks is None:
        return (None,) * len(criteria)
    estimates: list[Estimate | None] = []
    for criterion, sums in zip(criteria, blocks.objectives, strict=False):
        estimate = estimate_mean if criterion.kind == "mean" else estimate_share
        estimates.append(estimate(_part(sums.measured, part), _part(sums.amounts, part)))
    ended, failed = blocks.failed + blocks.answered, blocks.failed
    return (*estimates, estimate_share(_part(ended, part), _part(failed, part)))


def _rate_at_most(step: StepResult) -> float | None:
    interval = step.throughput.per_minute_interval
    return None if interval is None else interval.high / 60


def _part(values: Floats, part: slice) -> Floats:
    return values[part]


def _outcome(
    step: StepResult, probe: Probe, criteria: Sequence[Criterion]
) -> tuple[Outcome, tuple[str, ...]]:
    """What became of the probe, and the trust codes that say so."""
    if "saturated" in step.reason_codes or any(r.code == "saturated" for r in step.trust.reasons):
        return "saturated", ("saturated",)
    codes = tuple(
        reason.code
        for reason in step.trust.reasons
        if reason.level == "void" and reason.code not in _OWN_JUDGMENT
    )
    if spoilt := tuple(sorted(SPOILS.intersection(step.reason_codes))):
        return "void", spoilt
    if not codes and (probe.requests or step.state == "running"):
        return "measured", ()
    if set(codes) <= {"underload"}:
        errors = probe.estimates[-1]
        if errors is not None and interval_of(errors, criteria[-1]).low > criteria[-1].allowed:
            return "measured", codes  # what fails at once is not in flight for long
        return "not_reached", codes or ("nothing_answered",)
    return "void", codes
