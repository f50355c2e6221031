"""A run over several hosts: master, workers and an endpoint with TLS, each in a network namespace of its own.

The control plane is the local SageMaker; the runtime is the truth server, whose log is an independent record
of every request that was answered. Both are on the host ``endpoint``.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.calibration.certificates import make_certificates
from bench.calibration.truth import AnswerSchedule
from common.paths import HOME_VARIABLE
from emulator.process import LocalSageMaker
from locustfiles.launch import locust_environment
from tests.bench.harness import Bench
from tests.support.network import Host, Link, Network
from tests.support.polling import HANG_S, eventually
from tests.support.state import make_state_folder

PORT = "5557"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tgi:1"
NOWHERE = "http://127.0.0.1:9"
"""CloudWatch has seen nothing of what the truth server answers: waiting for it is of no use."""
QUICK = AnswerSchedule(ttft=0.1, gap=0.02, tokens=6)

PLAN: dict[str, Any] = {
    "name": "hosts",
    "model": {"name": "Truth", "source": "image", "image": IMAGE},
    "endpoint": {"instance_type": "ml.g5.xlarge", "region": "us-east-1", "role": "local-sagemaker"},
    "workload": {"payload": "en_50-100", "parameters": {"max_new_tokens": 6}},
    "load": {"concurrency": [4], "warm_up": "500ms", "measure": "3s"},
    "price": {"usd_per_hour": 1.0},
}  # fmt: skip


@dataclass
class Hosts:
    """The processes of a run, by host."""

    bench: Bench
    network: Network
    environment: dict[str, str]
    served: Path
    """The truth server's log, complete once it has ended."""
    output: dict[str, list[Path]] = field(default_factory=dict)
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def home(self, host: str) -> Path:
        """The state folder of a host."""
        return make_state_folder(self.bench.folder / f"home-{host}")

    def start(
        self, host: str, *arguments: str | Path, changes: Mapping[str, str] = MappingProxyType({})
    ) -> "subprocess.Popen[str]":
        """Start ``llm-bench`` on a host, with changes of its environment; its output goes to a file."""
        path = self.bench.folder / f"{host}-{len(self.processes)}.log"
        with path.open("w") as file:
            process = self.bench.start(
                *arguments,
                environment={**self.environment, HOME_VARIABLE: str(self.home(host)), **changes},
                stderr=file.fileno(),
                prefix=self.network[host].enter,
            )
        self.output.setdefault(host, []).append(path)
        self.processes.append(process)
        return process

    def master(self, plan: dict[str, Any], workers: int) -> "subprocess.Popen[str]":
        """Start the master, which waits for so many workers."""
        return self.start(
            "master", "master", "--plan", self.bench.plan(plan), "--workers", str(workers), "--port", PORT,
            "--bind", self.network["master"].address, "--results", self.bench.results,
        )  # fmt: skip

    def worker(self, host: str, changes: Mapping[str, str] = MappingProxyType({})) -> "subprocess.Popen[str]":
        """Start a worker host, with changes of its environment."""
        address = self.network["master"].address
        return self.start(host, "worker", "--master", address, "--port", PORT, changes=changes)

    def said(self, host: str) -> str:
        """Everything that a host's processes printed, and Locust's log for the master."""
        return "".join(path.read_text() for path in self.output.get(host, []))

    def status(self) -> dict[str, Any]:
        """What the load does now."""
        try:
            content: dict[str, Any] = json.loads((self.bench.latest() / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return content

    def wait_for(self, phase: str) -> None:
        """Wait until the load is in a phase; a master that has ended fails."""
        master = self.processes[0]
        assert eventually(lambda: self.status().get("phase") == phase or master.poll() is not None), phase
        assert master.poll() is None, self.said("master")

    def end(self) -> None:
        """End what is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=HANG_S)

    def answered(self) -> "pd.DataFrame":
        """Requests that the truth server has answered to their end; only after it has ended."""
        return pd.read_csv(self.served)


@contextmanager
def hosts(
    bench: Bench,
    *workers: str,
    schedule: AnswerSchedule = QUICK,
    links: Mapping[str, Link] = MappingProxyType({}),
) -> Iterator[Hosts]:
    """Hosts for the length of a block: ``master``, ``endpoint`` and workers with these names."""
    with Network("master", "endpoint", *workers, links=links) as network, contextlib.ExitStack() as stack:
        endpoint = network["endpoint"]
        options = ["--host", endpoint.address, "--create-seconds", "0", "--delete-seconds", "0"]
        control = stack.enter_context(LocalSageMaker(options, prefix=endpoint.enter))
        url, served, authority = stack.enter_context(_truth(bench.folder, endpoint, schedule))
        environment = {
            **control.environment,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
            "AWS_CA_BUNDLE": str(authority),
            "AWS_ENDPOINT_URL_CLOUDWATCH": NOWHERE,
        }
        made = Hosts(bench, network, environment, served)
        stack.callback(made.end)
        yield made


@contextmanager
def _truth(folder: Path, host: Host, schedule: AnswerSchedule) -> Iterator[tuple[str, Path, Path]]:
    """The truth server with TLS: its URL, its log, and the authority of its certificate."""
    files, log = make_certificates(folder, hosts=(host.address,)), folder / "served.csv"
    server = subprocess.Popen(
        [
            *host.enter, sys.executable, "-m", "bench.calibration.truth", "--host", host.address,
            "--log", str(log), "--ttft", str(schedule.ttft), "--gap", str(schedule.gap),
            "--tokens", str(schedule.tokens),
            "--tls-cert", str(files.certificate), "--tls-key", str(files.key),
        ],
        stdout=subprocess.PIPE, env=locust_environment(), text=True,
    )  # fmt: skip
    try:
        line = server.stdout.readline() if server.stdout else ""
        yield f"https://{host.address}:{json.loads(line)['port']}", log, files.authority
    finally:
        server.terminate()
        server.wait(HANG_S)
