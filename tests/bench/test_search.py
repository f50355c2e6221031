"""A search through the whole line, with a real load: it chooses its steps, confirms its answer and ends."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench.harness import SIMULATED, Bench, locust_counts, requests_of
from tests.bench.test_signals import phase_is
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e


def test_a_search_plays_its_own_steps_and_confirms_the_answer(bench: Bench) -> None:
    """The cheapest type is first, and the one that costs fifty times as much is left after a probe."""
    plan = SIMULATED | {
        "endpoint": {"instance_type": ["ml.g6.xlarge", "ml.g5.xlarge"], "region": "us-east-1"},
        "price": {"usd_per_hour": {"ml.g5.xlarge": 1.0, "ml.g6.xlarge": 50.0}},
        "load": {
            "search": {"over": "concurrency", "from": 2, "to": 4},
            "warm_up": "200ms",
            "measure": "1s",
        },
        "slo": {"e2e_p95": "10s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results, "--json")
    assert done.returncode == 0, done.stderr
    first, second = bench.summary()["experiments"]
    assert (first["instance_type"], second["instance_type"]) == ("ml.g5.xlarge", "ml.g6.xlarge")
    assert (first["search"]["end"], second["search"]["end"]) == ("all_met", "beaten")
    assert second["search"]["rival"]["experiment"] == first["name"]
    assert len(second["steps"]) == 1
    assert "The search on this machine (as ml.g6.xlarge) ended early, after " in " ".join(done.stderr.split())
    steps = first["steps"]
    levels = [step["concurrency"] for step in steps]
    assert (levels[:2], set(levels[2:])) == ([2, 4], {None}), "a void confirmation is repeated"
    rows = requests_of(bench.latest())
    own = rows[rows["step"].isin([step["id"] for step in steps])]
    assert locust_counts(bench.latest(), "locust_1") == own.groupby("step").size().to_dict()
    arrivals = rows[rows["step"] == steps[-1]["id"]]
    assert arrivals["arrival"].notna().all(), "the confirmation"
    assert "search: met at 4" in done.stderr
    assert ": the highest level meets the SLO; met at 4" in done.stderr
    assert bench.left_open() == []
    check_lines(bench, [json.loads(line) for line in done.stdout.splitlines()])


def check_lines(bench: Bench, lines: list[dict[str, Any]]) -> None:
    """Programs are told the course of a run, and at its end what the report says."""
    events = [line["event"] for line in lines]
    assert (events[0], events[-1], events.count("result")) == ("run_started", "result", 1)
    assert {"resource", "load_started", "progress", "step_ended", "search", "load_ended"} <= set(events)
    summary = bench.summary()
    result = lines[-1]
    assert (result["command"], result["exit_code"], result["exit_name"], result["error"]) == (
        "run",
        0,
        "ok",
        None,
    )
    assert result["choices"] == summary["choices"]
    assert Path(result["paths"]["summary"]).resolve() == bench.latest() / "summary.json"
    assert Path(result["paths"]["report"]).is_file()
    ended = {line["step"]: line for line in lines if line["event"] == "step_ended"}
    for step in (step for each in summary["experiments"] for step in each["steps"]):
        live = ended[step["id"]]
        assert live["measured_ok"] == step["requests_ok"]
        for figure in ("requests_per_minute", "completion_tokens_per_s"):
            assert live[figure] == pytest.approx(step[figure], rel=1e-6), figure
        for latency in ("ttft", "tpot", "e2e"):
            for p in ("p50", "p95"):
                assert live[f"{latency}_{p}_ms"] == pytest.approx(step[f"{latency}_ms"][p]), (latency, p)


def test_a_worker_that_is_killed_voids_its_probe_which_is_repeated(bench: Bench) -> None:
    plan = SIMULATED | {
        "load": {
            "search": {"over": "concurrency", "from": 4, "to": 6, "resolution": "100%"},
            "confirm": False,
            "warm_up": "200ms",
            "measure": "5s",
        },
        "slo": {"e2e_p95": "10s"},
    }
    run = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results, "--processes", "2")
    assert eventually(lambda: phase_is(bench, "measure") or run.poll() is not None)
    [locust] = [
        child
        for child in psutil.Process(run.pid).children()
        if any("locustfile" in part for part in child.cmdline())
    ]
    locust.children()[0].kill()
    _, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 3, err
    experiment = bench.summary()["experiments"][0]
    steps, search = experiment["steps"], experiment["search"]
    assert [step["concurrency"] for step in steps] == [4, 4, 6], "the probe is repeated"
    assert [probe["verdict"] for probe in search["probes"]] == ["void", "met", "met"]
    assert search["end"] == "all_met"
    assert "worker_lost" in [reason["code"] for reason in steps[0]["trust"]["reasons"]]
    assert steps[1]["mean_in_flight"] == pytest.approx(4, rel=0.1), "the other worker has all users"
