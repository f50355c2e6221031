"""Read FMBench's own result folders and measure them truly.

FMBench stores one JSON file per request and one per burst, without start times: bursts are laid end to end,
each as long as its slowest request, so that the pauses in which FMBench wrote its files do not count.
"""

import csv
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.fmbench import Burst, fmbench_level, impossible_rate
from analysis.fmbench_bursts import load_bursts
from analysis.measure import measure_run
from analysis.prices import Prices
from analysis.results import RunResult
from analysis.trust import judge_run
from configs.errors import UserError
from runfolder.manifest import ExperimentEntry, Manifest
from runfolder.reading import RunTables, usable_requests
from runfolder.records import GAP_COLUMNS, REQUEST_COLUMNS, STEP_COLUMNS, WORKER_COLUMNS

_INSTANCE = re.compile(r"\b(?:ml\.)?((?:g|p|inf|trn)\d\w*\.\d*x?large)\b")
Key = tuple[str, str, int]


@dataclass
class _Level:
    """The bursts of one experiment × payload × concurrency, with their requests."""

    bursts: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)


def load_fmbench(folder: Path, prices: Prices = Prices()) -> RunResult:  # noqa: B008 - frozen
    """Read ``per_inference/*.json``, ``per_chunk/*.json`` and ``all_metrics.csv``, wherever they lie below.

    Args:
        folder: FMBench's result folder.
        prices: of the instance types; FMBench's own table is not used, since it held EC2 prices.

    Raises:
        UserError: no such folder, none of these files in it, or ``prices`` do not fit its instance types.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of FMBench results")
    problems: list[str] = []
    requests = _read_json(folder, "per_inference", problems)
    bursts = _read_json(folder, "per_chunk", problems)
    table = _read_metrics(folder, problems)
    if not requests:
        return _from_bursts(folder, prices)
    levels = _levels(requests, bursts, problems)
    return _result(folder, levels, table, prices, problems)


def _from_bursts(folder: Path, prices: Prices) -> RunResult:
    path = next(iter(sorted(folder.rglob("all_metrics.csv"))), None)
    if path is None:
        raise UserError(f"{folder} holds no per_inference/*.json and no all_metrics.csv of FMBench's")
    result = load_bursts(path, prices)
    judge_run(result)
    _judge_fmbench(result, result.fmbench)
    return result


def _read_json(folder: Path, kind: str, problems: list[str]) -> list[dict[str, Any]]:
    found, damaged = [], 0
    for path in sorted(folder.rglob(f"{kind}/*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["recorded_at"] = float(path.stem)
            found.append(content)
        except (ValueError, TypeError, OSError):
            damaged += 1
    if damaged:
        problems.append(f"{kind}: {damaged} damaged file(s) left out.")
    if not found and kind == "per_chunk":
        problems.append("per_chunk/*.json is missing: bursts are guessed from the order of the requests.")
    return sorted(found, key=lambda item: float(item["recorded_at"]))


def _read_metrics(folder: Path, problems: list[str]) -> dict[str, dict[str, str]]:
    """all_metrics.csv by experiment name; only what names the model and the instance is kept."""
    path = next(iter(sorted(folder.rglob("all_metrics.csv"))), None)
    if path is None:
        problems.append("all_metrics.csv is missing: the instance type is read from the experiment's name.")
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.DictReader(file))
    kept = ("instance_type", "ModelName", "instance_count")
    return {str(row.get("experiment_name")): {k: row[k] for k in kept if row.get(k)} for row in rows}


def _levels(
    requests: list[dict[str, Any]], bursts: list[dict[str, Any]], problems: list[str]
) -> dict[Key, _Level]:
    """Requests belong to the last burst of their experiment and concurrency recorded before them."""
    levels: dict[Key, _Level] = defaultdict(_Level)
    for burst in bursts:
        levels[_key(burst)].bursts.append(burst)
    homes: dict[tuple[str, int], list[tuple[float, Key, int]]] = defaultdict(list)
    for key, level in levels.items():
        for index, burst in enumerate(level.bursts):
            homes[key[0], key[2]].append((float(burst["recorded_at"]), key, index))
    orphans = 0
    for request in requests:
        name, payload, concurrency = _key(request)
        earlier = [h for h in homes[name, concurrency] if h[0] <= float(request["recorded_at"])]
        if earlier:
            _, key, index = max(earlier)
        else:
            orphans += len(homes[name, concurrency]) > 0
            key = (name, payload, concurrency)
            index = len(levels[key].requests) // max(1, concurrency)
        levels[key].requests.append(request | {"burst": index})
    if orphans:
        problems.append(f"{orphans} request(s) were recorded before any burst of theirs.")
    return levels


def _key(item: dict[str, Any]) -> Key:
    payload = str(item.get("payload_file") or "unknown")
    return str(item.get("experiment_name") or "unknown"), payload, int(item.get("concurrency") or 1)


def _result(
    folder: Path,
    levels: dict[Key, _Level],
    table: dict[str, dict[str, str]],
    prices: Prices,
    problems: list[str],
) -> RunResult:
    entries: dict[str, ExperimentEntry] = {}
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    figures: dict[str, list[Burst]] = {}
    for ordinal, ((name, payload, concurrency), level) in enumerate(sorted(levels.items())):
        if not level.requests:
            continue
        label = f"{name}/{Path(payload).stem.removeprefix('payload_')}"
        step = f"{label}/c{concurrency}"
        entry = entries.setdefault(label, _entry(label, name, payload, table.get(name, {}), prices))
        start = float(level.requests[0]["recorded_at"])
        own, end = _lay_out(level, step, start)
        rows += own
        steps.append(
            {"step": step, "experiment": label, "ordinal": ordinal, "concurrency": concurrency}
            | {"state": "complete", "measure_started_at": start, "measure_ended_at": end}
        )
        figures[step] = _bursts(level)
        last = float(level.requests[-1]["recorded_at"])
        entry.load_started_at = min(entry.load_started_at or start, start)
        entry.load_ended_at = max(entry.load_ended_at or last, last)
    prices.check(entry.instance_type for entry in entries.values())
    times = [float(r["recorded_at"]) for level in levels.values() for r in level.requests]
    manifest = Manifest(
        run_id=folder.name, plan={"name": folder.name}, experiments=list(entries.values()), state="complete",
        started_at=min(times), ended_at=max(times),
        notices=["Read from FMBench's result files: token counts are its client's, start times are derived."],
    )  # fmt: skip
    frame = pd.DataFrame(rows).reindex(columns=list(REQUEST_COLUMNS))
    empty = {name: pd.DataFrame(columns=list(columns), dtype=float) for name, columns in _EMPTY.items()}
    tables = RunTables(
        folder=folder,
        manifest=manifest,
        steps=pd.DataFrame(steps).reindex(columns=list(STEP_COLUMNS)),
        requests=usable_requests(frame, problems),
        problems=problems,
        **empty,
    )
    result = measure_run(tables)
    result.source = "fmbench"
    result.fmbench = figures
    judge_run(result)
    _judge_fmbench(result, figures)
    return result


_EMPTY = {
    "gaps": GAP_COLUMNS,
    "workers": WORKER_COLUMNS,
    "cloudwatch": ("experiment", "metric", "statistic", "unit", "timestamp", "value"),
}


def _entry(label: str, name: str, payload: str, known: dict[str, str], prices: Prices) -> ExperimentEntry:
    match = _INSTANCE.search(name)
    instance = known.get("instance_type") or (f"ml.{match[1]}" if match else "unknown")
    return ExperimentEntry(
        name=label,
        model=known.get("ModelName") or name,
        instance_type=instance,
        payload=Path(payload).stem.removeprefix("payload_"),
        payload_file=payload,
        price=prices.quote(instance),
        state="complete",
    )


def _lay_out(level: _Level, step: str, start: float) -> tuple[list[dict[str, Any]], float]:
    """Records of a level, burst after burst; returns them and when the last one ends."""
    rows: list[dict[str, Any]] = []
    by_burst: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for request in level.requests:
        by_burst[int(request["burst"])].append(request)
    clock = start
    for index in sorted(by_burst):
        longest = 0.0
        for request in by_burst[index]:
            row = _record(request, step, clock)
            rows.append(row)
            longest = max(longest, (row["elapsed_ms"] or 0.0) / 1000)
        clock += longest
    return rows, clock + 1e-6  # the window is half-open: the last answer belongs to it


def _record(request: dict[str, Any], step: str, start: float) -> dict[str, Any]:
    latency = request.get("latency") or request.get("time_to_last_token")
    ok = bool(request.get("completion")) and latency is not None
    first = request.get("time_to_first_token")
    return {
        "step": step,
        "started_at": start,
        "outcome": "ok" if ok else "failed",
        "e2e_ms": float(latency) * 1000 if ok and latency is not None else None,
        "elapsed_ms": float(latency) * 1000 if latency is not None else None,
        "ttft_ms": float(first) * 1000 if ok and first is not None else None,
        "prompt_tokens": request.get("prompt_tokens"),
        "prompt_tokens_source": "tokenizer",
        "completion_tokens": request.get("completion_tokens") if ok else None,
        "completion_tokens_source": "tokenizer" if ok else None,
        "error_class": None if ok else "empty",
    }


def _bursts(level: _Level) -> list[Burst]:
    """FMBench's bursts with the wall time that its own token rate implies."""
    latency: dict[int, list[float]] = defaultdict(list)
    for request in level.requests:
        if request.get("latency") is not None:
            latency[int(request["burst"])].append(float(request["latency"]))
    bursts = []
    for index, burst in enumerate(level.bursts):
        prompt = float(burst.get("all_prompts_token_count") or 0)
        rate = float(burst.get("prompt_token_throughput") or 0)
        seconds = prompt / rate if rate else max(latency[index], default=0.0)
        bursts.append(
            Burst(
                seconds=seconds,
                successes=int(burst.get("successes") or 0),
                errors=len(burst.get("errors") or ()),
                prompt_tokens=prompt,
                completion_tokens=float(burst.get("all_completions_token_count") or 0),
                latency_sum=sum(latency[index]),
            )
        )
    return bursts


def _judge_fmbench(result: RunResult, figures: dict[str, list[Burst]]) -> None:
    for experiment in result.experiments:
        for step in experiment.steps:
            level = fmbench_level(figures.get(step.id, []), experiment.usd_per_hour)
            impossible = impossible_rate(step, level) if level else None
            if impossible:
                text = f"FMBench's own figure is impossible: {impossible}"
                step.verdict.add("warn", "impossible_fmbench_figure", text)
