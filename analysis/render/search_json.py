"""A search as data, for ``summary.json``."""

from typing import Any

from analysis.decide.search.course import search_of
from analysis.decide.search.evidence import probe_of
from analysis.decide.search.method import End
from analysis.decide.search.rival import early_end
from analysis.measure.results import ExperimentResult, RunResult


def search_json(experiment: ExperimentResult, result: RunResult) -> dict[str, Any] | None:
    """What `summary_keys` lists under ``search``; None without a search."""
    course = search_of(experiment, result)
    if course is None:
        return None
    rival, early = experiment.rival, early_end(course, experiment)
    bracket = course.bracket
    steps = sorted([*course.steps, *course.confirmation_steps], key=lambda step: step.ordinal)
    return {
        "end": course.move.code if isinstance(course.move, End) else None,
        "sure": course.is_sure,
        "met": None if bracket.low is None else bracket.low.level,
        "missed": None if bracket.high is None else bracket.high.level,
        "surely_met": bracket.sure_low,
        "surely_missed": bracket.sure_high,
        "out_of_reach": bracket.out_of_reach,
        "spent_s": course.spent_s,
        "more_s": bracket.more_s,
        "confirmed_rate": None if course.confirmed is None else course.confirmed.rate,
        "headroom_share": course.headroom,
        "rival": None
        if rival is None
        else {
            "experiment": rival.experiment,
            "usd_per_request": rival.usd_per_request,
            "must_beat": rival.must_beat,
            "rate_at_most": None if bracket.bound is None else bracket.bound.rate,
        },
        "ended_early": None
        if early is None
        else {
            "usd_per_request_at_least": early.usd_at_least,
            "saved_s": early.seconds_saved,
            "saved_usd": early.usd_saved,
        },
        "probes": [
            {
                "step": step.id,
                "purpose": step.purpose,
                "verdict": course.verdict_of(step),
                "reasons": list(probe_of(step, course.criteria).reasons),
                "spent_s": step.spent_s,
            }
            for step in steps
        ],
    }
