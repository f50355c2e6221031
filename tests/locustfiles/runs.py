"""Real Locust runs against the truth server or a scripted one."""

import csv
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.calibration.probe import client_environment
from bench.calibration.truth import AnswerSchedule
from configs.experiment import Experiment, load_steps
from configs.load import Load, Timeouts
from locustfiles.launch import locust_command

DEADLINE_S = 60.0
QUICK = AnswerSchedule(ttft=0.05, gap=0.01, tokens=8)
LONG = AnswerSchedule(ttft=0.3, gap=0.1, tokens=12)  # 1.4 s: longer than Locust's half second of grace


def experiment(folder: Path, concurrency: Sequence[int] | None = (2,), **changes: Any) -> Experiment:
    payload = folder / "payload.jsonl"
    rows = [{"payload_id": f"p{n}", "prompt": f"Tell me of sea {n}.", "prompt_tokens": 6} for n in range(5)]
    payload.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    load: dict[str, Any] = {
        "warm_up": 0.3,
        "measure": 1.5,
        "timeouts": Timeouts(connect=2, first_byte=10, total=20),
    }
    load |= changes.pop("load", {})
    if load.keys() & {"trace", "shape"}:
        del load["measure"]  # they have their own length
    values: dict[str, Any] = {
        "name": "x",
        "run_id": "run",
        "run_folder": folder,
        "endpoint_name": "truth",
        "region": "us-east-1",
        "payload": payload,
        "stream": True,
        "request_schema": "tgi",
        "route": "invocations",
        "parameters": {"max_new_tokens": 8},
        "unique_prefix": True,
        "samples": True,
        "load": Load(concurrency=None if concurrency is None else tuple(concurrency), **load),
    }
    steps = load_steps(values["load"], "x")
    return Experiment(**{"steps": steps, **values, **changes})


def rows_of(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@dataclass
class Run:
    """One load, with every process that it needs."""

    folder: Path
    url: str
    experiment: Experiment
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment = {**client_environment(self.url, None), **self.environment}
        self.file = self.folder / "experiment.json"
        self.file.write_text(self.experiment.model_dump_json(), encoding="utf-8")

    def start(self, **options: Any) -> subprocess.Popen[bytes]:
        is_worker = options.get("mode") == "worker"
        command = locust_command(
            None if is_worker else self.file, None if is_worker else self.folder / "locust", **options
        )
        name = f"{options.get('mode', 'headless')}{len(self.processes)}.log"
        with (self.folder / name).open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes.append(process)
        return process

    def play(self, **options: Any) -> int:
        return self.start(**options).wait(DEADLINE_S)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def status(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        except FileNotFoundError:
            return {}
        return content

    def requests(self) -> list[dict[str, str]]:
        return rows_of(self.folder / "requests.csv")

    def steps(self) -> list[dict[str, str]]:
        return rows_of(self.folder / "steps.csv")

    def locust(self) -> dict[tuple[str, str], dict[str, str]]:
        return {(row["Type"], row["Name"]): row for row in rows_of(self.folder / "locust_stats.csv")}

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def check_counts(self) -> None:
        """Rows, the workers' counts and Locust's own counts agree, and every row is unique."""
        rows = self.requests()
        assert len({row["request_id"] for row in rows}) == len(rows)
        by_step = Counter((row["step"], row["outcome"]) for row in rows)
        for step in self.steps():
            if step["state"] == "planned":
                continue
            name = step["step"]
            outcomes = ("ok", "failed", "censored", "withheld")
            counts = [by_step[name, outcome] for outcome in outcomes]
            assert [int(step[key]) for key in outcomes] == counts
            assert int(step["started"]) == sum(counts)
            entry = self.locust()["POST", name]
            assert int(entry["Request Count"]) == sum(counts)
            assert int(entry["Failure Count"]) == sum(counts[1:])
            if step["rate"]:
                assert int(step["arrivals"]) == sum(counts)
        assert int(self.locust()["", "Aggregated"]["Request Count"]) == len(rows)
