"""The other ways in: load from elsewhere, the OpenAI route. Same records and report."""

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from bench.ports import free_port
from common.formatting import milliseconds, number
from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, Bench, locust_counts, neighbouring_ports, requests_of
from tests.support.metrics_page import Series, series, value
from tests.support.polling import HANG_S, poll

if TYPE_CHECKING:
    from subprocess import Popen

pytestmark = pytest.mark.e2e


def shown_at_end(port: int, process: "Popen[str]") -> dict[str, Any]:
    """What the live page shows once the run has ended; empty before."""
    assert process.poll() is None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/live/state", timeout=5) as answer:
            content: dict[str, Any] = json.load(answer)
    except OSError:
        return {}
    return content if content["run"]["stage"] == "ended" else {}


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
        page = free_port()
        options = (
            "--workers",
            "2",
            "--port",
            port,
            "--page",
            str(page),
            "--results",
            bench.results,
            "--json",
        )
        master = bench.start("master", "--plan", bench.plan(plan), *options, environment=local.environment)
        shown = poll(lambda: shown_at_end(page, master))
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/metrics", timeout=5) as answer:
            scraped = series(answer.read().decode())
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{page}/live/close", b"")).close()
        out, err = master.communicate(timeout=HANG_S)
        outputs = [worker.communicate(timeout=HANG_S)[1] for worker in workers]
    assert master.returncode == 0, err
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert [step["step"] for load in shown["earlier"] for step in load["steps"]] == [
        "ml.g5.xlarge/en_50-100/c2"
    ]
    assert [step["step"] for step in shown["load"]["steps"]] == ["ml.g6.xlarge/en_50-100/c2"]
    assert [worker["worker"] for worker in shown["load"]["workers"]] == ["w0", "w1"]
    assert all("the run is over" in each and "served 2 loads" in each for each in outputs), outputs
    rows = requests_of(bench.latest())
    assert {(row.step, row.worker) for row in rows.itertuples()} == {
        (f"{kind}/en_50-100/c2", worker) for kind in kinds for worker in ("w0", "w1")
    }
    assert set(rows["outcome"]) == {"ok"}
    check_agreement(bench, shown, scraped, [json.loads(line) for line in out.splitlines()], err)


def check_agreement(
    bench: Bench, shown: dict[str, Any], scraped: Series, events: list[dict[str, Any]], terminal: str
) -> None:
    """Page, JSON lines, terminal and Prometheus show the report's figures."""
    page = {step["step"]: step for load in (*shown["earlier"], shown["load"]) for step in load["steps"]}
    told = {event["step"]: event for event in events if event["event"] == "step_ended"}
    for experiment in bench.summary()["experiments"]:
        (step,) = experiment["steps"]
        at = {"experiment": experiment["name"], "step": step["id"].removeprefix(f"{experiment['name']}/")}
        (line,) = (
            text for text in terminal.splitlines() if text.startswith(experiment["name"]) and " ok, " in text
        )
        answers = step["requests_ok"]
        figures: dict[str, tuple[float | None, str, dict[str, str], float, str]] = {
            "measured_ok": (answers, "llm_bench_step_answers", {}, 1, f"{answers} ok, 0 failed"),
            "requests_per_minute": (
                step["requests_per_minute"], "llm_bench_step_requests_per_second", {}, 60,
                f"{number(step['requests_per_minute'])} requests/min",
            ),
            "completion_tokens_per_s": (
                step["completion_tokens_per_s"], "llm_bench_step_output_tokens_per_second", {}, 1,
                f"{number(step['completion_tokens_per_s'])} tokens/s",
            ),
        }  # fmt: skip
        for name in ("ttft", "tpot", "e2e"):
            median = step[f"{name}_ms"]["p50"]
            labels = {"metric": name, "statistic": "p50"}
            words = f"{name.upper()} p50 {milliseconds(median)}"
            figures[f"{name}_p50_ms"] = (median, "llm_bench_step_latency_seconds", labels, 1000, words)
        for key, (reported, name, labels, factor, words) in figures.items():
            known = reported is not None  # on a slow machine, ten answers for a median may not be there
            assert page[step["id"]][key] == (pytest.approx(reported) if known else None), key
            assert told[step["id"]][key] == (pytest.approx(reported) if known else None), key
            scaled = None if reported is None else pytest.approx(reported / factor)
            assert value(scraped, name, **at, **labels) == scaled, key
            assert words in line, key
        rows = requests_of(bench.latest())
        own = rows[rows["step"] == step["id"]]
        for name, total in (
            ("gen_ai_client_inference_duration_seconds_count", len(own)),
            ("gen_ai_client_inference_duration_seconds_sum", own["e2e_ms"].sum() / 1000),
            ("gen_ai_client_inference_usage_output_tokens_total", own["completion_tokens"].sum()),
        ):
            assert value(scraped, name, experiment=experiment["name"]) == pytest.approx(total), name


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
