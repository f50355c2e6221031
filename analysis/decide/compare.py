"""Compare runs: the same steps paired, each difference with its interval, and whether it is beyond noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.decide.repetitions import pool
from analysis.measure.results import RunResult, StepResult
from analysis.metrics.statistics import NOISE_TERMS, T95, Interval, standard_error, student
from common.errors import UserError
from common.formatting import listed, milliseconds, number, percent
from common.markdown import escape_markdown

THRESHOLD = 0.05
"""A change below a twentieth is no regression, however certain."""
StepKey = tuple[str, int | None, float | None]
"""Experiment, concurrency and rate: the same in all repetitions, of one run or of several."""
Effect = Literal["same", "better", "worse", "unclear"]
_PLAN_IGNORES = frozenset({"name", "price", "budget"})


@dataclass(frozen=True)
class Metric:
    """What is compared: its name, unit, and whether more is better."""

    key: str
    label: str
    more_is_better: bool = False
    percentile: int | None = None

    def read(self, step: StepResult) -> tuple[float, Interval] | None:
        """The figure and its 95% interval; None when not measured or on too few samples."""
        if self.percentile is not None:
            found = step.latency.get(self.key)
            value = found.shown(self.percentile) if found else None
            interval = found.intervals.get(self.percentile) if found else None
        else:
            rates = step.throughput
            value, interval = rates.per_minute, rates.per_minute_interval
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
    effect: Effect


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
        return [line for line in self.lines if line.effect == "worse"]

    @property
    def summary(self) -> str:
        """One sentence."""
        worse = [f"{line.metric} at {line.step} by {_signed(line.change)}" for line in self.regressed]
        if worse:
            more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
            return f"Regression: {'; '.join(worse[:3])}{more}."
        better = sum(line.effect == "better" for line in self.lines)
        gain = f", {better} better" if better else ""
        return f"No regression beyond noise in {len(self.lines)} comparisons{gain}."


def compare(before: Sequence[RunResult], after: Sequence[RunResult]) -> Comparison:
    """Pair the steps of two sides by experiment and level, and compare every metric.

    Several runs on a side are repetitions and pooled, so that what differs from run to run counts as noise. A
    change counts when it exceeds a twentieth and its interval excludes 0. The intervals are widened for the
    number of comparisons (Bonferroni): a run against its repetition raises no alarm in 95 of 100 cases.

    Raises:
        UserError: the sides have no step in common, or none of which a figure can be compared.
    """
    first, second = _pooled(before), _pooled(after)
    names = (_names(before), _names(after))
    pairs = [(step, second[key]) for key, step in first.items() if key in second]
    if not pairs:
        raise UserError(f"{names[0]} and {names[1]} have no step in common", "compare runs of the same plan")
    measured = [
        (step, metric, a, b)
        for step, other in pairs
        if step.usable and other.usable
        for metric in METRICS
        if (a := metric.read(step)) is not None and (b := metric.read(other)) is not None
    ]
    reach = student(1 - 0.05 / max(1, len(measured)), 2 * NOISE_TERMS)
    lines = [_line(step, metric, a, b, reach) for step, metric, a, b in measured]
    failures, notes = _errors(pairs)
    lines += failures
    voids = [
        f"{one.id} is void in {side}: {one.trust.texts[0]}"
        for pair in pairs
        for one, side in zip(pair, names, strict=True)
        if not one.usable
    ]
    if not lines:
        why = "; ".join(voids[:3]) or "no step has the samples that a percentile or a rate needs"
        raise UserError(f"nothing of {names[0]} and {names[1]} can be compared: {why}")
    differences = [note for a, b in _plan_pairs(before, after) for note in plan_differences(a, b)]
    differences += [note for pair in pairs for note in _lengths(*pair)]
    if left := first.keys() ^ second.keys():
        unpaired = sorted((first | second)[key].id for key in left)
        differences.append(f"Only on one side: {', '.join(unpaired)}.")
    differences += [f"Not compared: {void}." for void in voids]
    return Comparison(*names, lines, list(dict.fromkeys(differences + notes)))


def _plan_pairs(
    before: Sequence[RunResult], after: Sequence[RunResult]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every run's plan beside that of the first."""
    return [(before[0].plan, run.plan) for run in [*before[1:], *after]]


def _names(runs: Sequence[RunResult]) -> str:
    return listed([run.run_id for run in runs])


def _pooled(runs: Sequence[RunResult]) -> dict[StepKey, StepResult]:
    """The steps of all runs by experiment and level, trustworthy repetitions put together."""
    found: dict[StepKey, list[tuple[StepResult, RunResult]]] = {}
    for run in runs:
        for step in run.steps:
            found.setdefault((step.experiment, step.concurrency, step.rate), []).append((step, run))
    pooled = {}
    for key, parts in found.items():
        usable = [(step, run.rows) for step, run in parts if step.usable and step.window is not None]
        pooled[key] = pool(usable) if usable else parts[0][0]
    return pooled


def _line(
    step: StepResult,
    metric: Metric,
    before: tuple[float, Interval],
    after: tuple[float, Interval],
    reach: float,
) -> Line:
    difference = after[0] - before[0]
    spread = math.hypot(_error(before[1]), _error(after[1]))
    scale = before[0] or 1.0
    interval = Interval((difference - reach * spread) / scale, (difference + reach * spread) / scale)
    change = difference / scale
    effect: Effect = "same"
    if interval.low > 0 or interval.high < 0:
        if abs(change) > THRESHOLD:
            effect = "better" if (change > 0) == metric.more_is_better else "worse"
    elif max(abs(interval.low), abs(interval.high)) > 4 * THRESHOLD:
        effect = "unclear"
    return Line(
        step.id, metric.label, metric.show(before[0]), metric.show(after[0]), change, interval, effect
    )


def _errors(pairs: list[tuple[StepResult, StepResult]]) -> tuple[list[Line], list[str]]:
    """Error rates: more failures than the baseline's, beyond chance, are a regression too."""
    lines, notes = [], []
    certain = student(0.9973, 2 * NOISE_TERMS)
    for step, other in pairs:
        a, b = step.errors.rate or 0.0, other.errors.rate or 0.0
        n, m = step.window_counts.ended, other.window_counts.ended
        if not n or not m or a == b:
            continue
        pooled = (step.window_counts.failed + other.window_counts.failed) / (n + m)
        chance = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        reach = certain * max(chance, math.hypot(_swing(step) / n, _swing(other) / m))
        sure = abs(b - a) > reach
        effect: Effect = ("worse" if b > a else "better") if sure else "unclear"
        interval = Interval(b - a - reach, b - a + reach)
        lines.append(Line(step.id, "error rate", percent(a), percent(b), b - a, interval, effect))
        if not sure:
            notes.append(f"{step.id}: error rates {percent(a)} and {percent(b)} cannot be told apart.")
    return lines, notes


def _swing(step: StepResult) -> float:
    """Standard error of a step's failures: errors come in bursts, which chance alone would not."""
    return 0.0 if step.blocks is None else standard_error(step.blocks.failed) or 0.0


def _lengths(step: StepResult, other: StepResult) -> list[str]:
    """Answers or prompts of another length make other work, which no latency may be blamed for."""
    notes = []
    for name in ("completion_tokens", "prompt_tokens"):
        a, b = step.tokens.get(name), other.tokens.get(name)
        if a is None or b is None or a.mean <= 0:
            continue
        spread = math.hypot((a.std or 0) / math.sqrt(a.n), (b.std or 0) / math.sqrt(b.n))
        if abs(b.mean - a.mean) > max(3 * spread, THRESHOLD * a.mean):
            what = "answers" if name == "completion_tokens" else "prompts"
            notes.append(
                f"{step.id}: the {what} have another length ({number(a.mean)} → {number(b.mean)} tokens, "
                f"{_signed(b.mean / a.mean - 1)}), so E2E, TTFT and requests/min compare different work."
            )
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
        "summary": found.summary,
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
                "effect": line.effect,
            }
            for line in found.lines
        ],
    }


def comparison_markdown(found: Comparison) -> str:
    """The comparison for a pull request."""
    sides = escape_markdown(f"{found.baseline} → {found.candidate}")
    text = [f"### {sides}", "", f"**{escape_markdown(found.summary)}**", ""]
    text += [f"> {escape_markdown(note)}\n" for note in found.notes]
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
            line.effect,
        )
        escaped = [escape_markdown(cell).replace("|", "\\|") for cell in cells]
        text.append(f"| {' | '.join(escaped)} |")
    return "\n".join(text) + "\n"


def _error(interval: Interval) -> float:
    """Standard error that a 95% interval stands for."""
    return (interval.high - interval.low) / (2 * T95)


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else '−' if share < 0 else ''}{percent(abs(share))}"
