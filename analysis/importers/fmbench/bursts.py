"""Bursts measured truly: how long each took, what was answered, and the step's rates from their sums.

Both forms of FMBench's results go through here, so that JSON and CSV of one suite give the same figures. The
time of a burst of several is FMBench's own wall time, which its token rates imply; it includes its client's
tokenizing. A burst of one took as long as its request.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.importers.fmbench.method import Burst
from analysis.importers.fmbench.records import BurstRecord
from analysis.importers.fmbench.runs import BurstGroup
from analysis.measure.distribution import Distribution
from analysis.measure.results import StepResult
from analysis.measure.step_parts import Counts, InFlight, Throughput, TokensPerRequest
from analysis.measure.step_window import rate_interval
from analysis.metrics.definitions import Window
from analysis.metrics.in_flight import little_residual
from analysis.metrics.statistics import Floats
from analysis.metrics.time_blocks import BLOCKS, BlockSums

COARSE = 0.25
"""FMBench rounds rates to 0.01: a smaller one says how long a burst took by no better than 2%."""
CONTRADICTION = 1.01
"""A burst cannot be shorter than its slowest answer; what exceeds this is no rounding."""


@dataclass(frozen=True)
class MeasuredBurst:
    """What a burst is worth: seconds, counts and sums over its answered requests; None where unknown."""

    seconds: float | None
    ok: int
    failed: int
    prompt_tokens: float | None
    completion_tokens: float | None
    latency_sum: float | None


def measured(group: BurstGroup, seconds: float | None) -> MeasuredBurst:
    """The sums of one burst: from its requests where they are on record, else from the burst's record."""
    burst = group.record
    if group.requests:
        answered = [r for r in group.requests if r.answered]
        return MeasuredBurst(
            seconds=seconds,
            ok=len(answered),
            failed=len(group.requests) - len(answered),
            prompt_tokens=_sum(r.prompt_tokens for r in answered),
            completion_tokens=_sum(r.completion_tokens for r in answered),
            latency_sum=_sum(r.latency for r in answered),
        )
    prompt = _difference(burst.prompt_tokens, burst.failed_prompt_tokens) if burst.successes else 0.0
    mean = burst.latency_mean
    return MeasuredBurst(
        seconds=seconds,
        ok=burst.successes,
        failed=burst.size - burst.successes,
        prompt_tokens=prompt,
        completion_tokens=burst.completion_tokens if burst.successes else 0.0,
        latency_sum=0.0 if not burst.successes else None if mean is None else mean * burst.successes,
    )


def burst_seconds(groups: Sequence[BurstGroup]) -> tuple[list[float | None], set[int]]:
    """How long each burst took, and the indices of those for which only the files' times say so.

    Formula: the latency of a burst of one; else a count of tokens or answers / FMBench's rate of them, by the
    largest rate, since all are rounded to 0.01; without a rate the slowest answer, when all were answered. A
    burst that failed as a whole: the time since the last file before it, less the usual pause.
    Unit: seconds; None where nothing tells.
    Source: ``calculate_metrics`` of FMBench divides by the wall time of the burst.
    """
    seconds = [_seconds(group) for group in groups]
    gaps = _gaps(groups)
    pairs = zip(gaps, seconds, strict=True)
    pauses = [max(0.0, gap - known) for gap, known in pairs if gap is not None and known is not None]
    pause = statistics.median(pauses) if pauses else None
    derived = set()
    for index, gap in enumerate(gaps):
        if seconds[index] is None and gap is not None and pause is not None:
            seconds[index] = max(0.0, gap - pause)
            derived.add(index)
    return seconds, derived


def _seconds(group: BurstGroup) -> float | None:
    burst = group.record
    latencies = [r.latency for r in group.requests if r.latency is not None]
    slowest = max(latencies, default=None)
    if burst.size == 1 and burst.successes == 1:
        return slowest if group.requests else burst.latency_mean
    implied = implied_seconds(burst)
    if implied is None:
        return slowest if len(latencies) == burst.size else None
    contradicted = slowest is not None and not group.by_order and slowest > CONTRADICTION * implied
    return slowest if contradicted else implied


def implied_seconds(burst: BurstRecord) -> float | None:
    """The wall time that FMBench divided by: a count over its rate."""
    counts = (
        (burst.prompt_rate, burst.prompt_tokens),
        (burst.completion_rate, burst.completion_tokens),
        (burst.request_rate, float(burst.successes)),
    )
    known = [(rate, count) for rate, count in counts if rate is not None and count and rate >= COARSE]
    if not known:
        return None
    rate, count = max(known)
    return count / rate


def _gaps(groups: Sequence[BurstGroup]) -> list[float | None]:
    """Seconds between a burst's record and the last file written before it by the same experiment."""
    gaps: list[float | None] = []
    last: dict[str, float] = {}
    for group in groups:
        at, name = group.record.recorded_at, group.record.experiment
        before = last.get(name)
        gaps.append(at - before if at is not None and before is not None and at >= before else None)
        if group.last_write is not None:
            last[name] = group.last_write
    return gaps


def measure_bursts(step: StepResult, start: float, bursts: list[MeasuredBurst]) -> StepResult:
    """Give the step the counts, rates and means of its bursts, laid end to end.

    Formula: amounts / seconds of all bursts; means per answered request. Pauses, in which FMBench wrote its
    files, do not count. Rates are absent where it is not known how long a burst took.

    Args:
        step: the step, with what its requests say, if any is on record.
        start: when its first burst began, in epoch seconds.
        bursts: its bursts, in order.
    """
    counts = Counts(ok=sum(b.ok for b in bursts), failed=sum(b.failed for b in bursts))
    ok = counts.ok
    prompt = _sum(b.prompt_tokens for b in bursts)
    completion = _sum(b.completion_tokens for b in bursts)
    latency = _sum(b.latency_sum for b in bursts)
    seconds = _sum(b.seconds for b in bursts)
    described = dict(step.latency)
    if "e2e" not in described and ok and latency is not None:
        described["e2e"] = _mean_latency(bursts, ok, latency)
    step = replace(
        step,
        window_counts=counts,
        step_counts=counts,
        errors=replace(step.errors, rate=counts.error_rate),
        latency=described,
        tokens_per_request=TokensPerRequest(
            prompt=prompt / ok if ok and prompt is not None else None,
            completion=completion / ok if ok and completion is not None else None,
        ),
        throughput=Throughput(),
        in_flight=InFlight(),
        blocks=None,
    )
    if not seconds or not ok:
        return step
    window = Window(start, start + seconds)
    blocks = _block_sums(bursts, seconds)
    throughput = Throughput(
        completions=ok,
        per_minute=60 * ok / seconds,
        per_minute_interval=rate_interval(blocks, np.full(BLOCKS, seconds / BLOCKS)),
        prompt_tokens_per_s=None if prompt is None else prompt / seconds,
        completion_tokens_per_s=None if completion is None else completion / seconds,
    )
    return replace(
        step,
        window=window,
        seconds=window.seconds,
        throughput=throughput,
        in_flight=_in_flight(step.concurrency or 0, throughput, counts, latency, seconds),
        blocks=blocks,
    )


def _in_flight(
    concurrency: int, throughput: Throughput, counts: Counts, latency: float | None, seconds: float
) -> InFlight:
    """From the sum of the latencies of all answered requests, in seconds; failed ones have no latency."""
    if latency is None:
        return InFlight()
    return InFlight(
        mean=None if counts.failed else latency / seconds,
        little_residual=little_residual(concurrency, throughput.per_minute, 1000 * latency / counts.ok),
    )


def _mean_latency(bursts: list[MeasuredBurst], ok: int, total: float) -> Distribution:
    """The mean alone: percentiles cannot be known from means of bursts."""
    each = [1000 * b.latency_sum / b.ok for b in bursts if b.ok and b.latency_sum is not None]
    return Distribution(ok, 1000 * total / ok, None, min(each), max(each), {}, {})


def _block_sums(bursts: list[MeasuredBurst], seconds: float) -> BlockSums:
    """As `time_blocks.block_sums`: answers at the end of their burst, the rest at its start."""
    lengths = np.array([b.seconds or 0.0 for b in bursts])
    ends = np.cumsum(lengths)
    starts = ends - lengths
    edges = np.linspace(0, seconds * (1 + 1e-9), BLOCKS + 1)
    ok, failed = np.array([b.ok for b in bursts]), np.array([b.failed for b in bursts])

    def per_block(times: Floats, weights: NDArray[Any]) -> Floats:
        return np.histogram(np.clip(times, 0, seconds), edges, weights=weights)[0].astype(float)

    return BlockSums(
        completions=per_block(ends, ok),
        started=per_block(starts, ok + failed),
        failed=per_block(starts, failed),
        latency_ms=per_block(starts, 1000 * np.array([b.latency_sum or 0.0 for b in bursts])),
        answered=per_block(starts, ok),
    )


def as_recorded(group: BurstGroup) -> Burst:
    """The burst in FMBench's own arithmetic, with all that it counts."""
    burst = group.record
    answered = [r for r in group.requests if r.answered]
    if group.guessed:
        return Burst(
            seconds=max((r.latency or 0.0 for r in answered), default=0.0),
            successes=len(answered),
            errors=len(group.requests) - len(answered),
            prompt_tokens=sum(r.prompt_tokens or 0.0 for r in group.requests),
            completion_tokens=sum(r.completion_tokens or 0.0 for r in answered),
            latency_sum=_sum(r.latency for r in answered),
        )
    mean = burst.latency_mean
    latency = mean * burst.successes if mean is not None else _sum(r.latency for r in answered)
    return Burst(
        seconds=implied_seconds(burst) or mean or 0.0,
        successes=burst.successes,
        errors=burst.size - burst.successes,
        prompt_tokens=burst.prompt_tokens or 0.0,
        completion_tokens=burst.completion_tokens or 0.0,
        latency_sum=latency,
    )


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None when one of them is not known."""
    listed = list(values)
    return sum(v for v in listed if v is not None) if None not in listed else None


def _difference(total: float | None, part: float | None) -> float | None:
    return None if total is None or part is None else max(0.0, total - part)
