"""Repetitions of a step, in one run or over several, pooled into one result. Pure functions."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.decide.trust import COUNT_CHECKS, COUNT_CODES
from analysis.measure.results import LATENCIES, Distribution, StepResult
from analysis.measure.steps import rate_interval
from analysis.metrics import definitions
from analysis.metrics.definitions import Window
from analysis.metrics.time_blocks import BLOCKS, block_of

Part = tuple[StepResult, pd.DataFrame]
"""A measured step and the rows of its run."""

_COUNTS = ("window_ok", "window_failed", "window_censored", "step_ok", "step_failed", "step_censored")
_RATES = ("per_minute", "completion_tokens_per_s", "prompt_tokens_per_s", "goodput_per_s", "in_flight")
_TOKENS = ("prompt_tokens", "completion_tokens")


def pool(parts: Sequence[Part]) -> StepResult:
    """One result for repetitions of a step: all their requests, all their time.

    Formula: counts and rows are put together, rates are the amounts of all windows / their seconds. Where
    repetitions differ by more than their own noise, each counts as one block: then the spread between them
    is the noise, with one degree of freedom less than there are repetitions.
    Unit: as of the parts; ``window`` begins with the first and is as long as all together.
    Source: repetitions at different times show the slow noise that no single window can.
    """
    steps = [step for step, _ in parts]
    if len(steps) == 1:
        return steps[0]
    windows = [step.window for step in steps if step.window is not None]
    seconds = np.array([window.seconds for window in windows])
    first = steps[0]
    found = StepResult(first.id, first.experiment, first.ordinal, first.concurrency, "complete")
    found.window = Window(windows[0].start, windows[0].start + float(seconds.sum()))
    for name in _COUNTS:
        setattr(found, name, sum(getattr(step, name) for step in steps))
    found.completions = sum(step.completions or 0 for step in steps)
    for name in _RATES:
        setattr(found, name, _mean([getattr(step, name) for step in steps], seconds))
    starts = np.array([step.window_ok + step.window_failed + step.window_censored for step in steps])
    found.goodput_share = _mean([step.goodput_share for step in steps], starts)
    ended = found.window_ok + found.window_failed
    found.error_rate = found.window_failed / ended if ended else None
    for name in ("error_classes", "finish_reasons", "token_sources", "clocks"):
        setattr(found, name, _added(getattr(step, name) for step in steps))
    each_is_one = differ(steps)
    per_part = 1 if each_is_one else BLOCKS
    found.latency = {n: d for n in LATENCIES if (d := _described(parts, n, per_part)) is not None}
    found.tokens = {n: d for n in _TOKENS if (d := _described(parts, n, per_part)) is not None}
    for name, described in found.tokens.items():
        setattr(found, f"{name}_mean", described.mean)
    e2e = found.latency.get("e2e")
    found.little = definitions.little_residual(
        found.concurrency or 0, found.per_minute, None if e2e is None else e2e.mean
    )
    _judge(found, steps)
    cut = [step.blocks for step in steps if step.blocks is not None]
    if len(cut) == len(steps):
        found.blocks = np.vstack([sums.sum(axis=0) for sums in cut] if each_is_one else cut)
        found.per_minute_interval = rate_interval(found.blocks, np.repeat(seconds / per_part, per_part))
    if each_is_one:
        text = "the repetitions differ by more than their own noise"
        found.verdict.add("warn", "repetitions_differ", text)
    return found


def differ(steps: Sequence[StepResult]) -> bool:
    """Whether two of the repetitions differ in rate or median latency by more than both intervals allow."""
    figures = []
    for step in steps:
        e2e = step.latency.get("e2e")
        median = None if e2e is None else (e2e.percentiles[50], e2e.intervals.get(50))
        figures.append([(step.per_minute, step.per_minute_interval), median or (None, None)])
    return any(
        abs(a - b) > np.hypot(one.high - one.low, other.high - other.low) / 2
        for own, others in itertools.combinations(figures, 2)
        for (a, one), (b, other) in zip(own, others, strict=True)
        if a is not None and b is not None and one is not None and other is not None
    )


def _described(parts: Sequence[Part], name: str, per_part: int) -> Distribution | None:
    """A metric over all repetitions, each with ``per_part`` blocks of its own."""
    values, block = [], []
    for index, (step, rows) in enumerate(parts):
        if step.window is None:
            continue
        started = definitions.started_in(rows[rows["step"] == step.id], step.window)
        ok = started[started["outcome"] == "ok"]
        all_values = definitions.per_row(ok, name) if name in LATENCIES else definitions.numbers(ok, name)
        known = ~np.isnan(all_values)
        values.append(all_values[known])
        block.append(block_of(ok[known], step.window) * per_part // BLOCKS + index * per_part)
    return Distribution.of(np.concatenate(values), np.concatenate(block), per_part * len(parts))


def _mean(values: Sequence[float | None], weights: np.ndarray) -> float | None:
    """Weighted mean; None where a part has no value or nothing weighs."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or weights.sum() <= 0:
        return None
    return float(np.average(known, weights=weights))


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sum((Counter(one) for one in counts), Counter[str]()).most_common())


def _judge(found: StepResult, steps: Sequence[StepResult]) -> None:
    """What holds of the counts together, and every other reason of a repetition, once."""
    for check in COUNT_CHECKS:
        check(found)
    for reason in itertools.chain.from_iterable(step.verdict.reasons for step in steps):
        if reason.code not in COUNT_CODES and reason not in found.verdict.reasons:
            found.verdict.add_reason(reason)
