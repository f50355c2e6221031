"""Service level objectives: whether a step meets them, how sure that is, and goodput. Pure functions."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from analysis.measure.results import StepResult
from analysis.metrics import time_blocks
from analysis.metrics.statistics import (
    Floats,
    effective_count,
    ratio_interval,
    samples_needed,
    samples_to_settle,
    share_interval,
)

Judgement = Literal["met", "missed", "open", "unmeasured"]


@dataclass(frozen=True)
class Finding:
    """One objective at one step: the statistic, and what would settle an open one."""

    objective: dict[str, Any]
    judgement: Judgement
    value_ms: float | None = None
    samples: int = 0
    sure: bool = False
    """Whether the 95% interval lies wholly on one side of the limit."""
    more_minutes: float | None = None

    @property
    def hidden(self) -> bool:
        """Whether the figure rests on too few samples to be printed, however sure the judgement is."""
        statistic = str(self.objective["statistic"])
        return statistic != "mean" and self.samples < samples_needed(int(statistic.removeprefix("p")))

    @property
    def label(self) -> str:
        """The objective in words, for example ``TTFT p95 ≤ 1 s``."""
        return objective_label(self.objective)


def objective_label(objective: dict[str, Any]) -> str:
    """``TTFT p95 ≤ 1 s``."""
    return f"{objective['metric'].upper()} {objective['statistic']} ≤ {limit_text(objective['limit_ms'])}"


def limit_text(limit_ms: float) -> str:
    """A limit as people say it: ``800 ms``, ``1 s``, ``2.5 s``."""
    return f"{limit_ms / 1000:g} s" if limit_ms >= 1000 else f"{limit_ms:g} ms"


def judge(step: StepResult, objectives: list[dict[str, Any]]) -> list[Finding]:
    """Judge every objective at a step; see `judge_one`."""
    return [judge_one(step, objective, index) for index, objective in enumerate(objectives)]


def judge_one(step: StepResult, objective: dict[str, Any], index: int) -> Finding:
    """Judge one objective.

    A percentile is judged as a share: p95 ≤ L means at most 5% above L. With fewer samples than the
    percentile needs, it is met or missed only when the share's 95% interval says so, else open. With enough
    of them, the measured value decides and ``sure`` tells whether the interval agrees.
    """
    found = step.latency.get(objective["metric"])
    statistic, limit = objective["statistic"], float(objective["limit_ms"])
    if found is None or (value := found.statistic(statistic)) is None:
        return Finding(objective, "unmeasured")
    by_value: Judgement = "met" if value <= limit else "missed"
    if step.blocks is None:
        return Finding(objective, by_value, value, found.n)
    column = time_blocks.FIRST_OBJECTIVE + 2 * index
    measured, summed = step.blocks[:, column], step.blocks[:, column + 1]
    if statistic == "mean":
        return _judge_mean(step, Finding(objective, by_value, value, found.n), measured, summed)
    above = float(summed.sum()) / found.n
    allowed = 1 - int(statistic.removeprefix("p")) / 100
    worth = effective_count(found.n, above, summed - above * measured)
    interval = share_interval(above * worth, worth)
    if interval.high <= allowed or interval.low > allowed:
        return Finding(objective, by_value, value, found.n, sure=True)
    needed = samples_needed(int(statistic.removeprefix("p")))
    if found.n < needed:
        return Finding(objective, "open", value, found.n, more_minutes=_minutes(step, needed / found.n))
    settle = samples_to_settle(above, allowed)
    longer = None if settle is None else _minutes(step, settle / worth)
    return Finding(objective, by_value, value, found.n, more_minutes=longer)


def _judge_mean(step: StepResult, finding: Finding, measured: Floats, summed: Floats) -> Finding:
    """Whether the mean's interval agrees; else the time in which it would shrink to the distance."""
    interval = ratio_interval(summed, measured)
    if interval is None or finding.value_ms is None:
        return finding
    limit = float(finding.objective["limit_ms"])
    if interval.high <= limit or interval.low > limit:
        return replace(finding, sure=True)
    distance = abs(finding.value_ms - limit)
    times = ((interval.high - interval.low) / 2 / distance) ** 2 if distance else None
    return replace(finding, more_minutes=None if times is None else _minutes(step, times))


def _minutes(step: StepResult, times: float) -> float | None:
    """Minutes beyond its window that a step must run to be ``times`` as long."""
    return None if step.window is None else max(0.0, times - 1) * step.window.seconds / 60


def verdict(findings: list[Finding], error_rate: float | None, error_limit: float) -> Judgement:
    """All objectives and the error rate together: missed beats unmeasured beats open beats met."""
    if error_rate is None or error_rate > error_limit:
        return "missed"
    judgements = {finding.judgement for finding in findings}
    order: tuple[Judgement, ...] = ("missed", "unmeasured", "open")
    for worst in order:
        if worst in judgements:
            return worst
    return "met"
