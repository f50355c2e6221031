"""FMBench folders that kept only ``all_metrics.csv``: bursts without their requests, pooled truly.

Rates and means follow from the bursts' sums; percentiles cannot be known from means of bursts.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.cost import run_cost
from analysis.fmbench import Burst
from analysis.measure import price_step
from analysis.metrics import Window, little_residual
from analysis.prices import Prices
from analysis.results import Distribution, ExperimentResult, RunResult, StepResult
from analysis.sampling import ratio_interval
from configs.errors import UserError
from runfolder.records import REQUEST_COLUMNS, WORKER_COLUMNS

NOTE = (
    "Read from FMBench's all_metrics.csv: bursts without their requests, so rates and means are pooled truly "
    "and percentiles cannot be known; each burst's time includes the client's tokenising."
)
_NEEDED = ("experiment_name", "concurrency", "successes", "latency_mean", "prompt_token_throughput")
Row = dict[str, str]


def load_bursts(path: Path, prices: Prices) -> RunResult:
    """Read ``all_metrics.csv``.

    Raises:
        UserError: it is not FMBench's, or ``prices`` do not fit its instance types.
    """
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path} is not FMBench's all_metrics.csv: it has no column {', '.join(missing)}")
        rows = list(reader)
    groups: dict[tuple[str, str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        payload = Path(row.get("payload_file") or "unknown").stem.removeprefix("payload_")
        instance = row.get("instance_type") or "unknown"
        level = _number(row, "concurrency")
        if level:
            groups[row["experiment_name"], instance, payload, int(level)].append(row)
    experiments: dict[str, ExperimentResult] = {}
    figures: dict[str, list[Burst]] = {}
    for ordinal, ((name, instance, payload, level), own) in enumerate(sorted(groups.items())):
        label = f"{name}/{payload}"
        experiment = experiments.setdefault(label, _experiment(label, instance, payload, own[0], prices))
        bursts = [burst for row in own if (burst := _burst(row)) is not None]
        step = _step(f"{label}/c{level}", ordinal, level, bursts)
        step.experiment = label
        price_step(step, experiment.usd_per_hour, experiment.instance_count)
        experiment.steps.append(step)
        figures[step.id] = bursts
    prices.check(experiment.instance_type for experiment in experiments.values())
    return RunResult(
        run_id=path.parent.name, plan={"name": path.parent.name}, notices=[NOTE], rehearsal=False,
        state="complete",
        started_at=None, ended_at=None, experiments=list(experiments.values()), problems=[], objectives=[],
        error_rate_slo=None, rows=pd.DataFrame(columns=list(REQUEST_COLUMNS)),
        workers=pd.DataFrame(columns=list(WORKER_COLUMNS)), cloudwatch=pd.DataFrame(), source="fmbench",
        fmbench=figures,
    )  # fmt: skip


def _experiment(label: str, instance: str, payload: str, row: Row, prices: Prices) -> ExperimentResult:
    return ExperimentResult(
        name=label, model=row.get("ModelName") or row["experiment_name"], instance_type=instance,
        instance=instance,
        instance_count=int(_number(row, "instance_count") or 1), payload=payload,
        payload_file=row.get("payload_file") or "unknown", state="complete", steps=[],
        price=prices.quote(instance),
        cost=run_cost(None, 1, created=None, in_service=None, load=(None, None), deleted=None),
    )  # fmt: skip


def _burst(row: Row) -> Burst | None:
    """A burst; its wall time is implied by FMBench's own token rate, or its slowest known mean."""
    successes = int(_number(row, "successes") or 0)
    size = int(_number(row, "concurrency") or 0)
    prompt, rate = _number(row, "all_prompts_token_count"), _number(row, "prompt_token_throughput")
    latency = _number(row, "latency_mean")
    seconds = prompt / rate if prompt and rate else latency
    if seconds is None:
        return None
    return Burst(
        seconds=seconds,
        successes=successes,
        errors=max(0, size - successes),
        prompt_tokens=prompt or 0.0,
        completion_tokens=_number(row, "all_completions_token_count") or 0.0,
        latency_sum=(latency or 0.0) * successes,
    )


def _step(name: str, ordinal: int, level: int, bursts: list[Burst]) -> StepResult:
    ok, failed = sum(b.successes for b in bursts), sum(b.errors for b in bursts)
    seconds = sum(b.seconds for b in bursts)
    step = StepResult(name, "", ordinal, level, "complete", window_ok=ok, window_failed=failed)
    step.step_ok, step.step_failed = ok, failed
    step.error_rate = failed / (ok + failed) if ok + failed else None
    step.error_classes = {"unknown": failed} if failed else {}
    if seconds <= 0 or not ok:
        return step
    step.window = Window(0.0, seconds)
    step.completions = ok
    step.per_minute = 60 * ok / seconds
    step.prompt_tokens_per_s = sum(b.prompt_tokens for b in bursts) / seconds
    step.completion_tokens_per_s = sum(b.completion_tokens for b in bursts) / seconds
    step.prompt_tokens_mean = sum(b.prompt_tokens for b in bursts) / (ok + failed)
    step.completion_tokens_mean = sum(b.completion_tokens for b in bursts) / ok
    mean = 1000 * sum(b.latency_sum for b in bursts) / ok
    each = [1000 * b.latency_sum / b.successes for b in bursts if b.successes]
    step.latency["e2e"] = Distribution(ok, mean, None, min(each), max(each), {}, {})
    step.little = little_residual(level, step.per_minute, mean)
    step.per_minute_interval = ratio_interval(
        np.array([60.0 * b.successes for b in bursts]), np.array([b.seconds for b in bursts])
    )
    return step


def _number(row: Row, key: str) -> float | None:
    try:
        value = float(row.get(key) or "nan")
    except ValueError:
        return None
    return value if np.isfinite(value) else None
