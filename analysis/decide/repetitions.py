"""Repetitions of a step, in one run or over several, pooled into one result. Pure functions."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.decide.trust import COUNT_CHECKS, COUNT_CODES
from analysis.measure.distribution import Distribution
from analysis.measure.mix_parts import PartFacts
from analysis.measure.results import LATENCIES, StepResult
from analysis.measure.step_parts import (
    Counts,
    Errors,
    Goodput,
    InFlight,
    Provenance,
    Throughput,
    TokensPerRequest,
)
from analysis.measure.step_window import mean_of, rate_interval
from analysis.metrics import definitions, in_flight
from analysis.metrics.statistics import Floats
from analysis.metrics.time_blocks import BLOCKS, BlockSums, block_of

Part = tuple[StepResult, pd.DataFrame]
"""A measured step and the rows of its run."""

_TOKENS = ("prompt_tokens", "completion_tokens")


_DIFFER = "the repetitions differ by more than their own noise"


def pool(parts: Sequence[Part]) -> StepResult:
    """One result for repetitions of a step: all their requests, all their time.

    Formula: counts and rows are put together, rates are the amounts of all windows / their seconds. Where
    repetitions differ by more than their own noise, each counts as one block: then the spread between them
    is the noise, with one degree of freedom less than there are repetitions.
    Unit: as of the parts; ``seconds`` is the sum of all windows.
    Source: repetitions at different times show the slow noise that no single window can.
    """
    steps = [step for step, _ in parts]
    if len(steps) == 1:
        return steps[0]
    seconds = np.array([step.seconds for step in steps], dtype=float)
    differing = differ(steps)
    blocks_each = 1 if differing else BLOCKS
    latency = {n: d for n in LATENCIES if (d := _described(parts, n, blocks_each)) is not None}
    tokens = {n: d for n in _TOKENS if (d := _described(parts, n, blocks_each)) is not None}
    blocks = _stacked_blocks(steps, one_each=differing)
    throughput = _throughput(steps, seconds, blocks, blocks_each)
    window_counts = _total(step.window_counts for step in steps)
    classes = _added(step.errors.classes for step in steps)
    starts = np.array([step.window_counts.total for step in steps])
    first = steps[0]
    pooled = StepResult(
        id=first.id,
        experiment=first.experiment,
        ordinal=first.ordinal,
        concurrency=first.concurrency,
        rate=first.rate,
        speed=first.speed,
        state="complete",
        seconds=float(seconds.sum()),
        window_counts=window_counts,
        step_counts=_total(step.step_counts for step in steps),
        latency=latency,
        tokens=tokens,
        tokens_per_request=TokensPerRequest(*(mean_of(tokens.get(name)) for name in _TOKENS)),
        throughput=throughput,
        goodput=Goodput(
            per_s=_weighted([step.goodput.per_s for step in steps], seconds),
            share=_weighted([step.goodput.share for step in steps], starts),
        ),
        errors=Errors(window_counts.error_rate, classes),
        in_flight=InFlight(
            mean=_weighted([step.in_flight.mean for step in steps], seconds),
            little_residual=in_flight.little_residual(
                first.concurrency or 0, throughput.per_minute, mean_of(latency.get("e2e"))
            ),
        ),
        provenance=_provenance(steps),
        blocks=blocks,
        parts=_pooled_parts(parts, seconds, blocks_each),
    )
    _check(pooled, steps)
    if differing:
        pooled.trust.add("warn", "repetitions_differ", _DIFFER)
    return pooled


def _pooled_parts(parts: Sequence[Part], seconds: Floats, blocks_each: int) -> tuple[PartFacts, ...]:
    """The parts of a mix over all repetitions; its tokens and its price are not pooled."""
    steps = [step for step, _ in parts]
    pooled = []
    for name in dict.fromkeys(part.part for step in steps for part in step.parts):
        own = [(step, rows[rows["part"].eq(name)]) for step, rows in parts]
        facts = [next((part for part in step.parts if part.part == name), None) for step in steps]
        known = [part for part in facts if part is not None]
        rate, tokens, flying = (
            _weighted([None if part is None else getattr(part, key) for part in facts], seconds)
            for key in ("per_minute", "completion_tokens_per_s", "in_flight")
        )
        latency = {n: d for n in LATENCIES if (d := _described(own, n, blocks_each)) is not None}
        counts = _total(part.counts for part in known)
        pooled.append(PartFacts(name, counts, rate, tokens, flying, latency=latency))
    return tuple(pooled)


def _provenance(steps: Sequence[StepResult]) -> Provenance:
    return Provenance(
        finish_reasons=_added(step.provenance.finish_reasons for step in steps),
        token_sources=_added(step.provenance.token_sources for step in steps),
        clocks=_added(step.provenance.clocks for step in steps),
        more_chunks_than_tokens=sum(step.provenance.more_chunks_than_tokens for step in steps),
    )


def _total(counts: Iterable[Counts]) -> Counts:
    listed = list(counts)
    return Counts(
        ok=sum(each.ok for each in listed),
        failed=sum(each.failed for each in listed),
        censored=sum(each.censored for each in listed),
        withheld=sum(each.withheld for each in listed),
    )


def _throughput(
    steps: Sequence[StepResult], seconds: Floats, blocks: BlockSums | None, blocks_each: int
) -> Throughput:
    """The amounts of all windows / their seconds."""
    parts = [step.throughput for step in steps]
    block_seconds = np.repeat(seconds / blocks_each, blocks_each)
    return Throughput(
        completions=sum(part.completions or 0 for part in parts),
        per_minute=_weighted([part.per_minute for part in parts], seconds),
        per_minute_interval=None if blocks is None else rate_interval(blocks, block_seconds),
        prompt_tokens_per_s=_weighted([part.prompt_tokens_per_s for part in parts], seconds),
        completion_tokens_per_s=_weighted([part.completion_tokens_per_s for part in parts], seconds),
    )


def _stacked_blocks(steps: Sequence[StepResult], *, one_each: bool) -> BlockSums | None:
    """The blocks of all steps, or one block per step; None if a step has none."""
    sums = [step.blocks.matrix() for step in steps if step.blocks is not None]
    if len(sums) < len(steps):
        return None
    return BlockSums.from_matrix(np.vstack([matrix.sum(axis=0) for matrix in sums] if one_each else sums))


def differ(steps: Sequence[StepResult]) -> bool:
    """Whether two of the repetitions differ in rate or median latency by more than both intervals allow."""
    figures = []
    for step in steps:
        e2e = step.latency.get("e2e")
        median = None if e2e is None else (e2e.percentiles[50], e2e.intervals.get(50))
        figures.append(
            [(step.throughput.per_minute, step.throughput.per_minute_interval), median or (None, None)]
        )
    return any(
        abs(a - b) > np.hypot(one.high - one.low, other.high - other.low) / 2
        for own, others in itertools.combinations(figures, 2)
        for (a, one), (b, other) in zip(own, others, strict=True)
        if a is not None and b is not None and one is not None and other is not None
    )


def _described(parts: Sequence[Part], name: str, blocks_each: int) -> Distribution | None:
    """A metric over all repetitions, each with ``blocks_each`` blocks of its own."""
    values, block = [], []
    for index, (step, rows) in enumerate(parts):
        if step.window is None:
            continue
        started = definitions.started_in(rows[rows["step"] == step.id], step.window)
        ok = started[started["outcome"] == "ok"]
        all_values = definitions.per_row(ok, name) if name in LATENCIES else definitions.numbers(ok, name)
        known = ~np.isnan(all_values)
        values.append(all_values[known])
        block.append(block_of(ok[known], step.window) * blocks_each // BLOCKS + index * blocks_each)
    return Distribution.of(np.concatenate(values), np.concatenate(block), blocks_each * len(parts))


def _weighted(values: Sequence[float | None], weights: np.ndarray) -> float | None:
    """Weighted mean; None where a part has no value or nothing weighs."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or weights.sum() <= 0:
        return None
    return float(np.average(known, weights=weights))


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sum((Counter(each) for each in counts), Counter[str]()).most_common())


def _check(pooled: StepResult, steps: Sequence[StepResult]) -> None:
    """What holds of the counts together, and every other reason of a repetition, once."""
    for check in COUNT_CHECKS:
        check(pooled)
    for reason in itertools.chain.from_iterable(step.trust.reasons for step in steps):
        if reason.code not in COUNT_CODES and reason not in pooled.trust.reasons:
            pooled.trust.add_reason(reason)
