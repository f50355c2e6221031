"""The whole line: deploy, sweep, report, delete, with a real model and with a simulated one."""

import json
from typing import Any

import pandas as pd
import pytest

from analysis import make_report
from common.formatting import duration
from tests.bench.harness import REAL, SIMULATED, Bench, locust_counts, requests_of

pytestmark = pytest.mark.e2e


def codes_of(steps: list[dict[str, Any]]) -> set[str]:
    return {reason["code"] for step in steps for reason in step["trust"]["reasons"]}


def test_a_real_model_is_benchmarked_without_an_account(bench: Bench) -> None:
    bench.program = ("-m", "bench")  # with its pictures
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

    assert bench.summary()["run"]["problems"] == []
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

    served = pd.read_csv(run / "cloudwatch.csv").groupby(["metric", "statistic"])["value"]
    assert served.sum()["Invocations", "Sum"] == len(rows), "the server counted what we did"
    slowest = rows["e2e_ms"].max() * 1000
    assert 0 < served.max()["ModelLatency", "p99"] <= 1.01 * slowest, "in microseconds"
    assert served.max()["CPUUtilization", "Maximum"] > 0
    assert "cloudwatch_count_differs" not in codes_of(steps)
    fewer = rows.iloc[: len(rows) * 3 // 4]
    fewer.to_csv(run / "requests.csv", index=False)
    again = make_report(run, out=bench.folder / "again").summary["experiments"][0]["steps"]
    assert "cloudwatch_count_differs" in codes_of(again)


def test_several_experiments_make_one_report(bench: Bench) -> None:
    plan = SIMULATED | {
        "endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g5.2xlarge"], "region": "us-east-1"},
        "workload": SIMULATED["workload"] | {"payload": ["en_50-100", "en_1-500"]},
        "load": {
            "concurrency": [2],
            "warm_up": {"until": "steady", "at_least": "200ms", "at_most": "1s"},
            "measure": {"until": "50%", "of": "e2e_p50", "at_least": "1s", "at_most": "1m"},
        },
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    lengths = [experiment["dwell"] for experiment in bench.summary()["experiments"]]
    assert [each["steps"][0]["end"] for each in lengths] == ["reached"] * 4, "each by its own figures"
    assert done.stderr.count("measured enough") == 4
    assert f"saved {duration(lengths[0]['saved_s'])} and $" in (bench.latest() / "report.md").read_text()
    names = [experiment["name"] for experiment in bench.summary()["experiments"]]
    assert names == [
        f"ml.g5.{size}/{payload}" for size in ("xlarge", "2xlarge") for payload in ("en_50-100", "en_1-500")
    ]
    assert set(requests_of(bench.latest())["step"]) == {f"{name}/c2" for name in names}
    assert bench.left_open() == []


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


def test_prompts_and_answers_have_the_lengths_that_the_plan_asks_for(bench: Bench) -> None:
    payload = {"lengths": "U(80,200)/(2,6)", "count": 30, "prefix": {"groups": 3, "share": 0.25}}
    plan = SIMULATED | {
        "workload": {"payload": payload},
        "load": {"concurrency": [2], "warm_up": "200ms", "measure": "2s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    run = bench.latest()
    rows = requests_of(run)
    assert (rows["prompt_tokens"] == rows["asked_prompt_tokens"]).all(), "as the server counted, to the token"
    assert (rows["completion_tokens"] == rows["asked_output_tokens"]).all()
    assert rows["asked_prompt_tokens"].between(80, 200).all()
    assert rows["payload_id"].nunique() > 10
    assert not list(run.glob("*payload.jsonl")), "the prompts can be made again, so they are not kept"

    (experiment,) = bench.summary()["experiments"]
    made = experiment["made_prompts"]
    assert (made["prompts"], made["prefix_groups"]) == (30, 3)
    assert made["prefix_share"] == pytest.approx(0.25, abs=0.01)
    assert made["exact_output"] == ["ignore_eos", "min_tokens"]
    assert made["scales"][0]["residual"] < 0.02
    assert [step["answers"]["prompt_lengths"]["mismatch"] for step in experiment["steps"]] == [0]
    assert "30 prompts of U(80,200)/(2,6)" in (run / "report.md").read_text()
    served = pd.read_csv(run / "cloudwatch.csv").groupby(["metric", "statistic"])["value"].sum()
    assert served["Invocations", "Sum"] == len(rows) + made["probes"]
    assert "cloudwatch_count_differs" not in codes_of(experiment["steps"])


def test_a_sticky_conversation_stays_on_one_instance_and_every_invocation_is_in_a_row(bench: Bench) -> None:
    log = bench.folder / "served.jsonl"
    variables = {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": True, "SIMULATED_LOG": str(log)}
    plan = SIMULATED | {
        "model": SIMULATED["model"] | {"env": variables},
        "endpoint": SIMULATED["endpoint"] | {"instance_count": 2},
        "workload": SIMULATED["workload"] | {"conversation": {"turns": 3}, "sticky": True},
        "load": {"concurrency": [4], "warm_up": "500ms", "measure": "3s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    run = bench.latest()
    rows = requests_of(run)
    served = pd.DataFrame(map(json.loads, log.read_text().splitlines()))
    sent = rows[rows["session_id"].notna()].merge(served, on="inference_id", suffixes=("", "_served"))
    assert len(sent) == len(served)
    assert (sent["session_id"] == sent["session_id_served"]).all()
    by_conversation = sent.groupby(["worker", "session"])
    assert (by_conversation[["session_id", "instance"]].nunique() == 1).all(axis=None)
    assert sent["instance"].nunique() == 2

    opened, closed = rows["session_open_ms"].notna(), rows["session_close_ms"].notna()
    assert opened.sum() == len(by_conversation)
    assert (rows["turn"][closed] == 3).all()
    counted = pd.read_csv(run / "cloudwatch.csv").groupby(["metric", "statistic"])["value"].sum()
    probes = json.loads((run / "manifest.json").read_text())["experiments"][0]["session_probes"]
    assert counted["Invocations", "Sum"] == len(sent) + opened.sum() + closed.sum() + probes
    assert locust_counts(run) == rows.groupby("step").size().to_dict()
    [step] = bench.summary()["experiments"][0]["steps"]
    assert step["conversations"]["sessions"]["share"] == 1.0
    assert not codes_of([step]) & {"cloudwatch_count_differs", "locust_csv_differs"}


def test_a_trace_is_replayed_with_its_lengths_sessions_and_shared_prefixes(bench: Bench) -> None:
    lines = ["time,prompt_tokens,output_tokens,session,prefix_group,prefix_tokens"]
    lines += [f"{n / 4},{150 + 10 * (n % 3)},3,,g{n % 2},100" for n in range(24)]
    lines += [f"{n + 0.6},{200 + 100 * n},4,talk,g1,100" for n in range(5)]
    trace = bench.folder / "trace.csv"
    trace.write_text("\n".join(lines))
    plan = SIMULATED | {
        "workload": {"payload": {"lengths": str(trace)}},
        "load": {"trace": {"file": str(trace)}, "warm_up": 0},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    run = bench.latest()
    rows = requests_of(run)
    assert len(rows) == 29
    turns = rows[rows["turn"].notna()].sort_values("turn")
    singles = rows[rows["turn"].isna()]
    assert (singles["prompt_tokens"] == singles["asked_prompt_tokens"]).all()
    assert turns["asked_prompt_tokens"].tolist() == [200, 300, 400, 500, 600]
    off = (turns["prompt_tokens"] / turns["asked_prompt_tokens"] - 1).abs()
    assert off.max() < 0.02, "an answer may have other tokens when it is read again"
    assert (rows["completion_tokens"] == rows["asked_output_tokens"]).all()

    (experiment,) = bench.summary()["experiments"]
    made = experiment["made_prompts"]
    assert (made["prompts"], made["replayed"], made["prefix_groups"]) == (29, True, 2)
    tokens = sum(rows["asked_prompt_tokens"])
    assert made["prefix_share"] == pytest.approx(100 * 27 / tokens, rel=0.01)
    assert bench.summary()["run"]["notices"] == []
    assert "2 groups of prompts that begin alike, as in the trace" in (run / "report.md").read_text()
    prompts = [json.loads(line)["prompt"] for line in (run / "samples.jsonl").read_text().splitlines()]
    assert len({prompt[:300] for prompt in prompts}) == 2
    assert len(set(prompts)) == len(prompts)
