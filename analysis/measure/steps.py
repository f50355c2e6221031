"""From a run folder's frames to a `RunResult`: every metric of every step, each from its definition."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from analysis.measure.answers import asked_length, describe_answers, without_contradictions
from analysis.measure.results import LATENCIES, Distribution, ExperimentResult, Health, RunResult, StepResult
from analysis.measure.workers import rows_outside, worker_facts
from analysis.metrics import definitions
from analysis.metrics.cost import Span, run_cost, usd_per_million_tokens, usd_per_request
from analysis.metrics.definitions import Window, goodput
from analysis.metrics.statistics import Floats, Interval, ratio_interval
from analysis.metrics.time_blocks import BLOCKS, BlockSums, block_of, block_sums
from common.errors import UserError
from configs.slo import Objective
from runfolder.manifest import ExperimentEntry
from runfolder.reading import RunTables

_TOKENS = ("prompt_tokens", "completion_tokens")
_REPORTED_COUNTS = ("started", "ok", "failed", "censored", "locust_requests", "locust_failures")


def measure_run(tables: RunTables) -> RunResult:
    """Measure every step of the run.

    Returns:
        a result in which steps have no trust reasons yet; `analysis.decide.trust` adds them.

    Raises:
        UserError: the manifest's plan holds an objective that none can be.
    """
    manifest = tables.manifest
    slo = manifest.plan.get("slo") or {}
    objectives = tuple(_objective(item) for item in slo.get("objectives") or ())
    entries = manifest.experiments
    tables = replace(tables, requests=without_contradictions(tables.requests))
    experiments = [_experiment(entry, tables, objectives) for entry in entries]
    known = {entry.name for entry in entries}
    strays = sorted({str(name) for name in tables.steps["experiment"].dropna()} - known)
    problems = list(tables.problems)
    if strays:
        problems.append(f"steps.csv names experiments that the manifest does not know: {', '.join(strays)}.")
    steps = [step for experiment in experiments for step in experiment.steps]
    homeless = len(tables.requests) - sum(s.step_ok + s.step_failed + s.step_censored for s in steps)
    if homeless > 0:
        problems.append(
            f"requests.csv: {homeless:,} row(s) belong to no step of steps.csv and count nowhere."
        )
    return RunResult(
        run_id=manifest.run_id,
        plan=manifest.plan,
        plan_file=manifest.plan_file,
        notices=list(manifest.notices),
        rehearsal=manifest.rehearsal,
        state=manifest.state,
        error=manifest.error,
        started_at=manifest.started_at,
        ended_at=manifest.ended_at,
        experiments=experiments,
        problems=problems,
        objectives=objectives,
        error_rate_slo=_number(slo.get("error_rate")),
        rows=tables.requests,
        workers=tables.workers,
        cloudwatch=tables.cloudwatch,
        versions=manifest.versions,
        host=manifest.host,
        calibration=manifest.calibration,
        seed=manifest.seed,
    )


def _objective(item: object) -> Objective:
    try:
        return Objective.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"manifest.json: plan.slo.objectives: {place}: {first['msg']}") from None


def _experiment(
    entry: ExperimentEntry, tables: RunTables, objectives: Sequence[Objective]
) -> ExperimentResult:
    steps = tables.steps
    own = steps[(steps["experiment"] == entry.name) | steps["step"].isin(entry.steps)]
    lost = _lost_steps(entry, set(own["step"]), tables)
    rows = tables.requests[tables.requests["step"].isin([*own["step"], *(step.id for step in lost)])]
    results = [
        _step(row, entry, rows, tables, objectives)
        for row in own.sort_values("ordinal", kind="stable").to_dict("records")
    ]
    return ExperimentResult(
        name=entry.name,
        model=entry.model,
        instance_type=entry.instance_type,
        instance=entry.instance_label or entry.instance_type,
        instance_count=entry.instance_count,
        payload=entry.payload,
        payload_file=entry.payload_file,
        price=entry.price,
        steps=[*results, *lost],
        cost=run_cost(
            entry.price.usd_per_hour,
            entry.instance_count,
            created=entry.create_started_at,
            in_service=entry.in_service_at,
            load=(entry.load_started_at, entry.load_ended_at),
            deleted=entry.deleted_at,
            others=_loads_beside(entry, tables.manifest.experiments),
        ),
        state=entry.state,
        error=entry.error,
        endpoint=entry.endpoint,
        locust_prefix=entry.locust_prefix,
        component=entry.component,
    )


def _loads_beside(entry: ExperimentEntry, entries: list[ExperimentEntry]) -> list[Span]:
    """The loads of the other experiments on the same endpoint: it was created once and is billed once."""
    if entry.create_started_at is None:
        return []
    return [
        (other.load_started_at, other.load_ended_at)
        for other in entries
        if other is not entry
        and other.create_started_at == entry.create_started_at
        and (other.instance_type, other.endpoint_name) == (entry.instance_type, entry.endpoint_name)
    ]


def _lost_steps(entry: ExperimentEntry, known: set[str], tables: RunTables) -> list[StepResult]:
    """The planned steps of which steps.csv has no row: not played, or lost with the file."""
    load = tables.manifest.plan.get("load") or {}
    levels = dict(zip(entry.steps, load.get("concurrency") or (), strict=False))
    lost = []
    for ordinal, name in enumerate(entry.steps, 1):
        if name in known:
            continue
        outcome = tables.requests.loc[tables.requests["step"] == name, "outcome"]
        step = StepResult(name, entry.name, ordinal, levels.get(name), "lost" if len(outcome) else "planned")
        step.step_ok, step.step_failed, step.step_censored = _outcomes(outcome)
        lost.append(step)
    return lost


def _outcomes(outcome: pd.Series) -> tuple[int, int, int]:
    """How many rows are ok, failed and censored."""
    ok, failed, censored = (int((outcome == name).sum()) for name in ("ok", "failed", "censored"))
    return ok, failed, censored


def _step(
    row: Mapping[Hashable, Any],
    entry: ExperimentEntry,
    rows: pd.DataFrame,
    tables: RunTables,
    objectives: Sequence[Objective],
) -> StepResult:
    step_id = str(row["step"])
    own = rows[rows["step"] == step_id]
    result = StepResult(
        id=step_id,
        experiment=entry.name,
        ordinal=int(_number(row["ordinal"]) or 0),
        concurrency=int(_number(row["concurrency"]) or 0),
        state=_text(row["state"]) or "unknown",
        reasons=_text(row["reasons"]),
        reason_codes=tuple(code for code in (_text(row["reason_codes"]) or "").split(";") if code),
        reported_counts={name: v for name in _REPORTED_COUNTS if (v := _number(row[name])) is not None},
    )
    result.step_ok, result.step_failed, result.step_censored = _outcomes(own["outcome"])
    start, end = _number(row["measure_started_at"]), _window_end(row, rows)
    if start is not None and end is not None and end > start:
        result.window = Window(start, end)
        result.seconds = result.window.seconds
        gaps = tables.gaps[tables.gaps["step"] == step_id]
        result.health = worker_health(tables.workers, result.window)
        measure_window(result, rows, own, gaps, objectives)
        started = definitions.started_in(own, result.window)
        asked = asked_length(tables.manifest.plan)
        result.outside = rows_outside(own, _number(row["announced_at"]), _number(row["tail_ended_at"]))
        result.workers = worker_facts(own, tables.workers, result.window)
        result.answers = describe_answers(started[started["outcome"] == "ok"], asked)
        price_step(result, entry.price.usd_per_hour, entry.instance_count)
    return result


def _window_end(row: Mapping[Hashable, Any], rows: pd.DataFrame) -> float | None:
    """The window's end on record; the planned end, or the last row, of a window that nobody closed."""
    planned = _number(row["measure_planned_end_at"])
    if (end := _number(row["measure_ended_at"])) is not None or planned is None or rows.empty:
        return end
    last = _number(np.nanmax(definitions.ended_at(rows), initial=-np.inf))
    return None if last is None else min(planned, last)


def measure_window(
    result: StepResult,
    rows: pd.DataFrame,
    own: pd.DataFrame,
    gaps: pd.DataFrame,
    objectives: Sequence[Objective],
) -> None:
    """Fill in what the window holds.

    Args:
        result: a step with its window.
        rows: all rows of the experiment: throughput is what happened inside the window, whoever started it.
        own: the rows of this step: latency is of those that started inside the window.
        gaps: the step's buckets of gaps.
        objectives: the plan's latency objectives.
    """
    window = result.window
    if window is None:
        return
    overlapping = rows[_overlaps(rows, window)]
    started = definitions.started_in(own, window)
    ok = started[started["outcome"] == "ok"]
    result.window_ok, result.window_failed, result.window_censored = _outcomes(started["outcome"])
    result.latency = {name: d for name in LATENCIES if (d := describe(ok, name, window)) is not None}
    result.tokens = {name: d for name in _TOKENS if (d := describe(ok, name, window)) is not None}
    speed = definitions.user_tokens_per_s(ok)
    result.user_speed_p50 = float(np.median(speed)) if len(speed) else None
    result.gap_p50_ms = definitions.gap_percentile_ms(gaps, 50)
    result.gap_p99_ms = definitions.gap_percentile_ms(gaps, 99)
    result.completions = definitions.completions(overlapping, window)
    result.per_minute = definitions.requests_per_minute(overlapping, window)
    result.completion_tokens_per_s = definitions.completion_tokens_per_s(overlapping, window)
    result.prompt_tokens_per_s = definitions.prompt_tokens_per_s(overlapping, window)
    result.error_rate = definitions.error_rate(started)
    result.error_classes = definitions.error_classes(started)
    result.goodput_per_s, result.goodput_share = goodput(started, window, objectives)
    result.in_flight = definitions.mean_in_flight(overlapping, window)
    if result.reason_codes:
        result.least_in_flight = definitions.least_in_flight(overlapping, window)
    e2e = result.latency.get("e2e")
    mean = e2e.mean if e2e else None
    result.little = definitions.little_residual(result.concurrency or 0, result.per_minute, mean)
    result.finish_reasons = _counts(ok["finish_reason"])
    result.token_sources = _counts(ok["completion_tokens_source"])
    result.clocks = _counts(ok["arrival_clock"])
    result.more_chunks_than_tokens = int((ok["chunks"] > ok["completion_tokens"]).sum())
    result.prompt_tokens_mean = _mean(result.tokens.get("prompt_tokens"))
    result.completion_tokens_mean = _mean(result.tokens.get("completion_tokens"))
    result.blocks = block_sums(overlapping, started, window, objectives)
    result.per_minute_interval = rate_interval(result.blocks, np.full(BLOCKS, window.seconds / BLOCKS))


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


def price_step(result: StepResult, usd_per_hour: float | None, instances: int) -> None:
    """Fill in the prices that follow from the step's rates; absent without a price."""
    result.usd_per_request = usd_per_request(usd_per_hour, instances, result.per_minute)
    output, prompt = result.completion_tokens_per_s, result.prompt_tokens_per_s
    result.usd_per_million_output = usd_per_million_tokens(usd_per_hour, instances, output)
    if output is not None and prompt is not None:
        result.usd_per_million_total = usd_per_million_tokens(usd_per_hour, instances, output + prompt)
    rate = result.per_minute_interval
    if rate is not None:
        low = usd_per_request(usd_per_hour, instances, rate.high)
        high = usd_per_request(usd_per_hour, instances, rate.low)
        if low is not None and high is not None:
            result.usd_per_request_interval = Interval(low, high)


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


def steps_with_rows(result: RunResult) -> Iterator[tuple[ExperimentResult, StepResult, pd.DataFrame]]:
    """Each measured step with the ok rows that started in its window: what the plots draw."""
    by_step = {str(name): frame for name, frame in result.rows.groupby("step", observed=True)}
    for experiment in result.experiments:
        for step in experiment.steps:
            frame = by_step.get(step.id)
            if step.window is not None and frame is not None:
                inside = definitions.started_in(frame, step.window)
                yield experiment, step, inside[inside["outcome"] == "ok"]


def _overlaps(rows: pd.DataFrame, window: Window) -> pd.Series:
    end = definitions.ended_at(rows)
    start = definitions.numbers(rows, "started_at")
    return pd.Series((start < window.end) & ~(end < window.start), index=rows.index)


def _counts(column: pd.Series) -> dict[str, int]:
    counts = column.astype(object).fillna("unknown").value_counts()
    return {str(name): int(count) for name, count in counts.items() if count}


def _mean(distribution: Distribution | None) -> float | None:
    return None if distribution is None else distribution.mean


def _largest(frame: pd.DataFrame, column: str) -> float | None:
    values = definitions.measured(definitions.numbers(frame, column))
    return float(values.max()) if len(values) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
