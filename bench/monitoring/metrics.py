"""Every metric of a run, each defined once: its name, unit and meaning, and where its values come from.

Names and units are those of OpenTelemetry. Where its GenAI conventions (0.1.0) define a metric that a client
measures, it has their name. All others begin with ``llm_bench``.
"""

from dataclasses import dataclass
from typing import Literal

from bench.monitoring import points
from bench.monitoring.points import (
    Facts,
    Point,
    Points,
    of_load,
    of_measurements,
    of_run,
    of_steps,
    of_workers,
)

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """A metric, and how its values follow from the facts."""

    name: str
    kind: Kind
    unit: str
    """As UCUM writes it. A word in braces says what is counted."""
    description: str
    labels: tuple[str, ...]
    points: Points


def values(facts: Facts) -> list[tuple[Metric, list[Point]]]:
    """The metrics that have a value now, with their values."""
    found = ((metric, list(metric.points(facts))) for metric in METRICS)
    return [(metric, own) for metric, own in found if own]


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


_LOAD = ("experiment",)
_STEP = ("experiment", "step")
_LIMIT = ("metric", "statistic")
_WORKER = ("worker",)
_GEN_AI = (*_LOAD, "gen_ai.operation.name", "gen_ai.provider.name")
_TOKENS = (*_GEN_AI, "gen_ai.token.modality")

_RUN = (
    Metric(
        "llm_bench.run_info", "gauge", "", "1; the labels say which run it is, and if it is a rehearsal.",
        ("run_id", "plan", "rehearsal"), points.run_info,
    ),
    Metric(
        "llm_bench.stage", "gauge", "", "1 for the stage of the run, 0 for the others.",
        ("stage",), points.stage,
    ),
    Metric(
        "llm_bench.cost_usd", "counter", "{USD}", "Cost of all endpoints of the run so far.",
        (), of_run(lambda run: run["cost"]["spent_usd"]),
    ),
    Metric(
        "llm_bench.cost_expected_usd", "gauge", "{USD}", "The most that the run is expected to cost.",
        (), of_run(lambda run: run["cost"]["expected_usd"]),
    ),
    Metric(
        "llm_bench.cost_limit_usd", "gauge", "{USD}", "The plan's budget, at which the run ends.",
        (), of_run(lambda run: run["cost"]["max_spend_usd"]),
    ),
)  # fmt: skip
_NOW = (
    Metric(
        "llm_bench.phase", "gauge", "", "1 for the phase of the current step, 0 for the others.",
        (*_LOAD, "phase"), points.phase,
    ),
    Metric(
        "llm_bench.step_number", "gauge", "", "Number of the current step, from 1.",
        _LOAD, of_load(lambda load: load["ordinal"] or None),
    ),
    Metric(
        "llm_bench.steps_planned", "gauge", "{step}", "Steps of the experiment. Absent in a search.",
        _LOAD, of_load(lambda load: None if load["search"] else load["steps_total"]),
    ),
    Metric(
        "llm_bench.time_left", "gauge", "s", "Time left for the experiment. Absent in a search.",
        _LOAD, of_load(lambda load: load["eta_s"]),
    ),
    Metric("llm_bench.users", "gauge", "{user}", "Users now.", _LOAD, of_load(lambda load: load["users"])),
    Metric(
        "llm_bench.target_users", "gauge", "{user}", "Users that the step asks for. Absent in an open loop.",
        _LOAD, of_load(lambda load: load["target"]),
    ),
    Metric(
        "llm_bench.target_requests", "gauge", "{request}/s",
        "Requests that a step of an open loop asks for; of conversations, all their turns.",
        _LOAD, of_load(points.target_requests),
    ),
    Metric(
        "llm_bench.requests_in_flight", "gauge", "{request}", "Requests in flight.",
        _LOAD, of_load(lambda load: load["in_flight"]),
    ),
)  # fmt: skip
_TOTALS = (
    Metric(
        "llm_bench.requests", "counter", "{request}",
        "Requests by outcome: answered (ok), failed, cut off (censored), not sent (withheld).",
        (*_LOAD, "outcome"), points.requests,
    ),
    Metric(
        "llm_bench.errors", "counter", "{request}", "Failed requests by class of error.",
        (*_LOAD, "error.type"), points.errors,
    ),
    Metric(
        "gen_ai.client.inference.duration", "histogram", "s", "E2E latency of all answers.",
        _GEN_AI, points.histogram("e2e_ms", conventional=True),
    ),
    Metric(
        "gen_ai.client.inference.time_to_first_chunk", "histogram", "s",
        "TTFT of all answers: up to the first chunk with content.",
        _GEN_AI, points.histogram("ttft_ms", conventional=True),
    ),
    Metric(
        "llm_bench.time_per_output_token", "histogram", "s", "TPOT of all answers.",
        _LOAD, points.histogram("tpot_ms", conventional=False),
    ),
    Metric(
        "gen_ai.client.inference.usage.input_tokens", "counter", "{token}", "Prompt tokens of the answers.",
        _TOKENS, points.tokens("prompt_tokens"),
    ),
    Metric(
        "gen_ai.client.inference.usage.output_tokens", "counter", "{token}",
        "Tokens of the answers, reasoning included.", _TOKENS, points.tokens("completion_tokens"),
    ),
)  # fmt: skip
_STEPS = (
    Metric(
        "llm_bench.step_latency", "gauge", "s",
        "TTFT, TPOT or E2E latency over the measurement so far: p50, p95, and what the SLO limits.",
        (*_STEP, *_LIMIT), points.latencies,
    ),
    Metric("llm_bench.slo_limit", "gauge", "s", "Limit of the SLO.", (*_LOAD, *_LIMIT), points.limits),
    Metric(
        "llm_bench.step_slo", "gauge", "", "1 for the status of the SLO, 0 for the others.",
        (*_STEP, "status"), points.slo,
    ),
    Metric(
        "llm_bench.step_answers", "gauge", "{request}", "Answers that the figures of the step rest on.",
        _STEP, of_measurements(lambda step: step["measured_ok"]),
    ),
    Metric(
        "llm_bench.step_requests", "gauge", "{request}/s", "Completions over the measurement so far.",
        _STEP, of_measurements(lambda step: _scaled(step["requests_per_minute"], 1 / 60)),
    ),
    Metric(
        "llm_bench.step_output_tokens", "gauge", "{token}/s", "Output tokens over the measurement so far.",
        _STEP, of_measurements(lambda step: step["completion_tokens_per_s"]),
    ),
    Metric(
        "llm_bench.step_error", "gauge", "1", "Share of the measured requests that failed.",
        _STEP, of_measurements(lambda step: step["error_rate"]),
    ),
    Metric(
        "llm_bench.step_target_users", "gauge", "{user}", "Users that the step asks for.",
        _STEP, of_steps(lambda step: step["concurrency"]),
    ),
    Metric(
        "llm_bench.step_target_requests", "gauge", "{request}/s",
        "Requests that the step asks for; of conversations, all their turns.",
        _STEP, of_steps(points.target_requests),
    ),
)  # fmt: skip
_WORKERS = (
    Metric(
        "llm_bench.worker_health", "gauge", "", "1 for the health of the load generator, 0 for the others.",
        (*_WORKER, "health"), points.health,
    ),
    Metric(
        "llm_bench.worker_cpu", "gauge", "1", "Share of one core that the load generator uses.",
        _WORKER, of_workers(lambda worker: worker["cpu_percent"] / 100),
    ),
    Metric(
        "llm_bench.worker_memory", "gauge", "By", "Memory of the load generator.",
        _WORKER, of_workers(lambda worker: worker["memory_mb"] * 1e6),
    ),
    Metric(
        "llm_bench.worker_loop_lag", "gauge", "s", "Event-loop lag of the load generator, p99.",
        _WORKER, of_workers(lambda worker: _scaled(worker["lag_p99_ms"], 1e-3)),
    ),
    Metric(
        "llm_bench.worker_reading_delay", "gauge", "s", "How late it reads what has arrived, p99.",
        _WORKER, of_workers(lambda worker: _scaled(worker["clock_lag_p99_ms"], 1e-3)),
    ),
    Metric(
        "llm_bench.worker_requests_in_flight", "gauge", "{request}", "Requests in flight of one generator.",
        _WORKER, of_workers(lambda worker: worker["in_flight"]),
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = (*_RUN, *_NOW, *_TOTALS, *_STEPS, *_WORKERS)
