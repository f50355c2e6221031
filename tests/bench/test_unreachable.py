"""AWS cannot be reached any more when the run is over: the report is there, and one may leave."""

import json
import signal
import threading
from typing import Any

import pytest

from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, Bench
from tests.bench.test_signals import phase_is
from tests.between import RESET, between
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e

PLAN: dict[str, Any] = SIMULATED | {
    "model": {"name": "Simulated", "source": "image", "image": "simulated-vllm:1"},
    "endpoint": SIMULATED["endpoint"] | {"role": "local-sagemaker"},
    "load": {"concurrency": [2], "warm_up": "500ms", "measure": "4s"},
}


def test_the_report_comes_before_the_deletion_and_whoever_insists_may_leave(bench: Bench) -> None:
    with LocalSageMaker(["--create-seconds", "0"]) as local, between(local.url) as portal:
        reached = local.environment | {
            "AWS_ENDPOINT_URL": portal.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": portal.url,
        }
        process = bench.start(
            "run", "--plan", bench.plan(PLAN), "--results", bench.results, environment=reached
        )
        assert eventually(lambda: phase_is(bench, "measure") or process.poll() is not None)
        portal.answers["*"] = RESET
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("report so far"):
                break
        assert (bench.latest() / "report.html").exists(), lines
        assert any("not deleted yet" in line and "still retrying" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        explained = next(line for line in process.stderr if line.startswith("SIGTERM: still deleting"))
        assert "`make endpoints`" in explained
        assert "`make teardown`" in explained

        left = threading.Event()

        def insist() -> None:
            while not left.wait(0.2):
                process.send_signal(signal.SIGTERM)

        insisting = threading.Thread(target=insist)
        insisting.start()
        next(line for line in process.stderr if "no longer waited for" in line)
        left.set()
        insisting.join()
        err = process.stderr.read()  # `communicate` would miss what was read ahead with the line above
        process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "Traceback" not in err
    assert "NOT DELETED and billed until it is: endpoint" in err
    assert "aws sagemaker delete-endpoint" in err
    assert [kind.split()[0] for kind in bench.left_open()] == ["model", "endpoint-config", "endpoint"]
    manifest = json.loads((bench.latest() / "manifest.json").read_text())
    assert manifest["state"] == "interrupted"
    assert "NOT DELETED" in (bench.latest() / "report.md").read_text()


def test_an_interrupt_while_deploying_leaves_no_experiment_running(bench: Bench) -> None:
    with LocalSageMaker(["--create-seconds", "8"]) as local:
        process = bench.start(
            "run", "--plan", bench.plan(PLAN), "--results", bench.results, environment=local.environment
        )
        assert process.stderr is not None
        next(line for line in process.stderr if "Creating" in line)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    manifest = json.loads((bench.latest() / "manifest.json").read_text())
    assert [entry["state"] for entry in manifest["experiments"]] == ["interrupted"]
    assert bench.left_open() == []
