"""The tables of an experiment's steps: throughput and cost, latency, how sure, workers."""

from collections.abc import Callable

from analysis.decide.recommendation import Candidate, Choice
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.metrics.statistics import PERCENTILES, Interval
from analysis.render.tables import Cell, Table
from common.formatting import ABSENT, count, dollars, milliseconds, number, percent

METRICS = ("ttft", "tpot", "e2e")
Judged = dict[int, Candidate]
"""The candidate of each step, by the step's identity."""


def step_tables(result: RunResult, experiment: ExperimentResult, choices: list[Choice]) -> list[Table]:
    """All tables of one experiment, in the order of the page."""
    judged = {id(step): c for choice in choices for c in choice.candidates for step in c.members}
    kinds = [_row_kind(step, judged.get(id(step)), choices) for step in experiment.steps]
    tables = (
        _throughput(result, experiment, judged, kinds),
        _latency(experiment, kinds),
        _sure(experiment, kinds),
        _workers(experiment),
    )
    return [table for table in tables if table.rows]


def level(step: StepResult) -> str:
    """A step's concurrency, where it is known; a repetition has its number: ``4``, ``4 #2``."""
    again = step.id.partition("#")[2]
    known = ABSENT if step.concurrency is None else str(step.concurrency)
    return f"{known} #{again}" if again.isdigit() else known


def _row_kind(step: StepResult, candidate: Candidate | None, choices: list[Choice]) -> str:
    if candidate is not None and any(choice.best is candidate for choice in choices):
        return "best"
    return "" if step.usable else "void"


def _throughput(result: RunResult, experiment: ExperimentResult, judged: Judged, kinds: list[str]) -> Table:
    assumed = " (assumed price)" if result.assumed_price else ""
    rows = []
    for step in experiment.steps:
        candidate = judged.get(id(step))
        slo = Cell(ABSENT)
        if candidate is not None and result.objectives:
            slo = Cell(candidate.judgement, candidate.judgement)
        usd = step.usd_per_request
        rows.append(
            [
                level(step),
                Cell(step.verdict.level, step.verdict.level),
                slo,
                *(count(n) for n in (step.window_ok, step.window_failed, step.window_censored)),
                number(step.per_minute),
                number(step.completion_tokens_per_s),
                number(step.prompt_tokens_per_s),
                dollars(None if usd is None else 10_000 * usd),
                dollars(step.usd_per_million_output),
            ]
        )
    columns = ["concurrency", "trust", "SLO", "ok", "failed", "cut off", "requests/min", "output tokens/s"]
    columns += ["prompt tokens/s", f"$/10,000 requests{assumed}", f"$/1M output tokens{assumed}"]
    return Table("Trust, throughput and cost", columns, rows, kinds=kinds, wide=("trust", "SLO"))


def _latency(experiment: ExperimentResult, kinds: list[str]) -> Table:
    """The percentiles that at least one step can show; p50 always."""
    names = [(metric, f"p{p}") for metric in METRICS for p in PERCENTILES]
    shown = [
        (metric, statistic)
        for metric, statistic in names
        if statistic == "p50" or any(step.shown(metric, statistic) is not None for step in experiment.steps)
    ]
    columns = ["concurrency", *(f"{metric.upper()} {statistic}" for metric, statistic in shown)]
    rows = [
        [level(step), *(milliseconds(step.shown(metric, statistic)) for metric, statistic in shown)]
        for step in experiment.steps
    ]
    return Table("Latency of answered requests", columns, rows, kinds=kinds)


def _sure(experiment: ExperimentResult, kinds: list[str]) -> Table:
    """Samples, 95% intervals and goodput: how far the figures above carry."""
    steps = [(step, kind) for step, kind in zip(experiment.steps, kinds, strict=True) if step.window]
    names = [(m, p) for m in METRICS for p in (50, 95) if any(_interval(s, m, p) for s, _ in steps)]
    columns = ["concurrency", "samples", "requests/min 95%", *(f"{m.upper()} p{p} 95%" for m, p in names)]
    columns += ["goodput, requests/s", "goodput, share"]
    rows = [
        [
            level(step),
            count(step.window_ok),
            _range(step.per_minute_interval, number),
            *(_range(_interval(step, metric, p), milliseconds) for metric, p in names),
            number(step.goodput_per_s),
            percent(step.goodput_share),
        ]
        for step, _ in steps
    ]
    return Table("Samples, 95% intervals and goodput", columns, rows, kinds=[kind for _, kind in steps])


def _interval(step: StepResult, metric: str, p: int) -> Interval | None:
    described = step.latency.get(metric)
    return described.intervals.get(p) if described and described.shown(p) is not None else None


def _range(interval: Interval | None, show: Callable[[float], str]) -> str:
    return ABSENT if interval is None else f"{show(interval.low)} to {show(interval.high)}"


def _workers(experiment: ExperimentResult) -> Table:
    """One row per step and worker, where a step had several."""
    steps = [step for step in experiment.steps if step.workers]
    streamed = any("ttft" in step.latency for step in steps)
    metric = "TTFT" if streamed else "E2E"
    columns = ["concurrency", "worker", "requests", "share", f"{metric} p50", f"{metric} p50 95%"]
    columns += ["connection set-up p50", "round trip", "CPU, highest", "event-loop lag p99, highest"]
    rows = [
        [
            level(step),
            f"{worker.worker} on {worker.host}" if worker.host else worker.worker,
            count(worker.rows),
            percent(worker.share),
            milliseconds(worker.first_token_p50_ms),
            _range(worker.first_token_interval, milliseconds),
            milliseconds(worker.connect_p50_ms),
            milliseconds(worker.rtt_ms),
            ABSENT if worker.cpu_max is None else f"{number(worker.cpu_max)}%",
            milliseconds(worker.lag_p99_ms),
        ]
        for step in steps
        for worker in step.workers
    ]
    return Table("Workers", columns, rows, texts=2)
