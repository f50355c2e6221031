"""Service level objectives: whether a step meets them and how certain that is. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analysis.measure.results import StepResult
from analysis.metrics.statistics import (
    effective_count,
    ratio_interval,
    samples_needed,
    samples_to_decide,
    share_interval,
)
from analysis.metrics.time_blocks import ObjectiveSums
from configs.slo import Objective

SloStatus = Literal["met", "missed", "open", "unmeasured"]


@dataclass(frozen=True)
class SloCheck:
    """One objective at one step: the statistic, and how long an open one must be measured."""

    objective: Objective
    status: SloStatus
    value_ms: float | None = None
    samples: int = 0
    sure: bool = False
    """Whether the 95% interval lies wholly on one side of the limit."""
    more_minutes: float | None = None

    @property
    def hidden(self) -> bool:
        """Whether the samples are too few to show the value, however certain the status is."""
        percentile = self.objective.percentile
        return percentile is not None and self.samples < samples_needed(percentile)

    @property
    def label(self) -> str:
        """``TTFT p95 ≤ 1 s``."""
        return self.objective.label

    @property
    def excess(self) -> float:
        """Share by which the value exceeds the limit; negative below it."""
        return 0.0 if self.value_ms is None else self.value_ms / self.objective.limit_ms - 1


def check_slo(step: StepResult, objectives: Sequence[Objective]) -> list[SloCheck]:
    """Check every objective at a step; see `check_objective`."""
    return [check_objective(step, objective, index) for index, objective in enumerate(objectives)]


def check_objective(step: StepResult, objective: Objective, index: int) -> SloCheck:
    """Check one objective, the one at ``index`` of the plan's.

    A percentile is checked as a share: p95 ≤ L means at most 5% above L. With fewer samples than the
    percentile needs, it is met or missed only when the share's 95% interval says so, else open. With enough
    of them, the measured value decides and ``sure`` says whether the interval agrees.
    """
    described = step.latency_of(objective)
    if described is None or (value := described.statistic(objective.percentile)) is None:
        return SloCheck(objective, "unmeasured")
    by_value = SloCheck(objective, "met" if value <= objective.limit_ms else "missed", value, described.n)
    if step.blocks is None:
        return by_value
    sums = step.blocks.objectives[index]
    if objective.percentile is None or objective.allowed_share is None:
        return _check_mean(step, by_value, sums)
    above = float(sums.amounts.sum()) / described.n
    effective_n = effective_count(described.n, above, sums.amounts - above * sums.measured)
    interval = share_interval(above * effective_n, effective_n)
    if interval.high <= objective.allowed_share or interval.low > objective.allowed_share:
        return replace(by_value, sure=True)
    needed = samples_needed(objective.percentile)
    if described.n < needed:
        return replace(by_value, status="open", more_minutes=_more_minutes(step, needed / described.n))
    samples = samples_to_decide(above, objective.allowed_share)
    return replace(
        by_value, more_minutes=None if samples is None else _more_minutes(step, samples / effective_n)
    )


def _check_mean(step: StepResult, check: SloCheck, sums: ObjectiveSums) -> SloCheck:
    """Whether the mean's interval agrees; else the time in which it would shrink to the distance."""
    interval = ratio_interval(sums.amounts, sums.measured)
    if interval is None or check.value_ms is None:
        return check
    limit = check.objective.limit_ms
    if interval.high <= limit or interval.low > limit:
        return replace(check, sure=True)
    distance = abs(check.value_ms - limit)
    times = ((interval.high - interval.low) / 2 / distance) ** 2 if distance else None
    return replace(check, more_minutes=None if times is None else _more_minutes(step, times))


def _more_minutes(step: StepResult, times: float) -> float | None:
    """Minutes beyond the measured time after which it is ``times`` as long."""
    return None if step.seconds is None else max(0.0, times - 1) * step.seconds / 60


def slo_status(checks: Sequence[SloCheck], error_rate: float | None, error_limit: float) -> SloStatus:
    """All objectives and the error rate together: missed beats unmeasured beats open beats met."""
    if error_rate is None or error_rate > error_limit:
        return "missed"
    statuses = {check.status for check in checks}
    worst_first: tuple[SloStatus, ...] = ("missed", "unmeasured", "open")
    return next((status for status in worst_first if status in statuses), "met")
