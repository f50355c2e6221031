"""Read FMBench's own result folders and measure them truly.

FMBench stores no start times: bursts are laid end to end, so that the pauses in which FMBench wrote its files
do not count. Several runs in one folder are results of their own, never pooled and never compared.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.decide.trust import check_run
from analysis.importers.command_line_prices import Prices
from analysis.importers.fmbench.bursts import as_recorded, burst_seconds, measure_bursts
from analysis.importers.fmbench.experiments import describe_experiments, share_bills
from analysis.importers.fmbench.files import Suite, find_suites, read_suite
from analysis.importers.fmbench.levels import FmbenchLevel, check_level, measure_levels
from analysis.importers.fmbench.method import fmbench_level, impossible_rate
from analysis.importers.fmbench.records import RequestRecord
from analysis.importers.fmbench.runs import group_bursts, split_runs
from analysis.measure.results import RunResult
from analysis.measure.step_window import step_cost
from analysis.measure.steps import measure_run
from common.errors import UserError
from common.formatting import listed, utc
from runfolder.manifest import ExperimentEntry, Manifest, Notice
from runfolder.reading import RunTables, usable_requests
from runfolder.records import (
    CLOUDWATCH_COLUMNS,
    GAP_COLUMNS,
    REQUEST_COLUMNS,
    STEP_COLUMNS,
    WORKER_COLUMNS,
)

DERIVED = "Read from FMBench's result files: token counts are its client's, start times are derived."
NO_TIMES = "Read from FMBench's CSV files: they hold no times, so what the endpoint cost is not known."
NO_REQUESTS = (
    "Bursts of several requests are on record without their requests: rates and means are pooled truly, "
    "and percentiles cannot be known."
)
_NUMBERS = ("started_at", "e2e_ms", "elapsed_ms", "ttft_ms", "prompt_tokens", "completion_tokens")
_START = 1.0
"""Where bursts are laid out from when no time is on record, in epoch seconds: rows need one above 0."""


@dataclass(frozen=True)
class FmbenchRun:
    """One run of one suite; ``label`` tells it from the others of the folder, empty for the only one."""

    label: str
    result: RunResult


def load_fmbench(folder: Path, prices: Prices = Prices()) -> RunResult:  # noqa: B008 - frozen
    """Read the only run in ``folder``.

    Args:
        folder: FMBench's result folder.
        prices: of the instance types; FMBench's own table is not used, since it held EC2 prices.

    Raises:
        UserError: no FMBench results, those of several runs, or ``prices`` do not fit its instance types.
    """
    runs = load_fmbench_runs(folder, prices)
    if len(runs) > 1:
        names = listed([run.label for run in runs])
        raise UserError(
            f"{folder} holds {len(runs)} FMBench runs ({names})", "name the folder of one of them"
        )
    return runs[0].result


def load_fmbench_runs(folder: Path, prices: Prices = Prices()) -> list[FmbenchRun]:  # noqa: B008 - frozen
    """Read every run in or below ``folder``, each as a result of its own.

    Raises:
        UserError: no FMBench results, or ``prices`` do not fit its instance types.
    """
    files = find_suites(folder)
    suites: list[Suite] = []
    unreadable: list[UserError] = []
    for place in files:
        try:
            suites.append(read_suite(place))
        except UserError as error:
            unreadable.append(error)
    if not suites:
        raise unreadable[0]
    runs: list[FmbenchRun] = []
    for suite in suites:
        suite.problems += [f"Left out: {error}" for error in unreadable]
        where = "" if len(files) == 1 else _place(suite.root, folder)
        runs += [
            FmbenchRun("/".join(name for name in (where, part) if name), result)
            for part, result in _read_runs(suite, prices)
        ]
    prices.check(e.instance_type for run in runs for e in run.result.experiments)
    for run in runs:
        run.result.run_id = " ".join(name for name in (folder.resolve().name, run.label) if name)
    return runs


def _place(root: Path, folder: Path) -> str:
    return root.name if root == folder else root.relative_to(folder).as_posix()


def _read_runs(suite: Suite, prices: Prices) -> list[tuple[str, RunResult]]:
    """Each run of a suite, with a name where there are several."""
    groups = group_bursts(suite)
    if not groups:
        raise UserError(f"{suite.root}: no FMBench burst is whole. {' '.join(suite.problems)}")
    seconds, by_file_times = burst_seconds(groups)
    runs = split_runs(groups, seconds)
    results = []
    for run in runs:
        levels = measure_levels(
            [groups[i] for i in run],
            [seconds[i] for i in run],
            {place for place, i in enumerate(run) if i in by_file_times},
        )
        results.append(_result(suite, levels, prices))
    if len(results) == 1:
        return [("", results[0])]
    for ordinal, result in enumerate(results, start=1):
        began = "" if result.started_at is None else f", begun {utc(result.started_at)} UTC"
        result.problems.append(
            f"The folder holds {len(results)} runs of the same experiments; this is run {ordinal}{began}."
        )
    return [(f"run-{ordinal}", result) for ordinal, result in enumerate(results, start=1)]


def _result(suite: Suite, levels: list[FmbenchLevel], prices: Prices) -> RunResult:
    times = [t for level in levels for t in (level.began_at, level.ended_at) if t is not None]
    starts = {level.step: level.began_at or _START for level in levels}
    rows = [row for level in levels for row in _rows(level, starts[level.step])]
    entries = describe_experiments(levels, suite.columns, prices)
    problems = [*suite.problems, *_remarks(levels, entries)]
    without_times = any(level.began_at is None for level in levels)
    manifest = Manifest(
        run_id=suite.root.name,
        plan={"name": suite.root.name},
        experiments=entries,
        state="complete",
        started_at=min(times, default=_START),
        ended_at=max(times, default=None),
        notices=[Notice(kind="fmbench_files", text=NO_TIMES if without_times else DERIVED)],
    )
    frame = pd.DataFrame(rows).reindex(columns=list(REQUEST_COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))
    empty = {name: pd.DataFrame(columns=list(columns), dtype=float) for name, columns in _EMPTY.items()}
    tables = RunTables(
        folder=suite.root,
        manifest=manifest,
        steps=_steps(levels, starts),
        requests=usable_requests(frame, problems),
        problems=problems,
        **empty,
    )
    result = measure_run(tables)
    result.source = "fmbench"
    result.started_at = min(times, default=None)
    _measure(result, levels, starts)
    share_bills(result.experiments, levels)
    return result


_EMPTY = {"gaps": GAP_COLUMNS, "workers": WORKER_COLUMNS, "cloudwatch": CLOUDWATCH_COLUMNS}


def _measure(result: RunResult, levels: list[FmbenchLevel], starts: dict[str, float]) -> None:
    """Rates and trust of every step, from its bursts."""
    by_step = {level.step: level for level in levels}
    result.fmbench = {level.step: [as_recorded(group) for group in level.groups] for level in levels}
    for experiment in result.experiments:
        measured = [
            measure_bursts(step, starts[step.id], by_step[step.id].bursts) for step in experiment.steps
        ]
        hourly, instances = experiment.usd_per_hour, experiment.instance_count
        experiment.steps = [
            replace(step, cost=step_cost(step.throughput, hourly, instances)) for step in measured
        ]
    check_run(result)
    for experiment in result.experiments:
        for step in experiment.steps:
            check_level(step, by_step[step.id])
            figures = fmbench_level(result.fmbench[step.id], experiment.usd_per_endpoint_hour)
            impossible = impossible_rate(step, figures) if figures else None
            if impossible:
                text = f"FMBench's own figure is impossible: {impossible}"
                step.trust.add("warn", "impossible_fmbench_figure", text)


def _remarks(levels: list[FmbenchLevel], entries: list[ExperimentEntry]) -> list[str]:
    """What a reader must know of this run, beside its form."""
    models = list(dict.fromkeys(entry.model for entry in entries))
    remarks = []
    if any(not requests for level in levels for requests in level.requests):
        remarks.append(NO_REQUESTS)
    if len(models) > 1:
        remarks.append(
            f"Several models were measured: {listed(models)}. Each has its own answer; they are not compared."
        )
    return remarks


def _steps(levels: list[FmbenchLevel], starts: dict[str, float]) -> pd.DataFrame:
    steps: list[dict[str, Any]] = [
        {
            "step": level.step,
            "experiment": level.experiment,
            "ordinal": ordinal,
            "concurrency": level.key[2],
            "state": "complete",
            "measure_started_at": starts[level.step],
            "measure_ended_at": starts[level.step] + max(level.load_s, 1e-3),
        }
        for ordinal, level in enumerate(levels)
    ]
    return pd.DataFrame(steps).reindex(columns=list(STEP_COLUMNS))


def _rows(level: FmbenchLevel, start: float) -> list[dict[str, Any]]:
    """Records of a level's requests, burst after burst."""
    rows = []
    clock = start
    for requests, seconds in zip(level.requests, level.seconds, strict=True):
        rows += [_row(request, level.step, clock) for request in requests]
        clock += seconds or 0.0
    return rows


def _row(request: RequestRecord, step: str, start: float) -> dict[str, Any]:
    ok, latency, ttft = request.answered, request.latency, request.ttft
    counted = ok and request.completion_tokens is not None
    return {
        "step": step,
        "started_at": start,
        "outcome": "ok" if ok else "failed",
        "e2e_ms": 1000 * latency if ok and latency is not None else None,
        "elapsed_ms": 1000 * latency if latency is not None else None,
        "ttft_ms": 1000 * ttft if ok and ttft is not None else None,
        "prompt_tokens": request.prompt_tokens,
        "prompt_tokens_source": "tokenizer" if request.prompt_tokens is not None else None,
        "completion_tokens": request.completion_tokens if counted else None,
        "completion_tokens_source": "tokenizer" if counted else None,
        "error_class": None if ok else "empty" if latency is not None else "unknown",
    }
