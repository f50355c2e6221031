"""How long the steps of adaptive lengths took, what they reached, and what they saved. Pure functions."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from analysis.decide.dwell import reach_of
from analysis.measure.results import ExperimentResult, StepResult
from configs.dwell import MeasureUntil, WarmUpUntil
from configs.load import Load

DwellEnd = Literal["reached", "limit", "saturated", "interrupted"]
"""Reached: its interval was narrow enough. Limit: the longest time was over. The others ended it early."""
_ROUNDING_S = 0.5


@dataclass(frozen=True)
class DwellStep:
    """One step."""

    step: StepResult
    warm_up_s: float | None
    measured_s: float
    reach: float | None
    """Half of the interval of the statistic, as a share of it; None where the length was fixed."""
    end: DwellEnd
    saved_s: float
    """Against the longest warm-up and the longest measurement."""


@dataclass(frozen=True)
class DwellCourse:
    """The steps of an experiment whose warm-ups or measurements had no fixed length."""

    until: MeasureUntil | None
    warm_up: WarmUpUntil | None
    steps: tuple[DwellStep, ...]
    usd_per_hour: float | None

    @property
    def saved_s(self) -> float:
        """Load time saved against fixed lengths of ``at_most``."""
        return math.fsum(step.saved_s for step in self.steps)

    @property
    def saved_usd(self) -> float | None:
        """Its price; None where no price is known."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.saved_s / 3600


def dwell_of(experiment: ExperimentResult, plan: dict[str, Any]) -> DwellCourse | None:
    """The adaptive lengths of an experiment; None where the plan has none.

    Args:
        experiment: measured.
        plan: as played, of the manifest.
    """
    section = plan.get("load") or {}
    if not any(isinstance(section.get(key), dict) for key in ("measure", "warm_up")):
        return None
    load = Load.model_validate(section)
    steps = tuple(_step(step, load) for step in experiment.steps if step.window is not None)
    return DwellCourse(load.measure_until, load.warm_up_until, steps, experiment.usd_per_endpoint_hour)


def _step(step: StepResult, load: Load) -> DwellStep:
    measured_s, end = step.seconds or 0.0, _end(step, load)
    saved_s = 0.0
    if end == "reached" and load.measure_until is not None:
        saved_s += load.measure_s - measured_s
    if load.warm_up_until is not None and step.warm_up_s is not None:
        saved_s += max(0.0, load.warm_up_s - step.warm_up_s)
    reach = None if load.measure_until is None else reach_of(step, load.measure_until.of)
    return DwellStep(step, step.warm_up_s, measured_s, reach, end, saved_s)


def _end(step: StepResult, load: Load) -> DwellEnd:
    if "saturated" in step.reason_codes:
        return "saturated"
    if step.state not in ("complete", "degraded"):
        return "interrupted"
    return "limit" if (step.seconds or 0.0) >= load.measure_s - _ROUNDING_S else "reached"
