"""From a run folder's frames to a `RunResult`: every metric of every step, each from its definition."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from analysis.measure.answers import asked_length, describe_answers, without_contradictions
from analysis.measure.conversations import conversation_facts
from analysis.measure.mix import part_facts
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.measure.step_window import count_outcomes, measure_window, step_cost, worker_health
from analysis.measure.workers import rows_outside, worker_facts
from analysis.metrics import definitions
from analysis.metrics.cost import Span, run_cost, usd_per_conversation
from analysis.metrics.definitions import Window
from common.errors import UserError
from configs.payload_spec import PayloadSpec
from configs.slo import Objective
from runfolder.manifest import ExperimentEntry
from runfolder.reading import RunTables

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
    objectives = tuple(_objective(item) for item in _planned_objectives(manifest.plan))
    entries = manifest.experiments
    tables = replace(tables, requests=without_contradictions(tables.requests))
    experiments = [_experiment(entry, tables, objectives) for entry in entries]
    known = {entry.name for entry in entries}
    strays = sorted({str(name) for name in tables.steps["experiment"].dropna()} - known)
    problems = list(tables.problems)
    if strays:
        problems.append(f"steps.csv names experiments that the manifest does not know: {', '.join(strays)}.")
    steps = [step for experiment in experiments for step in experiment.steps]
    homeless = len(tables.requests) - sum(s.step_counts.total for s in steps)
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


def _planned_objectives(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The latency limits of a plan: of all requests, then of the parts of a mix."""
    yield from (plan.get("slo") or {}).get("objectives") or ()
    for part in (plan.get("workload") or {}).get("mix") or ():
        label = PayloadSpec.model_validate(part["payload"]).label
        for objective in (part.get("slo") or {}).get("objectives") or ():
            yield objective | {"part": label}


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
        measure_step(row, entry, rows, tables, objectives)
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
        steps=_number_repetitions(sorted([*results, *lost], key=lambda step: step.ordinal)),
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
        endpoint_name=entry.endpoint_name,
        component=entry.component,
        made_prompts=entry.made_prompts,
        session_probes=entry.session_probes,
        rival=entry.rival,
    )


def _number_repetitions(steps: Iterable[StepResult]) -> list[StepResult]:
    seen: Counter[tuple[float | None, ...]] = Counter()
    numbered = []
    for step in steps:
        level = (step.concurrency, step.rate, step.piece)
        seen[level] += 1
        numbered.append(replace(step, repetition=seen[level]))
    return numbered


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
    concurrency = load.get("concurrency") or ()
    users = dict(zip(entry.steps, concurrency, strict=False))
    rates = dict(zip(entry.steps[len(concurrency) :], load.get("rate") or (), strict=False))
    pieces = {name: number for number, name in enumerate(entry.steps, 1) if load.get("shape")}
    lost = []
    for ordinal, name in enumerate(entry.steps, 1):
        if name in known:
            continue
        outcome = tables.requests.loc[tables.requests["step"] == name, "outcome"]
        state = "lost" if len(outcome) else "planned"
        lost.append(
            StepResult(
                name,
                entry.name,
                ordinal,
                users.get(name),
                state,
                rate=rates.get(name),
                piece=pieces.get(name),
                step_counts=count_outcomes(outcome),
            )
        )
    return lost


def measure_step(
    row: Mapping[Hashable, Any],
    entry: ExperimentEntry,
    rows: pd.DataFrame,
    tables: RunTables,
    objectives: Sequence[Objective],
) -> StepResult:
    """Measure one step.

    Args:
        row: its row of steps.csv.
        entry: its experiment.
        rows: the requests of the experiment.
        tables: the run's other tables.
        objectives: the plan's latency objectives.
    """
    step_id = str(row["step"])
    own = rows[rows["step"] == step_id]
    result = _recorded(row, entry, own)
    start, end = _number(row["measure_started_at"]), _window_end(row, rows)
    if start is None or end is None or end <= start:
        return result
    window = Window(start, end)
    planned_end = _number(row["measure_planned_end_at"])
    if "saturated" in result.reason_codes and planned_end is not None:
        result = replace(result, cut_short_s=max(0.0, planned_end - end))
    gaps = tables.gaps[tables.gaps["step"] == step_id]
    result = measure_window(replace(result, window=window), rows, own, gaps, objectives)
    started = definitions.started_in(own, window)
    asked = asked_length(tables.manifest.plan)
    talks = conversation_facts(rows, started, window)
    hourly, instances = entry.price.usd_per_hour, entry.instance_count
    return replace(
        result,
        conversations=talks,
        parts=part_facts(rows, started, window, hourly, instances),
        health=replace(worker_health(tables.workers, window), master_cpu=_number(row["master_cpu_percent"])),
        outside=rows_outside(own, _number(row["announced_at"]), _number(row["tail_ended_at"])),
        workers=worker_facts(own, tables.workers, window),
        answers=describe_answers(
            started[started["outcome"] == "ok"],
            asked,
            entry.made_prompts.prefix_share if entry.made_prompts else 0.0,
        ),
        cost=replace(
            step_cost(result.throughput, hourly, instances),
            per_conversation=usd_per_conversation(hourly, instances, talks.per_minute if talks else None),
        ),
    )


def _recorded(row: Mapping[Hashable, Any], entry: ExperimentEntry, own: pd.DataFrame) -> StepResult:
    """What steps.csv says of a step, and the outcomes of its requests."""
    return StepResult(
        id=str(row["step"]),
        experiment=entry.name,
        ordinal=int(_number(row["ordinal"]) or 0),
        concurrency=None if (users := _number(row["concurrency"])) is None else int(users),
        rate=_number(row["rate"]),
        speed=_number(row["speed"]),
        piece=None if (piece := _number(row["piece"])) is None else int(piece),
        ramp=_ramp(row),
        state=_text(row["state"]) or "unknown",
        reasons=_text(row["reasons"]),
        reason_codes=tuple(code for code in (_text(row["reason_codes"]) or "").split(";") if code),
        purpose=_text(row["purpose"]),
        warm_up_s=_between(row, "ramped_at", "measure_started_at"),
        spent_s=_span(row),
        reported_counts={name: v for name in _REPORTED_COUNTS if (v := _number(row[name])) is not None},
        step_counts=count_outcomes(own["outcome"]),
    )


def _ramp(row: Mapping[Hashable, Any]) -> tuple[float, float] | None:
    start, end = _number(row["ramp_from"]), _number(row["ramp_to"])
    return None if start is None or end is None else (start, end)


def _span(row: Mapping[Hashable, Any]) -> float | None:
    """Seconds from a step's announcement to the end of its tail, or of its window without one."""
    begin, tail = _number(row["announced_at"]), _number(row["tail_ended_at"])
    end = _number(row["measure_ended_at"]) if tail is None else tail
    return None if begin is None or end is None else max(0.0, end - begin)


def _between(row: Mapping[Hashable, Any], first: str, last: str) -> float | None:
    """Seconds from one moment of a step to another."""
    begin, end = _number(row[first]), _number(row[last])
    return None if begin is None or end is None else max(0.0, end - begin)


def _window_end(row: Mapping[Hashable, Any], rows: pd.DataFrame) -> float | None:
    """The window's end on record; the planned end, or the last row, of a window that nobody closed."""
    planned = _number(row["measure_planned_end_at"])
    if (end := _number(row["measure_ended_at"])) is not None or planned is None or rows.empty:
        return end
    last = _number(np.nanmax(definitions.ended_at(rows), initial=-np.inf))
    return None if last is None else min(planned, last)


def steps_with_rows(result: RunResult) -> Iterator[tuple[ExperimentResult, StepResult, pd.DataFrame]]:
    """Each measured step with the ok rows that started in its window: what the plots draw."""
    by_step = {str(name): frame for name, frame in result.rows.groupby("step", observed=True)}
    for experiment in result.experiments:
        for step in experiment.steps:
            frame = by_step.get(step.id)
            if step.window is not None and frame is not None:
                inside = definitions.started_in(frame, step.window)
                yield experiment, step, inside[inside["outcome"] == "ok"]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
