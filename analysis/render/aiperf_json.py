"""A step in the form of NVIDIA AIPerf's exports: ``profile_export_aiperf.json`` and ``profile_export.jsonl``.

Every figure under a name of AIPerf's is computed by AIPerf's definition, which is not ours everywhere; what
the records do not allow is left out. ``docs/export.md`` lists both. Read in AIPerf 0.13.0.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.metrics.definitions import Window, measured, numbers, started_in
from analysis.metrics.statistics import Flags, Floats, samples_needed
from common.files import replacing, write_atomically
from runfolder.percentiles import percentile

SCHEMA_VERSION = "1.4"
FOLDER = "aiperf"
"""Beside the report."""
SUMMARY, RECORDS = "profile_export_aiperf.json", "profile_export.jsonl"
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
UNITS = {
    "time_to_first_token": "ms",
    "time_to_first_output_token": "ms",
    "request_latency": "ms",
    "inter_token_latency": "ms",
    "output_token_throughput_per_user": "tokens/sec/user",
    "output_sequence_length": "tokens",
    "input_sequence_length": "tokens",
}
"""The metrics that each request has, with their units."""

_COUNTED = ("server", "tokenizer")
_ERROR = ("http_status", "error_class", "error_detail")


@dataclass(frozen=True)
class _Requests:
    """The requests of a step as AIPerf sees them: arrays with one element per row."""

    rows: pd.DataFrame
    ok: Flags
    start_s: Floats
    """Epoch seconds. AIPerf's clock starts before a new connection is opened."""
    values: dict[str, Floats]
    """By metric; NaN where a request has none."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "_Requests":
        """Those of rows, in the order of their start."""
        rows = rows.sort_values("started_at", kind="stable")
        ok = (rows["outcome"] == "ok").to_numpy(dtype=bool)
        connect = _connect_ms(rows)

        def of_ok(values: Floats) -> Floats:
            return np.where(ok, values, np.nan)

        latency, ttft, ttfo = (
            of_ok(numbers(rows, name) + connect) for name in ("e2e_ms", "ttft_ms", "ttfo_ms")
        )
        output, prompt = (of_ok(_counted(rows, ok, name)) for name in ("completion_tokens", "prompt_tokens"))
        between = _inter_token_latency(rows, latency - ttft, output)
        speed = np.divide(1000, between, out=np.full(len(rows), np.nan), where=between > 0)
        values = (ttft, ttfo, latency, between, speed, output, prompt)
        start = numbers(rows, "started_at") - connect / 1000
        return cls(rows, ok, start, dict(zip(UNITS, values, strict=True)))

    @property
    def end_s(self) -> Floats:
        """The end of each answered request, epoch seconds; NaN for the others."""
        return self.start_s + self.values["request_latency"] / 1000


def _connect_ms(rows: pd.DataFrame) -> Floats:
    """How long each request waited for a new connection; 0 where it reused that of its session."""
    own = rows["session_open_ms"].isna().to_numpy()
    return np.where(own, np.nan_to_num(numbers(rows, "connect_ms")), 0.0)


def _counted(rows: pd.DataFrame, ok: Flags, name: str) -> Floats:
    """Token counts; none at all unless somebody counted those of every answered request."""
    counts = numbers(rows, name)
    known = rows[f"{name}_source"].astype(object).isin(_COUNTED).to_numpy() & ~np.isnan(counts)
    return counts if known[ok].all() else np.full(len(rows), np.nan)


def _inter_token_latency(rows: pd.DataFrame, decode_ms: Floats, output: Floats) -> Floats:
    """AIPerf's inter-token latency, with its ``--per-chunk-usage``.

    Formula: (request latency − time to first token) / (n − k), n output tokens, n ≥ 2; k the tokens of the
    first chunk as the server's running count says, else 1.
    """
    first = numbers(rows, "first_chunk_tokens")
    reported = (rows["first_chunk_source"].astype(object) == "usage").to_numpy()
    after = output - np.where(reported & (first > 0) & (first < output), first, 1.0)
    found: Floats = np.divide(decode_ms, after, out=np.full(len(rows), np.nan), where=after > 0)
    return found


def write_aiperf(out: Path, result: RunResult) -> list[Path]:
    """Write each measured step into a folder of its own below ``out``.

    Returns:
        the folders of the steps.

    Raises:
        OSError: a file cannot be written.
    """
    written = []
    for name, summary, records in aiperf_steps(result):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / RECORDS) as fresh, fresh.open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records
            )
        content = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(folder / SUMMARY, content)
        written.append(folder)
    return written


def aiperf_steps(result: RunResult) -> Iterator[tuple[str, dict[str, Any], Iterator[dict[str, Any]]]]:
    """Each measured step: its folder, ``01_ml.g5.xlarge_en_1-500/03_c8``, its summary, and its requests."""
    by_step = {str(name): frame for name, frame in result.rows.groupby("step", observed=True)}
    for i, experiment in enumerate(result.experiments, 1):
        for j, step in enumerate(experiment.steps, 1):
            own = by_step.get(step.id)
            if own is not None and step.window is not None:
                own_name = step.id.removeprefix(f"{experiment.name}/")
                requests = _Requests.of(started_in(own, step.window))
                yield (
                    f"{_file_name(i, experiment.name)}/{_file_name(j, own_name)}",
                    _summary(result, experiment, step, step.window, requests),
                    _records(requests),
                )


def _file_name(number: int, name: str) -> str:
    return f"{number:02d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}"


def _summary(
    result: RunResult, experiment: ExperimentResult, step: StepResult, window: Window, requests: _Requests
) -> dict[str, Any]:
    ends = measured(requests.end_s)
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "benchmark_id": f"{result.run_id}/{step.id}",
        **_metrics(requests),
        "input_config": _input_config(result, experiment, step, window, requests),
        "run_info": {"run_label": step.id, "trial": step.repetition - 1, "random_seed": result.seed},
        "was_cancelled": step.state == "interrupted",
        "is_complete": step.usable,
        "incomplete_reason": None if step.usable else "; ".join(step.trust.texts),
        "error_summary": _errors(requests),
        "start_time": _moment(window.start),
        "end_time": _moment(float(ends.max()) if len(ends) else window.end),
        "llm_bench": _own(result, experiment, step),
    }
    return {key: value for key, value in content.items() if value is not None}


def _metrics(requests: _Requests) -> dict[str, dict[str, Any]]:
    """Every metric that the requests allow."""
    found = {
        name: described
        for name, unit in UNITS.items()
        if (described := _distribution(requests.values[name], unit)) is not None
    }
    count = int(requests.ok.sum())
    failed = int((requests.rows["outcome"] == "failed").sum())
    scalars: dict[str, tuple[float, str]] = {
        "request_count": (count, "requests"),
        "error_request_count": (failed, "requests"),
    }
    if count + failed:
        scalars["request_error_rate"] = (100 * failed / (count + failed), "%")
    totals = {
        total: found[each]["sum"]
        for total, each in (("total_isl", "input_sequence_length"), ("total_osl", "output_sequence_length"))
        if each in found
    }
    scalars |= {name: (total, "tokens") for name, total in totals.items()}
    seconds = float(np.nanmax(requests.end_s) - requests.start_s[requests.ok].min()) if count else 0.0
    if seconds > 0:
        scalars["benchmark_duration"] = (seconds, "sec")
        scalars["request_throughput"] = (count / seconds, "requests/sec")
        scalars |= {
            name: (totals[total] / seconds, "tokens/sec")
            for name, total in (
                ("output_token_throughput", "total_osl"),
                ("input_token_throughput", "total_isl"),
            )
            if total in totals
        }
    return found | {name: {"unit": unit, "avg": value} for name, (value, unit) in scalars.items()}


def _distribution(values: Floats, unit: str) -> dict[str, Any] | None:
    """The statistics of a metric; percentiles only with samples enough, as everywhere in the report."""
    ordered = np.sort(measured(values))
    if not len(ordered):
        return None
    shown = (p for p in PERCENTILES if len(ordered) >= samples_needed(max(p, 100 - p)))
    return {
        "unit": unit,
        "avg": float(ordered.mean()),
        **{f"p{p}": percentile(ordered, p) for p in shown},
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "std": float(ordered.std()),
        "count": len(ordered),
        "sum": float(ordered.sum()),
    }


def _input_config(
    result: RunResult, experiment: ExperimentResult, step: StepResult, window: Window, requests: _Requests
) -> dict[str, Any] | None:
    """The load in AIPerf's words; None where it has none: for a trace, a shape, and Weibull arrivals."""
    load = _phase(result, step)
    if load is None:
        return None
    return {
        "models": {"items": [{"name": experiment.model}]},
        "endpoint": {
            "urls": [experiment.endpoint_name or experiment.instance_type],
            "streaming": bool(len(measured(requests.values["time_to_first_token"]))),
        },
        "datasets": [{"name": "default", "type": "file", "path": experiment.payload_file}],
        "phases": [{"name": "profiling", **load, "duration": window.seconds}],
    }


def _phase(result: RunResult, step: StepResult) -> dict[str, Any] | None:
    if step.speed is not None or step.piece is not None or step.level is None:
        return None
    if step.rate is None:
        return {"type": "concurrency", "concurrency": step.concurrency}
    match (result.plan.get("load") or {}).get("arrivals", "poisson"):
        case "poisson" | "constant" as kind:
            return {"type": kind, "rate": step.rate}
        case {"gamma": shape}:
            return {"type": "gamma", "rate": step.rate, "smoothness": shape}
        case _:
            return None


def _errors(requests: _Requests) -> list[dict[str, Any]]:
    failed = requests.rows[requests.rows["outcome"] == "failed"]
    counts = failed.value_counts(list(_ERROR), dropna=False).reset_index(name="count")
    return [
        {"error_details": _error(*error), "count": int(count)}
        for *error, count in counts.astype(object).itertuples(index=False, name=None)
    ]


def _error(status: object, name: object, detail: object) -> dict[str, Any]:
    known = name if isinstance(name, str) else "unknown"
    code = {"code": int(status)} if isinstance(status, int | float) and np.isfinite(status) else {}
    return code | {"type": known, "message": detail if isinstance(detail, str) else known}


def _own(result: RunResult, experiment: ExperimentResult, step: StepResult) -> dict[str, Any]:
    """What AIPerf has no name for: where the step comes from, our window's figures, and our trust in it."""
    return {
        "run": result.run_id,
        "plan": result.plan.get("name"),
        "experiment": experiment.name,
        "step": step.id,
        "instance_type": experiment.instance_type,
        "instance": experiment.instance,
        "instance_count": experiment.instance_count,
        "payload": experiment.payload,
        "concurrency": step.concurrency,
        "rate": step.rate,
        "rehearsal": result.rehearsal,
        "notices": [notice.text for notice in result.notices],
        "window": None
        if step.window is None
        else {
            "start": _moment(step.window.start),
            "end": _moment(step.window.end),
            "seconds": step.window.seconds,
        },
        "requests_per_minute": step.throughput.per_minute,
        "completion_tokens_per_s": step.throughput.completion_tokens_per_s,
        "requests_censored": step.window_counts.censored,
        "requests_withheld": step.window_counts.withheld,
        "token_sources": step.provenance.token_sources,
        "trust": asdict(step.trust),
    }


def _records(requests: _Requests) -> Iterator[dict[str, Any]]:
    """A line for each answered or failed request whose end is on record."""
    rows = requests.rows
    elapsed = np.where(
        requests.ok,
        requests.values["request_latency"],
        numbers(rows, "elapsed_ms") + _connect_ms(rows),
    )
    kept = np.flatnonzero(rows["outcome"].isin(("ok", "failed")).to_numpy() & ~np.isnan(elapsed))
    start_ns = np.round(requests.start_s * 1e9)
    end_ns = np.round(start_ns + elapsed * 1e6)
    values = {name: each.tolist() for name, each in requests.values.items()}
    columns = ["worker", "session", "turn", *_ERROR]
    for number, (at, own) in enumerate(
        zip(kept.tolist(), rows[columns].iloc[kept].itertuples(index=False, name=None), strict=True)
    ):
        worker, session, turn, *error = own
        metadata = {
            "session_num": number,
            "request_start_ns": int(start_ns[at]),
            "request_end_ns": int(end_ns[at]),
            "worker_id": str(worker),
            "record_processor_id": "llm-bench",
            "benchmark_phase": "profiling",
        }
        if pd.notna(session) and pd.notna(turn):
            metadata |= {"conversation_id": f"{worker}/{int(session)}", "turn_index": int(turn) - 1}
        yield {
            "metadata": metadata,
            "metrics": {
                name: {"value": value, "unit": UNITS[name]}
                for name, each in values.items()
                if not isnan(value := each[at])
            },
            "error": None if requests.ok[at] else _error(*error),
        }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
