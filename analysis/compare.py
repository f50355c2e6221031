"""Compare runs: the same steps paired, each difference with its interval, and a verdict beyond noise."""

import math
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Literal

from analysis.results import RunResult, StepResult
from analysis.sampling import Interval
from analysis.words import milliseconds, number, percent
from configs.errors import UserError

THRESHOLD = 0.05
"""A change below a twentieth is no regression, however certain."""
Judgement = Literal["same", "better", "worse", "unclear"]
_PLAN_IGNORES = frozenset({"name", "price", "budget"})


@dataclass(frozen=True)
class Metric:
    """What is compared: its name, unit, and whether more is better."""

    key: str
    label: str
    more_is_better: bool = False
    percentile: int | None = None

    def read(self, step: StepResult) -> tuple[float, Interval] | None:
        """The figure and its 95 % interval; None when not measured or on too few samples."""
        if self.percentile is not None:
            found = step.latency.get(self.key)
            value = found.shown(self.percentile) if found else None
            interval = found.intervals.get(self.percentile) if found else None
        else:
            value, interval = step.per_minute, step.per_minute_interval
        return None if value is None or interval is None else (value, interval)

    def show(self, value: float) -> str:
        """The figure with its unit."""
        return number(value) if self.percentile is None else milliseconds(value)


METRICS = (
    Metric("ttft", "TTFT p50", percentile=50),
    Metric("ttft", "TTFT p95", percentile=95),
    Metric("tpot", "TPOT p50", percentile=50),
    Metric("tpot", "TPOT p95", percentile=95),
    Metric("e2e", "E2E p50", percentile=50),
    Metric("e2e", "E2E p95", percentile=95),
    Metric("per_minute", "requests/min", more_is_better=True),
)


@dataclass(frozen=True)
class Line:
    """One metric of one pair of steps. ``change`` is relative to the baseline."""

    step: str
    metric: str
    before: str
    after: str
    change: float
    interval: Interval
    judgement: Judgement


@dataclass
class Comparison:
    """Two runs compared. ``regressed`` decides the exit code."""

    baseline: str
    candidate: str
    lines: list[Line]
    notes: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> list[Line]:
        """What got worse beyond noise."""
        return [line for line in self.lines if line.judgement == "worse"]

    @property
    def verdict(self) -> str:
        """One sentence."""
        worse = [f"{line.metric} at {line.step} by {_signed(line.change)}" for line in self.regressed]
        if worse:
            more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
            return f"Regression: {'; '.join(worse[:3])}{more}."
        better = sum(line.judgement == "better" for line in self.lines)
        gain = f", {better} better" if better else ""
        return f"No regression beyond noise in {len(self.lines)} comparisons{gain}."


def compare(baseline: RunResult, candidate: RunResult) -> Comparison:
    """Pair the steps of two runs by experiment and concurrency, and compare every metric.

    A change counts when it exceeds a twentieth and its interval excludes 0. The intervals are widened for the
    number of comparisons (Bonferroni): a run against its repetition raises no alarm in 95 of 100 cases.

    Raises:
        UserError: the runs have no step in common.
    """
    others = {step.id: step for step in candidate.steps}
    pairs = [(step, others[step.id]) for step in baseline.steps if step.id in others]
    if not pairs:
        raise UserError(
            f"{baseline.run_id} and {candidate.run_id} have no step in common: compare runs of the same plan"
        )
    measured = [
        (step, metric, before, after)
        for step, other in pairs
        if step.usable and other.usable
        for metric in METRICS
        if (before := metric.read(step)) is not None and (after := metric.read(other)) is not None
    ]
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, len(measured)))
    lines = [_line(step, metric, before, after, z) for step, metric, before, after in measured]
    notes = plan_differences(baseline.plan, candidate.plan)
    notes += _errors(pairs, lines)
    left = {s.id for s in [*baseline.steps, *candidate.steps]} - {s.id for s, _ in pairs}
    if left:
        notes.append(f"Only in one of the runs: {', '.join(sorted(left))}.")
    notes += [
        f"{s.id} is void in one of the runs and not compared."
        for s, o in pairs
        if not (s.usable and o.usable)
    ]
    return Comparison(baseline.run_id, candidate.run_id, lines, notes)


def _line(
    step: StepResult, metric: Metric, before: tuple[float, Interval], after: tuple[float, Interval], z: float
) -> Line:
    difference = after[0] - before[0]
    spread = math.hypot(_error(before[1]), _error(after[1]))
    scale = before[0] or 1.0
    interval = Interval((difference - z * spread) / scale, (difference + z * spread) / scale)
    change = difference / scale
    judgement: Judgement = "same"
    if interval.low > 0 or interval.high < 0:
        if abs(change) > THRESHOLD:
            judgement = "better" if (change > 0) == metric.more_is_better else "worse"
    elif max(abs(interval.low), abs(interval.high)) > 4 * THRESHOLD:
        judgement = "unclear"
    return Line(
        step.id, metric.label, metric.show(before[0]), metric.show(after[0]), change, interval, judgement
    )


def _errors(pairs: list[tuple[StepResult, StepResult]], lines: list[Line]) -> list[str]:
    """Error rates: more failures than the baseline's, beyond chance, are a regression too."""
    notes = []
    for step, other in pairs:
        a, b = step.error_rate or 0.0, other.error_rate or 0.0
        n, m = step.window_ok + step.window_failed, other.window_ok + other.window_failed
        if not n or not m or a == b:
            continue
        pooled = (step.window_failed + other.window_failed) / (n + m)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        sure = spread > 0 and abs(b - a) > 3 * spread
        judgement: Judgement = ("worse" if b > a else "better") if sure else "unclear"
        interval = Interval(b - a - 3 * spread, b - a + 3 * spread)
        lines.append(Line(step.id, "error rate", percent(a), percent(b), b - a, interval, judgement))
        if not sure:
            notes.append(f"{step.id}: error rates {percent(a)} and {percent(b)} are not told apart.")
    return notes


def plan_differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """In which keys two plans differ, as notes; names, prices and budgets may."""
    keys = sorted(
        key
        for key in before.keys() | after.keys()
        if key not in _PLAN_IGNORES and before.get(key) != after.get(key)
    )
    return [f"The plans differ in {', '.join(keys)}: this compares more than one thing."] if keys else []


def comparison_data(found: Comparison) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "baseline": found.baseline,
        "candidate": found.candidate,
        "verdict": found.verdict,
        "regressed": bool(found.regressed),
        "notes": found.notes,
        "lines": [
            {
                "step": line.step,
                "metric": line.metric,
                "before": line.before,
                "after": line.after,
                "change": line.change,
                "change_interval": [line.interval.low, line.interval.high],
                "judgement": line.judgement,
            }
            for line in found.lines
        ],
    }


def comparison_markdown(found: Comparison) -> str:
    """The comparison for a pull request."""
    text = [f"### {found.baseline} → {found.candidate}", "", f"**{found.verdict}**", ""]
    text += [f"> {note}\n" for note in found.notes]
    text += ["| step | metric | before | after | change | interval | |", "|---|---|---:|---:|---:|---|---|"]
    for line in found.lines:
        between = f"{_signed(line.interval.low)} to {_signed(line.interval.high)}"
        cells = (
            line.step,
            line.metric,
            line.before,
            line.after,
            _signed(line.change),
            between,
            line.judgement,
        )
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def _error(interval: Interval) -> float:
    """Standard error that a 95 % interval stands for."""
    return (interval.high - interval.low) / (2 * 1.96)


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else '−' if share < 0 else ''}{percent(abs(share))}"
