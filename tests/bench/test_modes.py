"""The other ways in: Locust's web page, load from elsewhere, the OpenAI route. Same records and report."""

import json
import socket
import urllib.request
from typing import Any

import pytest

from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, Bench, locust_counts, neighbouring_ports, requests_of
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e


def test_workers_started_before_the_master_serve_every_experiment_and_end_with_the_run(bench: Bench) -> None:
    kinds = ["ml.g5.xlarge", "ml.g6.xlarge"]
    plan = SIMULATED | {
        "model": {"name": "Simulated", "source": "image", "image": "simulated-vllm:1"},
        "endpoint": SIMULATED["endpoint"] | {"instance_type": kinds, "role": "local-sagemaker"},
        "load": {"concurrency": [2], "warm_up": "500ms", "measure": "2s"},
    }
    port = str(neighbouring_ports())
    with LocalSageMaker(["--create-seconds", "1", "--delete-seconds", "0"]) as local:
        workers = [
            bench.start("worker", "--master", "127.0.0.1", "--port", port, environment=local.environment)
            for _ in range(2)
        ]
        options = ("--workers", "2", "--port", port, "--bind", "127.0.0.1", "--results", bench.results)
        done = bench.run("master", "--plan", bench.plan(plan), *options, environment=local.environment)
        outputs = [worker.communicate(timeout=HANG_S)[1] for worker in workers]
    assert done.returncode == 0, done.stderr
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert all("the run is over" in each and "served 2 loads" in each for each in outputs), outputs
    rows = requests_of(bench.latest())
    assert {(row.step, row.worker) for row in rows.itertuples()} == {
        (f"{kind}/en_50-100/c2", worker) for kind in kinds for worker in ("w0", "w1")
    }
    assert set(rows["outcome"]) == {"ok"}


def test_the_openai_route_is_a_protocol_like_the_others(bench: Bench) -> None:
    workload = SIMULATED["workload"] | {"route": "openai"}
    plan = SIMULATED | {
        "workload": workload,
        "load": {"concurrency": [2], "warm_up": "500ms", "measure": "3s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    rows = requests_of(bench.latest())
    assert set(rows["outcome"]) == {"ok"}
    assert set(rows["completion_tokens_source"]) == {"server"}
    assert rows["ttft_ms"].notna().all()
    assert locust_counts(bench.latest()) == rows.groupby("step").size().to_dict()


def test_the_web_page_is_there_while_the_sweep_runs(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    plan = bench.plan(SIMULATED | {"load": {"concurrency": [2], "warm_up": "1s", "measure": "4s"}})
    process = bench.start("ui", "--plan", plan, "--results", bench.results, "--port", port)
    page: list[dict[str, Any]] = []

    def shows_the_step() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=2) as answer:
                page[:] = json.load(answer)["stats"]
        except OSError:
            return process.poll() is not None
        return any(entry["name"].endswith("/c2") and entry["num_requests"] > 0 for entry in page)

    assert eventually(shows_the_step)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert json.loads((bench.latest() / "manifest.json").read_text())["state"] == "complete"
