"""The other ways in: Locust's web page, load from elsewhere, the OpenAI route. Same records and report."""

import json
import socket
import urllib.request
from typing import Any

import pytest

from tests.line.harness import SIMULATED, Bench, eventually, locust_counts, requests_of

pytestmark = pytest.mark.e2e


def test_workers_elsewhere_make_the_same_records(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    plan = bench.plan(SIMULATED | {"load": {"concurrency": [2], "warm_up": "1s", "measure": "4s"}})
    master = bench.start(
        "master",
        "--plan",
        plan,
        "--results",
        bench.results,
        "--workers",
        "2",
        "--port",
        port,
        "--bind",
        "127.0.0.1",
    )
    assert master.stderr is not None
    told = next(line for line in master.stderr if "make worker" in line)
    keys = dict(word.split("=", 1) for word in told.split() if word.startswith("AWS_"))
    workers = [bench.start("worker", "--master", "127.0.0.1", "--port", port, **keys) for _ in range(2)]
    _, err = master.communicate(timeout=90)
    assert master.returncode == 0, err
    assert [worker.wait(30) for worker in workers] == [0, 0]
    for worker in workers:
        worker.communicate()
    rows = requests_of(bench.latest())
    assert rows["worker"].nunique() == 2
    assert locust_counts(bench.latest()) == rows.groupby("step").size().to_dict()
    assert bench.summary()["experiments"][0]["steps"][0]["requests_ok"] > 0


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_the_openai_route_is_a_protocol_like_the_others(bench: Bench, *, stream: bool) -> None:
    workload = SIMULATED["workload"] | {"route": "openai", "stream": stream}
    plan = SIMULATED | {
        "workload": workload,
        "load": {"concurrency": [2], "warm_up": "500ms", "measure": "3s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    rows = requests_of(bench.latest())
    assert set(rows["outcome"]) == {"ok"}
    assert set(rows["completion_tokens_source"]) == {"server"}
    assert rows["ttft_ms"].notna().all() == stream
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

    assert eventually(shows_the_step, 60)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads((bench.latest() / "manifest.json").read_text())["state"] == "complete"
