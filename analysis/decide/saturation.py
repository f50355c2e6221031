"""What it saved to stop at the rate that the endpoint could not serve. Pure functions."""

from dataclasses import dataclass
from typing import Any

from analysis.measure.results import ExperimentResult, StepResult


@dataclass(frozen=True)
class Saving:
    """The steps that were cut short or not played, because the endpoint was saturated."""

    saturated: StepResult
    """The step that ended early."""
    left_out: int
    """Steps at that rate or a higher one that were not played."""
    seconds: float
    usd: float | None
    """None where no price is known."""


def saving_of(experiment: ExperimentResult, plan: dict[str, Any]) -> Saving | None:
    """What the first saturated step saved; None if none was.

    Args:
        experiment: with its steps in the order of the plan.
        plan: the plan as played.
    """
    saturated = next((step for step in experiment.steps if "saturated" in step.reason_codes), None)
    if saturated is None:
        return None
    left_out = [
        step
        for step in experiment.steps
        if step.state == "planned" and (step.rate or 0.0) >= (saturated.rate or 0.0)
    ]
    load = plan.get("load") or {}
    each_s = planned_s(load.get("warm_up")) + planned_s(load.get("measure"))
    seconds = sum(step.cut_short_s for step in experiment.steps) + each_s * len(left_out)
    hourly = experiment.usd_per_endpoint_hour
    return Saving(saturated, len(left_out), seconds, None if hourly is None else hourly * seconds / 3600)


def planned_s(length: object) -> float:
    """The planned length of a warm-up or a measurement in a manifest's plan, in seconds; at most so long."""
    longest = length.get("at_most") if isinstance(length, dict) else length
    return float(longest) if isinstance(longest, int | float) else 0.0
