"""The tables of an experiment's steps: throughput and cost, latency, intervals, workers."""

from collections.abc import Callable

from analysis.decide.dwell_course import dwell_of
from analysis.decide.recommendation import Candidate, Choice, candidates_by_step
from analysis.measure.distribution import CERTIFIED
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.measure.workers import WorkerFacts
from analysis.metrics.statistics import PERCENTILES, Interval
from analysis.render.conversation_tables import conversation_table, turn_table
from analysis.render.dwell_tables import dwell_table
from analysis.render.levels import level_noun, level_value
from analysis.render.mix_tables import part_table
from analysis.render.prices import PER_REQUESTS, assumed_mark, request_price
from analysis.render.search_tables import search_table
from analysis.render.tables import Cell, Column, Table, numbers, texts
from common.formatting import ABSENT, count, dollars, milliseconds, number, percent
from configs.slo import Objective

_CERTIFIED = (
    "“Certified” is what the percentile does not exceed with 99% confidence, by MLPerf's early-stopping "
    "rule. It needs at least 64 samples for p90, 130 for p95 and 662 for p99."
)
METRICS = ("ttft", "tpot", "e2e")
Judged = dict[str, Candidate]
"""The candidate of each step, by the step's id."""


def step_tables(result: RunResult, experiment: ExperimentResult, choices: list[Choice]) -> list[Table]:
    """All tables of one experiment, in the order of the page."""
    judged = candidates_by_step(choices)
    kinds = [_row_kind(step, judged.get(step.id), choices) for step in experiment.steps]
    searches = [course for c in choices if (course := c.searches.get(experiment.name)) is not None]
    dwell = dwell_of(experiment, result.plan)
    tables = (
        *(search_table(course) for course in searches),
        *([] if dwell is None else [dwell_table(dwell)]),
        _throughput(result, experiment, judged, kinds),
        _arrivals(result, experiment, kinds),
        _latency(result, experiment, kinds),
        _intervals(result, experiment, kinds),
        part_table(result, experiment),
        conversation_table(result, experiment),
        turn_table(result, experiment),
        _workers(result, experiment),
    )
    return [table for table in tables if table.rows]


def _row_kind(step: StepResult, candidate: Candidate | None, choices: list[Choice]) -> str:
    if candidate is not None and any(choice.best is candidate for choice in choices):
        return "best"
    return "" if step.usable else "void"


def _throughput(result: RunResult, experiment: ExperimentResult, judged: Judged, kinds: list[str]) -> Table:
    assumed = assumed_mark(assumed=result.assumed_price)
    rows = []
    for step in experiment.steps:
        candidate = judged.get(step.id)
        slo = Cell(ABSENT)
        if candidate is not None and result.objectives:
            slo = Cell(candidate.slo_status, candidate.slo_status)
        counts = step.window_counts
        rows.append(
            [
                level_value(step),
                Cell(step.trust.level, step.trust.level),
                slo,
                number(step.throughput.per_minute),
                *(count(n) for n in (counts.ok, counts.failed, counts.censored)),
                number(step.throughput.completion_tokens_per_s),
                number(step.throughput.prompt_tokens_per_s),
                request_price(step.cost.per_request),
                dollars(step.cost.per_million_output),
            ]
        )
    columns = [*texts(level_noun(result)), Column("trust", "status"), Column("SLO", "status")]
    columns += numbers("requests/min", "ok", "failed", "cut off", "output tokens/s", "prompt tokens/s")
    columns += numbers(f"$/{PER_REQUESTS}{assumed}", f"$/1M output tokens{assumed}")
    return Table("Trust, throughput and cost", columns, rows, row_kinds=kinds)


def _arrivals(result: RunResult, experiment: ExperimentResult, kinds: list[str]) -> Table:
    """Of an open loop: what arrived, how late it was sent, and what latency from the start would hide."""
    steps = [(s, kind) for s, kind in zip(experiment.steps, kinds, strict=True) if s.rate and s.seconds]
    first = "ttft" if any("ttft" in step.latency for step, _ in steps) else "e2e"
    columns = [*texts(level_noun(result)), *numbers("arrived/s", "answered/s", "withheld", "in flight, mean")]
    columns += numbers("schedule delay p50", "schedule delay p99", f"{first.upper()} p95")
    columns += numbers(f"{first.upper()} p95 from the start")
    rows = [
        [
            level_value(step),
            number(step.window_counts.total / (step.seconds or 1.0)),
            number(None if step.throughput.per_minute is None else step.throughput.per_minute / 60),
            count(step.window_counts.withheld),
            number(step.in_flight.mean),
            *(milliseconds(step.shown("schedule_delay", p)) for p in (50, 99)),
            *(milliseconds(step.shown(metric, 95)) for metric in (first, f"{first}_sent")),
        ]
        for step, _ in steps
    ]
    note = "Latencies count from the arrival of a request, whenever it was sent."
    return Table("Arrivals", columns, rows, row_kinds=[kind for _, kind in steps], note=note)


def _latency(result: RunResult, experiment: ExperimentResult, kinds: list[str]) -> Table:
    """The percentiles that at least one step can show; p50 always."""
    shown = [
        (metric, p)
        for metric in METRICS
        for p in PERCENTILES
        if p == 50 or any(step.shown(metric, p) is not None for step in experiment.steps)
    ]
    columns = [*texts(level_noun(result)), *numbers(*(f"{m.upper()} p{p}" for m, p in shown))]
    rows = [
        [
            level_value(step),
            *(milliseconds(step.shown(metric, p)) for metric, p in shown),
        ]
        for step in experiment.steps
    ]
    return Table("Latency of answered requests", columns, rows, row_kinds=kinds)


def _intervals(result: RunResult, experiment: ExperimentResult, kinds: list[str]) -> Table:
    """Samples, 95% intervals and goodput: how certain the figures above are."""
    steps = [(step, kind) for step, kind in zip(experiment.steps, kinds, strict=True) if step.window]
    certified = [o for o in result.objectives_of_all if o.percentile in CERTIFIED]
    names = [(m, p) for m in METRICS for p in (50, 95) if any(_interval(s, m, p) for s, _ in steps)]
    columns = [*texts(level_noun(result)), *numbers("samples", "requests/min 95%")]
    columns += numbers(*(f"{m.upper()} p{p} 95%" for m, p in names), "goodput, requests/s", "goodput, share")
    columns += numbers(*(f"{o.name} certified" for o in certified))
    rows = [
        [
            level_value(step),
            count(step.window_counts.ok),
            _range(step.throughput.per_minute_interval, number),
            *(_range(_interval(step, metric, p), milliseconds) for metric, p in names),
            number(step.goodput.per_s),
            percent(step.goodput.share),
            *(milliseconds(_certified(step, objective)) for objective in certified),
        ]
        for step, _ in steps
    ]
    kinds = [kind for _, kind in steps]
    note = _CERTIFIED if certified else ""
    return Table("Samples, 95% intervals and goodput", columns, rows, note=note, row_kinds=kinds)


def _certified(step: StepResult, objective: Objective) -> float | None:
    described = step.latency.get(objective.metric)
    return None if described is None else described.certified.get(objective.percentile or 0)


def _interval(step: StepResult, metric: str, p: int) -> Interval | None:
    described = step.latency.get(metric)
    return described.intervals.get(p) if described and described.shown(p) is not None else None


def _range(interval: Interval | None, show: Callable[[float], str]) -> str:
    return ABSENT if interval is None else f"{show(interval.low)} to {show(interval.high)}"


def _clock(worker: WorkerFacts) -> str:
    """How far its clock is ahead of the master's, with the uncertainty: ``-31 ± 0.4 ms``."""
    if worker.clock_offset_ms is None or worker.clock_error_ms is None:
        return ABSENT
    return f"{worker.clock_offset_ms:+.1f} ± {worker.clock_error_ms:.1f} ms"


def _workers(result: RunResult, experiment: ExperimentResult) -> Table:
    """One row per step and worker, where a step had several."""
    steps = [step for step in experiment.steps if step.workers]
    streamed = any("ttft" in step.latency for step in steps)
    metric = "TTFT" if streamed else "E2E"
    columns = [*texts(level_noun(result), "worker"), *numbers("requests", "share", "failed")]
    columns += numbers(f"{metric} p50", f"{metric} p50 95%", "connection set-up p50", "round trip", "clock")
    columns += numbers("CPU, highest", "event-loop lag p99, highest")
    rows = [
        [
            level_value(step),
            worker.title,
            count(worker.rows),
            percent(worker.share),
            count(worker.failed),
            milliseconds(worker.first_token_p50_ms),
            _range(worker.first_token_interval, milliseconds),
            milliseconds(worker.connect_p50_ms),
            milliseconds(worker.rtt_ms),
            _clock(worker),
            ABSENT if worker.cpu_max is None else f"{number(worker.cpu_max)}%",
            milliseconds(worker.lag_p99_ms),
        ]
        for step in steps
        for worker in step.workers
    ]
    return Table("Workers", columns, rows, heading=1)
