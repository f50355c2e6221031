"""The command line as a user has it: real processes, found again by a mark in their environment."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import psutil
import yaml

from common.parent_process import TOKEN_VARIABLE
from common.paths import HOME_VARIABLE
from tests.support.polling import HANG_S
from tests.support.state import make_state_folder

ROOT = Path(__file__).parents[2]
MARK = "BENCH_TEST_MARK"
TOKEN = "a token of the tests"
NOTHING: Mapping[str, str] = MappingProxyType({})

SIMULATED: dict[str, Any] = {
    "name": "quick",
    "model": {"name": "Simulated", "source": "local", "image": "simulated-vllm:1"},
    "endpoint": {"instance_type": "ml.g5.xlarge", "region": "us-east-1"},
    "workload": {"payload": "en_50-100", "parameters": {"max_tokens": 8}},
    "load": {"concurrency": [1, 2], "warm_up": "500ms", "measure": "3s"},
    "price": {"usd_per_hour": 1.0},
}  # fmt: skip
REAL = SIMULATED | {
    "name": "real",
    "model": {"name": "SmolLM2-135M-Instruct", "source": "local"},
    "workload": {"payload": "en_50-100", "parameters": {"max_tokens": 16, "temperature": 0}},
    "load": {"concurrency": [1, 2], "warm_up": "500ms", "measure": "40s", "min_requests": 10},
}


@dataclass
class Bench:
    """Runs ``python -m bench`` in a folder of its own and knows every process that comes of it."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    program: tuple[str, ...] = ("-m", "tests.bench.without_pictures")

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def home(self) -> Path:
        return make_state_folder(self.folder / "home")

    def ledger_files(self) -> list[Path]:
        """Ledgers of runs on AWS, and of runs on the local SageMaker."""
        return [path for name in ("ledger", "local-ledger") for path in (self.home / name).glob("*.jsonl")]

    def plan(self, content: dict[str, Any] | str) -> Path:
        path = self.folder / "plan.yml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] = NOTHING,
        stderr: int = subprocess.PIPE,
        prefix: Sequence[str] = (),
    ) -> "subprocess.Popen[str]":
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LOCUST_", "BENCH_"))}
        return subprocess.Popen(
            [*prefix, sys.executable, *self.program, *map(str, arguments)],
            cwd=ROOT,
            env=clean
            | {MARK: self.mark, HOME_VARIABLE: str(self.home), TOKEN_VARIABLE: TOKEN}
            | dict(environment),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(
        self, *arguments: str | Path, environment: Mapping[str, str] = NOTHING, timeout: float = HANG_S
    ) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments, environment=environment) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=HANG_S)
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def latest(self) -> Path:
        return (self.results / "latest").resolve()

    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.latest() / "summary.json").read_text())
        return content

    def processes(self) -> list[str]:
        """What still runs of all that was started here."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def left_open(self) -> list[str]:
        """Resources that the ledger does not know to be gone."""
        latest: dict[tuple[str, str], str] = {}
        for path in self.ledger_files():
            for line in map(json.loads, path.read_text().splitlines()):
                latest[line["kind"], line["name"]] = line["state"]
        return [
            f"{kind} {name}" for (kind, name), state in latest.items() if state not in ("deleted", "refused")
        ]


def neighbouring_ports() -> int:
    """A free port whose next one is free, too: Locust's, and the one where workers hear of the run."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port + 1))
                return port


def requests_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "requests.csv")


def locust_counts(folder: Path, prefix: str = "locust") -> dict[str, int]:
    """Locust's own count per step; its token entries have another type."""
    stats = pd.read_csv(folder / f"{prefix}_stats.csv")
    ours = stats[stats["Type"].isin(["POST"])]
    return dict(zip(ours["Name"], ours["Request Count"], strict=True))
