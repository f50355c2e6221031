"""Make run folders with known truth: a closed loop of users on a server whose latency is a formula.

Seeded and vectorised, so that tests can know every figure and benchmarks can have millions of rows.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runfolder import layout
from runfolder.appending import replace_rows
from runfolder.manifest import ExperimentEntry, Manifest, Notice, PriceQuote
from runfolder.records import (
    GAP_COLUMNS,
    GAP_GROWTH,
    REQUEST_COLUMNS,
    STEP_COLUMNS,
    WORKER_COLUMNS,
    GapBucket,
    StepRow,
    WorkerReport,
)

EPOCH = 1_760_000_000.0


@dataclass
class Server:
    """Latency of an instance: TTFT and TPOT are a base and a part per token or user, times noise."""

    ttft_ms: float = 80.0
    prefill_ms_per_token: float = 0.15
    queue_ms_per_user: float = 12.0
    tpot_ms: float = 25.0
    tpot_ms_per_user: float = 1.5
    noise: float = 0.08
    failing: float = 0.0
    """Share of requests that fail."""
    time_out_s: float | None = None
    """What a failed request takes; as long as an answer when None."""
    completion_tokens: tuple[int, int] = (24, 96)
    prompt_tokens: tuple[int, int] = (150, 420)


@dataclass
class Deployed:
    """One experiment of the run to be made."""

    instance_type: str = "ml.g5.xlarge"
    payload: str = "en_1-500"
    usd_per_hour: float | None = 1.4084
    server: Server = field(default_factory=Server)
    concurrency: tuple[int, ...] = (1, 2, 4, 8)
    warm_up_s: float = 20.0
    measure_s: float = 240.0
    assumption: bool = False
    instance_label: str | None = None
    instance_count: int = 1

    @property
    def name(self) -> str:
        """As ``configs.experiment.experiment_name``."""
        return f"{self.instance_type}/{self.payload}"

    def steps(self) -> list[tuple[str, int]]:
        """Step ids with their concurrency; a repetition is ``c4#2``, as ``configs.experiment.load_steps``."""
        seen: Counter[int] = Counter()
        found = []
        for level in self.concurrency:
            seen[level] += 1
            found.append((f"{self.name}/c{level}{f'#{seen[level]}' if seen[level] > 1 else ''}", level))
        return found


def write_run(
    folder: Path,
    deployed: tuple[Deployed, ...] = (Deployed(),),
    *,
    seed: int = 7,
    slo: dict[str, Any] | None = None,
    rehearsal: bool = False,
    notices: tuple[str, ...] = (),
    state: str = "complete",
) -> Manifest:
    """Write a whole run folder and return its manifest.

    Args:
        folder: made when it does not exist.
        deployed: the experiments, one after the other; those of one instance type share an endpoint.
        seed: of all chance.
        slo: as in a validated plan: ``objectives`` and, where it names one, ``error_rate``.
        rehearsal: as in the manifest.
        notices: texts of the manifest's notices.
        state: of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(np.random.default_rng(seed))
    for instance_type in dict.fromkeys(one.instance_type for one in deployed):
        run.deploy([d for d in deployed if d.instance_type == instance_type], len(deployed))
    run.write_tables(folder)
    manifest = Manifest(
        run_id=folder.name,
        plan={
            "name": "synthetic",
            "slo": slo or {"objectives": []},
            "load": {"concurrency": list(deployed[0].concurrency), "measure": deployed[0].measure_s},
        },
        plan_file="configs/synthetic.yml",
        notices=[Notice(kind="other", text=text) for text in notices],
        rehearsal=rehearsal,
        experiments=run.entries,
        started_at=EPOCH,
        ended_at=run.clock,
        versions={"python": "3.11"},
        host={"cpus": 2},
        seed=seed,
    )
    manifest.state = state  # type: ignore[assignment]  # a test's text; validated on assignment
    manifest.save(folder)
    return manifest


@dataclass
class _Run:
    """A run in the making: its clock, and what its files will hold."""

    rng: np.random.Generator
    clock: float = EPOCH
    entries: list[ExperimentEntry] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    frames: list[pd.DataFrame] = field(default_factory=list)
    gaps: list[GapBucket] = field(default_factory=list)
    health: list[WorkerReport] = field(default_factory=list)

    def deploy(self, sharing: list[Deployed], experiments: int) -> None:
        """Create an endpoint, load it with every experiment that shares it, and delete it."""
        created = self.clock
        self.clock += 200.0
        in_service = self.clock
        shared: list[ExperimentEntry] = []
        for one in sharing:
            prefix = layout.locust_prefix(len(self.entries) + len(shared), experiments)
            entry = _entry(one, [step for step, _ in one.steps()], prefix)
            entry.create_started_at, entry.in_service_at = created, in_service
            entry.load_started_at = self.clock
            self._load(one)
            entry.load_ended_at = self.clock
            shared.append(entry)
        for entry in shared:
            entry.deleted_at = self.clock + 30
        self.entries += shared
        self.clock += 60

    def _load(self, one: Deployed) -> None:
        for ordinal, (step, level) in enumerate(one.steps()):
            row, frame = _step(one, step, (ordinal, level), self.clock, self.rng)
            self.clock = (row.tail_ended_at or self.clock) + 1.0
            self.steps.append(row)
            self.frames.append(frame)
            self.gaps += _gaps(row.step, frame)
            self.health += _health(row)

    def write_tables(self, folder: Path) -> None:
        """Write the CSV files of the run folder."""
        requests = pd.concat(self.frames, ignore_index=True)
        requests = requests.reindex(columns=list(REQUEST_COLUMNS))
        requests.to_csv(folder / layout.REQUESTS, index=False, float_format="%.6f")
        replace_rows(folder / layout.STEPS, STEP_COLUMNS, self.steps)
        replace_rows(folder / layout.GAPS, GAP_COLUMNS, self.gaps)
        replace_rows(folder / layout.WORKERS, WORKER_COLUMNS, self.health)


def _entry(one: Deployed, steps: list[str], prefix: str) -> ExperimentEntry:
    return ExperimentEntry(
        name=one.name,
        model="Llama2-7b",
        instance_type=one.instance_type,
        instance_label=one.instance_label,
        instance_count=one.instance_count,
        payload=one.payload,
        payload_file=f"payload_{one.payload}.jsonl",
        steps=steps,
        locust_prefix=prefix,
        price=PriceQuote(
            usd_per_hour=one.usd_per_hour, source="a test", as_of="2025-10-09", assumption=one.assumption
        ),
        state="complete",
    )


def _step(
    one: Deployed, step: str, place: tuple[int, int], clock: float, rng: np.random.Generator
) -> tuple[StepRow, pd.DataFrame]:
    ordinal, level = place
    ramped = clock + 2.0
    measure = ramped + one.warm_up_s
    ended = measure + one.measure_s
    frame = _closed_loop(one.server, level, clock, ended, rng)
    frame["step"] = step
    outcome = frame["outcome"]
    row = StepRow(
        step=step,
        experiment=one.name,
        ordinal=ordinal,
        concurrency=level,
        state="complete",
        announced_at=clock,
        ramped_at=ramped,
        measure_started_at=measure,
        measure_ended_at=ended,
        tail_ended_at=float((frame["started_at"] + frame["elapsed_ms"] / 1000).max()),
        workers=1,
        started=len(frame),
        ok=int((outcome == "ok").sum()),
        failed=int((outcome == "failed").sum()),
        censored=0,
        locust_requests=len(frame),
        locust_failures=int((outcome == "failed").sum()),
    )
    return row, frame


def _closed_loop(
    server: Server, level: int, begin: float, end: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Each user's requests follow each other without a pause until ``end``."""
    typical = (
        server.ttft_ms
        + server.prefill_ms_per_token * np.mean(server.prompt_tokens)
        + server.queue_ms_per_user * level
        + np.mean(server.completion_tokens) * (server.tpot_ms + server.tpot_ms_per_user * level)
    )
    each = int((end - begin) * 1000 / typical * 1.5) + 20
    shape = (level, each)
    prompt = rng.integers(*server.prompt_tokens, size=shape, endpoint=True)
    tokens = rng.integers(*server.completion_tokens, size=shape, endpoint=True)
    ttft = server.ttft_ms + server.prefill_ms_per_token * prompt + server.queue_ms_per_user * level
    ttft = ttft * rng.lognormal(0, server.noise, shape)
    tpot = (server.tpot_ms + server.tpot_ms_per_user * level) * rng.lognormal(0, server.noise / 2, shape)
    elapsed = ttft + tpot * (tokens - 1)
    fails = rng.random(shape) < server.failing
    if server.time_out_s is not None:
        elapsed = np.where(fails, 1000 * server.time_out_s, elapsed)
    start = begin + np.hstack([np.zeros((level, 1)), np.cumsum(elapsed, axis=1)[:, :-1]]) / 1000
    keep = start < end
    failed = fails[keep]
    count = int(keep.sum())
    frame = pd.DataFrame(
        {
            "request_id": [f"r{i}" for i in range(count)],
            "worker": "w1",
            "payload_id": rng.integers(0, 50, count).astype(str),
            "started_at": start[keep],
            "ttft_ms": np.where(failed, np.nan, ttft[keep]),
            "ttfo_ms": np.where(failed, np.nan, ttft[keep]),
            "e2e_ms": np.where(failed, np.nan, elapsed[keep]),
            "elapsed_ms": elapsed[keep],
            "tpot_ms": np.where(failed, np.nan, tpot[keep]),
            "chunks": tokens[keep],
            "first_chunk_tokens": 1,
            "prompt_tokens": prompt[keep],
            "prompt_tokens_source": "server",
            "completion_tokens": tokens[keep],
            "completion_tokens_source": "server",
            "finish_reason": np.where(
                failed, "", np.where(tokens[keep] == server.completion_tokens[1], "length", "stop")
            ),
            "outcome": np.where(failed, "failed", "ok"),
            "error_class": np.where(failed, "model_5xx", ""),
            "http_status": np.where(failed, 424, 200),
            "arrival_clock": "kernel",
            "clock_lag_ms": rng.gamma(2, 0.2, count),
        }
    )
    return frame.sort_values("started_at", ignore_index=True)


def _gaps(step: str, frame: pd.DataFrame) -> list[GapBucket]:
    gap = frame.loc[frame["outcome"] == "ok"]
    bucket = np.floor(np.log(gap["tpot_ms"] / 0.01) / np.log(GAP_GROWTH)).astype(int)
    counts = (gap["completion_tokens"] - 1).groupby(bucket).sum()
    return [
        GapBucket(step, 0.01 * GAP_GROWTH ** int(str(b)), 0.01 * GAP_GROWTH ** (int(str(b)) + 1), int(n))
        for b, n in counts.items()
    ]


def _health(row: StepRow) -> list[WorkerReport]:
    begin, end = row.announced_at or 0.0, row.measure_ended_at or 0.0
    users = row.concurrency or 0
    return [
        WorkerReport(
            "w1",
            "host",
            float(at),
            row.step,
            users,
            users,
            8.0 + users,
            90.0,
            0.2,
            1.5,
            0.05,
            0.6,
        )
        for at in np.arange(begin, end, 3.0)
    ]
