"""What a step's measure window holds: each part of its result, from the rows and a definition."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.measure.distribution import Distribution
from analysis.measure.results import LATENCIES, StepResult
from analysis.measure.step_parts import (
    Counts,
    Errors,
    Goodput,
    Health,
    InFlight,
    Provenance,
    StepCost,
    Streaming,
    Throughput,
    TokensPerRequest,
)
from analysis.metrics import definitions, in_flight
from analysis.metrics.cost import usd_per_million_tokens, usd_per_request
from analysis.metrics.definitions import Window, goodput
from analysis.metrics.statistics import Floats, Interval, ratio_interval
from analysis.metrics.time_blocks import BLOCKS, BlockSums, block_of, block_sums, latency_sums
from configs.slo import Objective
from runfolder.trend import LEAST_VALUES, UNSERVED, rises

_TOKENS = ("prompt_tokens", "completion_tokens")
_OUTCOMES = ("ok", "failed", "censored", "withheld")


def measure_window(
    step: StepResult,
    rows: pd.DataFrame,
    own: pd.DataFrame,
    gaps: pd.DataFrame,
    objectives: Sequence[Objective],
) -> StepResult:
    """The step with all that its window holds; unchanged without a window.

    Args:
        step: a step with its window.
        rows: all rows of the experiment: throughput is what happened inside the window, whoever started it.
        own: the rows of this step: latency is of those that started inside the window.
        gaps: the step's buckets of gaps.
        objectives: the plan's latency objectives.
    """
    window = step.window
    if window is None:
        return step
    overlapping = rows[_overlaps(rows, window)]
    started = definitions.started_in(own, window)
    ok = started[started["outcome"] == "ok"]
    latency = {name: d for name in LATENCIES if (d := describe(ok, name, window)) is not None}
    tokens = {name: d for name in _TOKENS if (d := describe(ok, name, window)) is not None}
    blocks = block_sums(overlapping, started, window, objectives)
    throughput = Throughput(
        completions=definitions.completions(overlapping, window),
        per_minute=definitions.requests_per_minute(overlapping, window),
        per_minute_interval=rate_interval(blocks, np.full(BLOCKS, window.seconds / BLOCKS)),
        prompt_tokens_per_s=definitions.prompt_tokens_per_s(overlapping, window),
        completion_tokens_per_s=definitions.completion_tokens_per_s(overlapping, window),
    )
    per_s, share = goodput(started, window, objectives)
    over_time = [] if step.rate is None else in_flight.in_flight_over_time(overlapping, window)
    return replace(
        step,
        seconds=window.seconds,
        window_counts=count_outcomes(started["outcome"]),
        latency=latency,
        tokens=tokens,
        tokens_per_request=TokensPerRequest(*(mean_of(tokens.get(name)) for name in _TOKENS)),
        streaming=_streaming(ok, gaps),
        throughput=throughput,
        goodput=Goodput(per_s, share),
        errors=Errors(definitions.error_rate(started), definitions.error_classes(started)),
        in_flight=InFlight(
            mean=in_flight.mean_in_flight(overlapping, window),
            least=in_flight.least_in_flight(overlapping, window) if step.reason_codes else None,
            over_time=tuple(over_time),
            rising=len(started) >= LEAST_VALUES and rises(over_time, UNSERVED * len(started)),
            ttft_rising=step.rate is not None and rises(_ttft_in_order(ok), 1000 * UNSERVED * window.seconds),
            little_residual=in_flight.little_residual(
                step.concurrency or 0, throughput.per_minute, mean_of(latency.get("e2e"))
            ),
        ),
        provenance=_provenance(ok),
        blocks=blocks,
        tpot_blocks=latency_sums(ok, "tpot", window),
    )


def _ttft_in_order(ok: pd.DataFrame) -> Sequence[float]:
    """Times to first token of answered requests, in the order in which they started."""
    values = definitions.per_row(ok.sort_values("started_at"), "ttft")
    return [float(value) for value in definitions.measured(values)]


def _streaming(ok: pd.DataFrame, gaps: pd.DataFrame) -> Streaming:
    streamed = ok[ok["ttft_ms"].notna()]
    return Streaming(
        tokens_per_s_p50=_median(definitions.user_tokens_per_s(ok)),
        gap_p50_ms=definitions.gap_percentile_ms(gaps, 50),
        gap_p99_ms=definitions.gap_percentile_ms(gaps, 99),
        spread_p50=_median(definitions.stream_spread(streamed)),
        chunks_p50=_median(definitions.measured(definitions.numbers(streamed, "chunks"))),
    )


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if len(values) else None


def _provenance(ok: pd.DataFrame) -> Provenance:
    return Provenance(
        finish_reasons=_counts(ok["finish_reason"]),
        token_sources=_counts(ok["completion_tokens_source"]),
        clocks=_counts(ok["arrival_clock"]),
        more_chunks_than_tokens=int((ok["chunks"] > ok["completion_tokens"]).sum()),
    )


def describe(rows: pd.DataFrame, name: str, window: Window) -> Distribution | None:
    """A latency or a count of tokens of rows that started in the window; None when none has it."""
    values = definitions.per_row(rows, name) if name in LATENCIES else definitions.numbers(rows, name)
    known = ~np.isnan(values)
    return Distribution.of(values[known], block_of(rows[known], window), BLOCKS)


def rate_interval(sums: BlockSums, seconds: Floats) -> Interval | None:
    """The 95% interval of the requests per minute; None without a completed request.

    Args:
        sums: the step's, per block.
        seconds: the length of each block.
    """
    return ratio_interval(60 * sums.completions, seconds) if sums.completions.any() else None


def step_cost(throughput: Throughput, usd_per_hour: float | None, instances: int) -> StepCost:
    """What the rates cost, in dollars; all absent without a price."""
    output, prompt = throughput.completion_tokens_per_s, throughput.prompt_tokens_per_s
    total = None if output is None or prompt is None else output + prompt
    rate = throughput.per_minute_interval
    low, high = (
        usd_per_request(usd_per_hour, instances, bound)
        for bound in ((None, None) if rate is None else (rate.high, rate.low))
    )
    return StepCost(
        per_request=usd_per_request(usd_per_hour, instances, throughput.per_minute),
        per_request_interval=None if low is None or high is None else Interval(low, high),
        per_million_output=usd_per_million_tokens(usd_per_hour, instances, output),
        per_million_total=usd_per_million_tokens(usd_per_hour, instances, total),
    )


def worker_health(workers: pd.DataFrame, window: Window) -> Health:
    """The load generator's worst figures inside the window."""
    at = definitions.numbers(workers, "reported_at")
    seen = workers[(at >= window.start) & (at < window.end)]
    return Health(
        cpu_max=_largest(seen, "cpu_percent"),
        lag_p99_ms=_largest(seen, "lag_p99_ms"),
        clock_lag_p50_ms=_largest(seen, "clock_lag_p50_ms"),
        clock_lag_p99_ms=_largest(seen, "clock_lag_p99_ms"),
        memory_mb=_largest(seen, "memory_mb"),
        workers=int(seen["worker"].nunique()) or None,
    )


def count_outcomes(outcome: pd.Series) -> Counts:
    """How many rows there are of each outcome."""
    return Counts(**{name: int((outcome == name).sum()) for name in _OUTCOMES})


def _overlaps(rows: pd.DataFrame, window: Window) -> pd.Series:
    end = definitions.ended_at(rows)
    start = definitions.numbers(rows, "started_at")
    return pd.Series((start < window.end) & ~(end < window.start), index=rows.index)


def _counts(column: pd.Series) -> dict[str, int]:
    counts = column.astype(object).fillna("unknown").value_counts()
    return {str(name): int(count) for name, count in counts.items() if count}


def mean_of(distribution: Distribution | None) -> float | None:
    """The mean; None where nothing was measured."""
    return None if distribution is None else distribution.mean


def _largest(frame: pd.DataFrame, column: str) -> float | None:
    values = definitions.measured(definitions.numbers(frame, column))
    return float(values.max()) if len(values) else None
