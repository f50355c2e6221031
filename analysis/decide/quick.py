"""What a minute with one user shows of an endpoint: does it answer, does it stream, how fast is it."""

from dataclasses import dataclass, field
from typing import Literal

from analysis.measure.results import RunResult, StepResult

Streams = Literal["steadily", "in_blocks", "at_once", "not"]
"""Chunk by chunk; several tokens at a time; everything at the end although a stream was requested; no stream
was requested, because the endpoint gives none."""

LATENCIES = ("ttft", "tpot", "e2e")
_AT_ONCE_SPREAD = 0.1
_AT_ONCE_TPOT_MS = 1.0
"""No model writes a token per millisecond for one user: what arrives faster had been collected before."""
_BLOCK_TOKENS = 4.0
"""From so many tokens per chunk, a reader sees blocks."""


@dataclass(frozen=True)
class QuickLatency:
    """The median of a latency with its 95% interval, in milliseconds."""

    p50_ms: float
    low_ms: float | None = None
    high_ms: float | None = None


@dataclass(frozen=True)
class QuickFacts:
    """The facts of a quick check. None is "not measured"."""

    endpoint: str
    """Its name; of an endpoint that was made for the check, the model's."""
    deployed: str | None
    """What it runs on: ``ml.g5.xlarge``, ``2 × ml.g5.xlarge``; None if it is not known."""
    answered: int
    """Requests that were answered inside the window."""
    failed: int
    errors: dict[str, int] = field(default_factory=dict)
    """Failed requests by class."""
    error: str | None = None
    """Why the check ended early."""
    schema: str | None = None
    """The request schema, as `workload.schema` of a plan."""
    streams: Streams | None = None
    chunks: float | None = None
    """Median number of chunks of an answer."""
    spread: float | None = None
    """Median part of an answer's time over which they arrive, 0 to 1."""
    latency: dict[str, QuickLatency] = field(default_factory=dict)
    """By metric, one of `LATENCIES`."""
    tokens_per_s: float | None = None
    """Median speed at which a user sees an answer being written."""
    prompt_tokens: float | None = None
    """Mean of an answered request."""
    completion_tokens: float | None = None
    usd_per_hour: float | None = None
    price_source: str | None = None
    price_assumed: bool = False

    @property
    def works(self) -> bool:
        """Whether it answers at all."""
        return self.answered > 0


def quick_facts(result: RunResult) -> QuickFacts:
    """The facts of a run with one experiment and one user.

    Args:
        result: a run of a plan with one step.
    """
    (experiment,) = result.experiments
    step = experiment.steps[0]
    workload = result.plan.get("workload") or {}
    known = experiment.instance_type != "unknown"
    return QuickFacts(
        endpoint=(result.plan.get("endpoint") or {}).get("name") or experiment.model,
        deployed=experiment.deployed if known else None,
        answered=step.window_counts.ok,
        failed=step.step_counts.failed,
        errors=step.errors.classes,
        error=experiment.error or result.error,
        schema=None if workload.get("schema") == "auto" else workload.get("schema"),
        streams=_streams(step, asked=bool(workload.get("stream"))) if step.window_counts.ok else None,
        chunks=step.streaming.chunks_p50,
        spread=step.streaming.spread_p50,
        latency={name: found for name in LATENCIES if (found := _latency(step, name)) is not None},
        tokens_per_s=step.streaming.tokens_per_s_p50,
        prompt_tokens=step.tokens_per_request.prompt,
        completion_tokens=step.tokens_per_request.completion,
        usd_per_hour=experiment.usd_per_endpoint_hour if known else None,
        price_source=experiment.price.source or None,
        price_assumed=experiment.price.assumption,
    )


def _latency(step: StepResult, metric: str) -> QuickLatency | None:
    described = step.latency.get(metric)
    if described is None:
        return None
    interval = described.intervals.get(50)
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return QuickLatency(described.percentiles[50], *ends)


def _streams(step: StepResult, *, asked: bool) -> Streams:
    """How the answers arrive.

    Args:
        step: the measured step.
        asked: whether streams were requested.
    """
    chunks, spread = step.streaming.chunks_p50, step.streaming.spread_p50
    if not asked or chunks is None or spread is None:
        return "not"
    tpot = step.latency.get("tpot")
    instant = tpot is None or tpot.percentiles[50] < _AT_ONCE_TPOT_MS
    if chunks < 2 or (spread < _AT_ONCE_SPREAD and instant):
        return "at_once"
    tokens = step.tokens_per_request.completion
    return "in_blocks" if tokens is not None and tokens / chunks >= _BLOCK_TOKENS else "steadily"
