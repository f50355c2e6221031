"""A crash leaves no endpoint and loses no rows: everything measured before it is kept."""

import json
import os
import signal
from typing import Any

import psutil
import pytest

from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, Bench, requests_of
from tests.bench.test_signals import phase_is
from tests.support.emulator_admin import EmulatorAdmin
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e

PLAN: dict[str, Any] = SIMULATED | {"load": {"concurrency": [2], "warm_up": "500ms", "measure": "2s"}}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/simulated-vllm:1"
CRASH_OF_THE_REPORT = (
    "import analysis; analysis.make_report = lambda _: 1 / 0; from bench.cli import main; main()"
)
CRASH_OF_THE_CONDUCTOR = """
from bench.cli import main
from bench.display.run_display import RunDisplay
shown = RunDisplay.update
def update(self, status):
    shown(self, status)
    if status.get("phase") == "measure":
        raise ZeroDivisionError
RunDisplay.update = update
main()
"""


def nothing_is_left(bench: Bench) -> None:
    assert any(bench.ledger_files()), "nothing was created at all"
    assert bench.left_open() == []
    assert eventually(lambda: bench.processes() == []), bench.processes()


def manifest_of(bench: Bench) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bench.latest() / "manifest.json").read_text())
    return content


def test_a_load_generator_that_is_killed(bench: Bench) -> None:
    plan = PLAN | {"load": PLAN["load"] | {"measure": "60s"}}
    process = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert eventually(lambda: phase_is(bench, "measure") or process.poll() is not None)
    [locust] = [
        child
        for child in psutil.Process(process.pid).children()
        if any("locustfile" in part for part in child.cmdline())
    ]
    os.kill(locust.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    killed = "the load generator was killed by signal 9 (SIGKILL); often the machine ran out of memory"
    [reported] = [line for line in err.splitlines() if killed in line and "log: " in line]
    assert "locust.log" in reported
    nothing_is_left(bench)
    assert manifest_of(bench)["state"] == "failed"
    assert len(requests_of(bench.latest())) > 0
    assert killed in (bench.latest() / "report.md").read_text()


def test_a_load_does_not_outlive_the_process_that_started_it(bench: Bench) -> None:
    plan = PLAN | {"load": PLAN["load"] | {"measure": "60s"}}
    process = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert eventually(lambda: phase_is(bench, "measure") or process.poll() is not None)
    process.kill()
    process.communicate()
    assert eventually(lambda: bench.processes() == []), bench.processes()


def test_a_crash_while_the_load_is_watched(bench: Bench) -> None:
    crashing = Bench(bench.folder, bench.mark, ("-c", CRASH_OF_THE_CONDUCTOR))
    done = crashing.run("run", "--plan", bench.plan(PLAN), "--results", bench.results)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr, "a bug of ours is not hidden"
    nothing_is_left(bench)
    assert manifest_of(bench)["state"] == "failed"
    assert (bench.latest() / "report.html").exists()


def test_a_crash_of_the_report(bench: Bench) -> None:
    crashing = Bench(bench.folder, bench.mark, ("-c", CRASH_OF_THE_REPORT))
    done = crashing.run("run", "--plan", bench.plan(PLAN), "--results", bench.results)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "make report RUN=" in done.stdout + done.stderr
    nothing_is_left(bench)
    assert len(requests_of(bench.latest())) > 0
    again = bench.run("report", bench.latest())
    assert again.returncode == 0, again.stderr


def test_a_report_that_cannot_be_written_is_one_sentence(bench: Bench) -> None:
    process = bench.start("run", "--plan", bench.plan(PLAN), "--results", bench.results)
    assert eventually(lambda: phase_is(bench, "warm_up", "measure") or process.poll() is not None)
    in_the_way = bench.latest() / "report.html"
    in_the_way.mkdir()
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert f"make report RUN={bench.results}" in err
    nothing_is_left(bench)
    in_the_way.rmdir()
    again = bench.run("report", bench.latest())
    assert again.returncode == 0, again.stderr


def test_what_cannot_be_deleted_ends_the_run_before_it_costs_more(bench: Bench) -> None:
    plan = PLAN | {
        "model": {"name": "Simulated", "source": "image", "image": IMAGE},
        "endpoint": SIMULATED["endpoint"]
        | {"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"], "role": "local-sagemaker"},
    }
    with LocalSageMaker(["--create-seconds", "0", "--delete-seconds", "0"]) as local:
        behind = EmulatorAdmin(local.url)
        behind.faults([{"call": "DeleteEndpoint", "fault": "access_denied", "nth": 0}])
        done = bench.run(
            "run", "--plan", bench.plan(plan), "--results", bench.results, environment=local.environment
        )
        calls = [operation for _, operation in behind.calls()]
    assert done.returncode == 1, done.stderr
    assert calls.count("CreateEndpoint") == 1
    assert "NOT DELETED and billed" in done.stderr
    assert "aws sagemaker delete-endpoint" in done.stderr
    assert manifest_of(bench)["state"] == "failed"
    assert "NOT DELETED" in (bench.latest() / "report.md").read_text()
