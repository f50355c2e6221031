"""The path of a search as data for displays. A pure function."""

import math
from dataclasses import dataclass

from analysis.decide.search.course import Course
from analysis.decide.search.evidence import probe_of
from analysis.decide.search.method import End
from analysis.decide.search.probes import Criterion, Estimate, interval_of
from analysis.measure.results import StepResult
from runfolder.records import StepPurpose
from runfolder.search_path import MeasuredCriterion, ProbeState, SearchPath


@dataclass(frozen=True)
class Running:
    """The step that is being played."""

    step: str
    level: float
    purpose: StepPurpose
    looks_at: float | None = None


def path_of(
    course: Course, experiment: str, running: Running | None = None, *, ended: bool = False
) -> SearchPath:
    """The search so far.

    Args:
        course: with the running step, if that was measured.
        experiment: its name.
        running: the step that is being played; None between two steps, and at the end.
        ended: whether the search has ended by itself, confirmation included.
    """
    rules, bracket = course.rules, course.bracket
    steps = sorted([*course.steps, *course.confirmation_steps], key=lambda step: step.ordinal)
    probes = [_probe(course, step, running) for step in steps]
    if running is not None and running.step not in {step.id for step in steps}:
        unjudged = ProbeState(
            step=running.step,
            level=running.level,
            purpose=running.purpose,
            running=True,
            looks_at=running.looks_at,
        )
        probes.append(unjudged)
    low, high = bracket.low, bracket.high
    return SearchPath(
        experiment=experiment,
        over="concurrency" if rules.whole else "rate",
        lowest=rules.low,
        highest=rules.high,
        resolution=rules.resolution,
        at_most_s=rules.limit_s,
        spent_s=math.fsum(p.spent_s for p in probes if p.spent_s is not None),
        met=None if low is None else low.level,
        met_surely=low is not None and low.sure,
        missed=None if high is None else high.level,
        missed_surely=high is not None and high.sure,
        out_of_reach=bracket.out_of_reach,
        end=course.move.code if ended and isinstance(course.move, End) else None,
        probes=tuple(probes),
    )


def _probe(course: Course, step: StepResult, running: Running | None) -> ProbeState:
    probe, runs = probe_of(step, course.criteria), running is not None and running.step == step.id
    pairs = zip(course.criteria, probe.estimates, strict=False)
    return ProbeState(
        step=step.id,
        level=probe.level,
        purpose=step.purpose or "probe",
        verdict=course.verdict_of(step),
        reasons=probe.reasons,
        measured_s=probe.seconds,
        requests=probe.requests,
        spent_s=None if runs else step.spent_s,
        running=runs,
        looks_at=running.looks_at if running is not None and runs else None,
        criteria=tuple(_measured(criterion, each) for criterion, each in pairs if each is not None),
    )


def _measured(criterion: Criterion, estimate: Estimate) -> MeasuredCriterion:
    interval = interval_of(estimate, criterion)
    return MeasuredCriterion(
        name=criterion.name,
        kind=criterion.kind,
        value=estimate.value,
        low=interval.low,
        high=interval.high,
        allowed=criterion.allowed,
    )
