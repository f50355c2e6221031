"""The whole line: deploy, sweep, report, delete, with a real model and with a simulated one."""

import json
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.line.harness import REAL, SIMULATED, Bench, eventually

pytestmark = pytest.mark.e2e


def requests_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "requests.csv")


def locust_counts(folder: Path) -> dict[str, int]:
    """Locust's own count per step; its token entries have another type."""
    stats = pd.read_csv(folder / "locust_stats.csv")
    ours = stats[stats["Type"].isin(["POST"])]
    return dict(zip(ours["Name"], ours["Request Count"], strict=True))


def test_a_real_model_is_benchmarked_without_an_account(bench: Bench) -> None:
    done = bench.run("run", "--plan", bench.plan(REAL), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    run = bench.latest()

    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "complete"
    assert manifest["experiments"][0]["deleted_at"] > manifest["experiments"][0]["load_ended_at"]
    assert bench.left_open() == []

    rows = requests_of(run)
    assert set(rows["outcome"]) == {"ok"}
    assert set(rows["completion_tokens_source"]) == {"server"}
    assert set(rows["prompt_tokens_source"]) == {"server"}
    assert rows["completion_tokens"].between(1, 16).all()
    assert (rows["ttft_ms"] <= rows["e2e_ms"]).all()
    assert locust_counts(run) == rows.groupby("step").size().to_dict()

    steps = bench.summary()["experiments"][0]["steps"]
    assert [step["concurrency"] for step in steps] == [1, 2]
    for step in steps:
        assert step["requests_ok"] > 0
        assert step["requests_failed"] == 0
        assert step["e2e_ms"]["p50"] >= step["ttft_ms"]["p50"] > 0
        assert step["completion_tokens_per_s"] > 0
        assert step["usd_per_request"] == pytest.approx(1.0 / 60 / step["requests_per_minute"], rel=1e-6)

    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert samples
    assert all(len(str(sample["answer"]).split()) >= 3 for sample in samples)
    for name in ("report.md", "report.html", "business_summary.png", "tokens_vs_latency.png"):
        assert (run / name).stat().st_size > 1000
    assert "assumed" in (run / "report.md").read_text()


def test_several_experiments_make_one_report(bench: Bench) -> None:
    plan = SIMULATED | {
        "endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g5.2xlarge"], "region": "us-east-1"},
        "workload": SIMULATED["workload"] | {"payload": ["en_50-100", "en_1-500"]},
        "load": {"concurrency": [2], "warm_up": "200ms", "measure": "2s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    names = [experiment["name"] for experiment in bench.summary()["experiments"]]
    assert names == [
        f"ml.g5.{size}/{payload}" for size in ("xlarge", "2xlarge") for payload in ("en_50-100", "en_1-500")
    ]
    assert set(requests_of(bench.latest())["step"]) == {f"{name}/c2" for name in names}
    assert bench.left_open() == []


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


def phase_is(bench: Bench, *phases: str) -> bool:
    try:
        status = json.loads(next(bench.results.glob("*-*/status.json")).read_text())
    except (StopIteration, FileNotFoundError, json.JSONDecodeError):
        return False
    return status.get("phase") in phases


MOMENTS = {
    "while the local SageMaker starts": lambda bench: any(
        "deploy.local" in line for line in bench.processes()
    ),
    "while creating": lambda bench: any(bench.ledger.glob("*.jsonl")),
    "in warm-up": lambda bench: phase_is(bench, "ramp", "warm_up"),
    "while measuring": lambda bench: phase_is(bench, "measure"),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_leaves_no_process_no_endpoint_and_a_report(
    bench: Bench, moment: str, sent: signal.Signals
) -> None:
    plan: dict[str, Any] = SIMULATED | {"load": {"concurrency": [2, 4], "warm_up": "1s", "measure": "20s"}}
    process = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert eventually(lambda: MOMENTS[moment](bench) or process.poll() is not None, 60)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0, err
    assert bench.left_open() == []
    assert eventually(lambda: bench.processes() == [], 15), bench.processes()
    assert "Traceback" not in err
    assert process.returncode == 128 + sent
    if moment == "while the local SageMaker starts":
        return
    manifest = json.loads((bench.latest() / "manifest.json").read_text())
    assert manifest["state"] == "interrupted"
    assert "interrupted" in (bench.latest() / "report.md").read_text().lower()
    if moment == "while measuring":
        assert len(requests_of(bench.latest())) > 0


def test_a_rehearsal_says_so_everywhere(bench: Bench) -> None:
    plan = SIMULATED | {"model": {"name": "M", "source": "huggingface", "id": "org/m", "image": "vllm"}}
    done = bench.run("rehearse", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    run = bench.latest()
    for name in ("report.md", "report.html"):
        assert "ehearsal" in (run / name).read_text()
    assert json.loads((run / "manifest.json").read_text())["rehearsal"] is True
    assert bench.left_open() == []


def test_a_bring_your_own_endpoint_is_never_deleted_by_name_of_the_plan(bench: Bench) -> None:
    done = bench.run("rehearse", "--endpoint", "mine", "--results", bench.results)
    assert done.returncode == 2
    assert "cannot be rehearsed" in done.stderr
