"""Lets hosts of a distributed run fail, case after case, and prints the table of docs/distributed.md.

    python -m tests.bench.host_failures [CASE …]

Each case is a run of its own, with master, workers and an endpoint with TLS in network namespaces. The
endpoint's own log says what it has answered.
"""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from common.parent_process import TOKEN_VARIABLE
from tests.bench.harness import Bench, requests_of
from tests.bench.hosts import PLAN, Hosts, hosts
from tests.support.network import Link, unavailable
from tests.support.polling import HANG_S, poll

if TYPE_CHECKING:
    import subprocess

    import pandas as pd

OTHER_CODE = """
import common.code_version
common.code_version.code_version = lambda: "0.1.0 (code 89abcdef)"
from bench import cli
cli.main()
"""
COLUMNS = (
    "failure", "answered", "rows after the run", "after `make collect`", "lost",
    "exit codes: master, workers", "the report",
)  # fmt: skip


def generator(process: "subprocess.Popen[str]") -> psutil.Process:
    """The load generator of a host, or Locust's master on the master's host."""
    children = psutil.Process(process.pid).children(recursive=True)
    return next(child for child in children if "locustfiles.run_locust" in " ".join(child.cmdline()))


def kill_generator(run: Hosts) -> None:
    generator(run.processes[1]).kill()


def stop_generator(run: Hosts) -> None:
    stopped = generator(run.processes[1])
    stopped.send_signal(signal.SIGSTOP)
    time.sleep(20.0)
    stopped.send_signal(signal.SIGCONT)


def cut(host: str, seconds: float) -> Callable[[Hosts], None]:
    def act(run: Hosts) -> None:
        run.network[host].cut()
        time.sleep(seconds)
        run.network[host].mend()

    return act


def cut_master_and_kill(run: Hosts) -> None:
    run.network["master"].cut()
    time.sleep(5.0)
    kill_generator(run)
    time.sleep(15.0)
    run.network["master"].mend()


def join(run: Hosts) -> None:
    run.worker("two")


def kill_master_load(run: Hosts) -> None:
    generator(run.processes[0]).kill()


def kill_master(run: Hosts) -> None:
    load = generator(run.processes[0])
    run.processes[0].kill()
    load.kill()


@dataclass(frozen=True)
class Case:
    """What fails, and when."""

    act: Callable[[Hosts], None] = lambda _: None
    """Done in the first measure window."""
    workers: tuple[str, ...] = ("one", "two")
    expected: int = 2
    """Workers that the master waits for."""
    measure_s: int = 20
    second: Mapping[str, str] = field(default_factory=dict)
    """Changes of the second worker's environment."""
    other_code: bool = False
    """Whether the second worker runs another version."""
    links: Mapping[str, Link] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "load generator killed (`kill -9`)": Case(kill_generator),
    "load generator stopped (`SIGSTOP`) for 20 s": Case(stop_generator, measure_s=25),
    "worker's link down for 20 s": Case(cut("one", 20.0), measure_s=25),
    "worker's link down for 80 s": Case(cut("one", 80.0), measure_s=90),
    "worker starts in the middle of a step": Case(join, workers=("one",), expected=1),
    "master's link down for 20 s": Case(cut("master", 20.0), measure_s=25),
    "master's link down for 20 s, a load generator killed meanwhile": Case(cut_master_and_kill, measure_s=25),
    "master's load generator killed": Case(kill_master_load),
    "all of the master killed": Case(kill_master),
    "a worker of another version": Case(expected=1, measure_s=5, other_code=True),
    "a worker with a wrong token": Case(expected=1, measure_s=5, second={TOKEN_VARIABLE: "guessed"}),
    "a worker without AWS credentials": Case(
        measure_s=5, second={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    ),
    "30 ms further away, 1% of its packets lost": Case(links={"two": Link(delay_s=0.015, loss=0.01)}),
}


def play(name: str, case: Case) -> tuple[str, ...]:
    """Play a case; the cells of its row."""
    bench = Bench(Path(tempfile.mkdtemp(prefix="host-failures-")))
    load = {"concurrency": [4, 6], "warm_up": "500ms", "measure": f"{case.measure_s}s"}
    names = sorted({"one", "two", *case.workers})
    with hosts(bench, *names, links=case.links) as run:
        master = run.master(PLAN | {"load": load}, workers=case.expected)
        run.worker("one")
        if "two" in case.workers:
            program = bench.program
            bench.program = ("-c", OTHER_CODE) if case.other_code else program
            run.worker("two", case.second)
            bench.program = program
        poll(lambda: run.status().get("phase") == "measure" or master.poll() is not None)
        if master.poll() is None:
            case.act(run)
        codes = [process.wait(HANG_S) for process in run.processes]
    assert bench.processes() == [], bench.processes()
    said = "".join(run.said(host) for host in run.output)
    assert "Traceback" not in said, said
    before = _rows(bench)
    spools = [run.home(host) / "spool" for host in names]
    for spool in spools:
        if any(spool.rglob("*.rows")):
            collected = bench.run("collect", bench.latest(), "--spool", spool)
            assert collected.returncode == 0, collected.stderr
    after, answered = _rows(bench), run.answered()
    assert after is None or not after["request_id"].duplicated().any()
    lost = set(answered["inference_id"]) - (set() if after is None else set(after["inference_id"]))
    rows, collected_rows = _count(before), _count(after)
    return (
        name, f"{len(answered):,}", rows, collected_rows if collected_rows != rows else "–", str(len(lost)),
        ", ".join("killed" if code < 0 else str(code) for code in codes), _report(bench, said),
    )  # fmt: skip


def _rows(bench: Bench) -> "pd.DataFrame | None":
    return requests_of(bench.latest()) if (bench.latest() / "requests.csv").exists() else None


def _count(rows: "pd.DataFrame | None") -> str:
    return "0" if rows is None else f"{len(rows):,}"


_REFUSED = re.compile(r"refused a worker at .*|worker \S+ on \S+ cannot take part: [^;\n]*")


def _report(bench: Bench, said: str) -> str:
    """What the run says of itself: refused workers, and what each step says of its workers."""
    told = sorted(set(_REFUSED.findall(said)))
    try:
        (experiment,) = bench.summary()["experiments"]
    except (OSError, ValueError):
        return "; ".join([*told, "no report"])
    for number, step in enumerate(experiment["steps"], 1):
        codes = [reason["code"] for reason in step["trust"]["reasons"] if "worker" in reason["code"]]
        verdict = f"{step['trust']['level']} ({', '.join(codes)})" if codes else step["state"]
        told.append(f"step {number} {verdict}")
    return "; ".join(told)


def main(chosen: list[str]) -> None:
    """Play the chosen cases, or all, and print a row of each as soon as it has ended."""
    if reason := unavailable() or unavailable(links=True):
        sys.exit(reason)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    for name, case in CASES.items():
        if not chosen or any(part in name for part in chosen):
            print("| " + " | ".join(play(name, case)) + " |", flush=True)


if __name__ == "__main__":
    os.environ.pop("AWS_PROFILE", None)
    main(sys.argv[1:])
