"""An endpoint of the user's own is benched as what it is, and left as it was."""

import json
from typing import Any

import boto3
import pandas as pd
import pytest

from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, Bench, requests_of

pytestmark = pytest.mark.e2e

PLAN = SIMULATED | {
    "model": {"name": "Mine", "source": "image", "image": "simulated-vllm:1"},
    "workload": {
        "mix": [
            {"payload": "en_50-100", "weight": 3, "slo": {"e2e_p50": "20s"}},
            {"payload": {"lengths": "D(200)/(4)", "name": "long"}},
        ],
        "parameters": {"max_tokens": 8},
    },
    "load": {"concurrency": [2], "rate": [8], "warm_up": "200ms", "measure": "2s"},
}

PRIVATE = {
    "name": "private",
    "model": {"source": "endpoint"},
    "endpoint": {"region": "us-east-1"},
    "workload": {"payload": "en_50-100", "max_tokens": 8},
    "load": {"concurrency": [2], "warm_up": "200ms", "measure": "2s"},
}  # fmt: skip

SHORT = """
from bench import cli, quick
quick._LOAD |= {"warm_up": "200ms", "measure": "2s"}
cli.main()
"""


def test_a_bring_your_own_endpoint_is_used_and_left_alone(bench: Bench) -> None:
    with LocalSageMaker(["--create-seconds", "0"]) as local:
        keys = {
            "aws_access_key_id": local.environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": local.environment["AWS_SECRET_ACCESS_KEY"],
        }
        client = boto3.client("sagemaker", region_name="us-east-1", endpoint_url=local.url, **keys)
        role = "arn:aws:iam::123456789012:role/local-sagemaker"
        image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/simulated-vllm:1"
        client.create_model(ModelName="mine", PrimaryContainer={"Image": image}, ExecutionRoleArn=role)
        variant = {
            "VariantName": "v",
            "ModelName": "mine",
            "InstanceType": "ml.g5.12xlarge",
            "InitialInstanceCount": 2,
        }
        client.create_endpoint_config(EndpointConfigName="mine", ProductionVariants=[variant])
        client.create_endpoint(EndpointName="mine", EndpointConfigName="mine")
        client.get_waiter("endpoint_in_service").wait(EndpointName="mine", WaiterConfig={"Delay": 1})

        plan = bench.plan(PLAN)
        done = bench.run(
            "run", "--plan", plan, "--endpoint", "mine", "--results", bench.results,
            environment=local.environment,
        )  # fmt: skip

        assert done.returncode == 0, done.stderr
        unreachable = {
            f"AWS_ENDPOINT_URL_{service}": "http://127.0.0.1:1"
            for service in ("STS", "SAGEMAKER", "PRICING", "CLOUDWATCH")
        }
        bench.program = ("-c", SHORT)
        quick = bench.run(
            "quick", "--endpoint", "mine", "--results", bench.folder / "quick", environment=local.environment
        )
        bench.program = Bench.program
        alone = bench.plan(PRIVATE)
        private = bench.run(
            "run", "--plan", alone, "--endpoint", "mine", "--results", bench.folder / "private",
            environment=local.environment | unreachable | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": local.url},
        )  # fmt: skip
        assert private.returncode == 0, private.stderr
        assert "warning: credentials: looking up the AWS credentials' account failed" in private.stderr
        assert "account and clock are not checked" in private.stderr
        assert "no cost is known" in private.stderr
        assert client.describe_endpoint(EndpointName="mine")["EndpointStatus"] == "InService"
        assert client.describe_model(ModelName="mine")["ModelName"] == "mine"
    rows = requests_of(bench.latest())
    assert set(rows["outcome"]) == {"ok"}
    check_mix(rows, bench.summary())
    entry = json.loads((bench.latest() / "manifest.json").read_text())["experiments"][0]
    assert entry["endpoint_name"] == "mine"
    assert (entry["instance_type"], entry["instance_count"]) == ("ml.g5.12xlarge", 2), "not the plan's word"
    assert entry["create_started_at"] is None
    assert entry["deleted_at"] is None
    assert not bench.ledger_files()
    assert quick.returncode == 0, quick.stderr
    assert quick.stdout.strip().startswith("mine works: it answered all ")
    assert "in OpenAI's chat format (schema: openai). It really streams: the " in quick.stdout
    assert "It runs on 2 × ml.g5.12xlarge, which costs $" in quick.stdout
    assert quick.stdout.strip().endswith("Next: make bench ENDPOINT=mine")
    checked = bench.folder / "quick" / "latest"
    assert len(requests_of(checked.resolve())) >= int(quick.stdout.split()[5])
    assert not (checked / "report.html").exists()
    unseen = json.loads((bench.folder / "private" / "latest" / "manifest.json").read_text())["experiments"][0]
    assert (unseen["model"], unseen["instance_type"]) == ("mine", "unknown")
    assert unseen["price"]["usd_per_hour"] is None
    sent = json.loads((bench.folder / "private" / "latest" / "locust_experiment.json").read_text())
    assert (sent["request_schema"], sent["parameters"]) == ("openai", {"max_tokens": 8})


def check_mix(rows: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Three requests of the one part to each of the other, in the rows, the report and the SLO."""
    for _, step in rows.groupby("step"):
        long = int((step["part"] == "long").sum())
        assert abs(len(step) - 4 * long) <= 4, "no part of a deck of four is ahead by more than a turn"
    assert (rows.loc[rows["part"] == "long", "asked_output_tokens"] == 4).all()
    (experiment,) = summary["experiments"]
    assert experiment["payload"] == "mix"
    for measured in experiment["steps"]:
        parts = {part["part"]: part for part in measured["parts"]}
        assert sum(part["ok"] for part in parts.values()) == measured["requests_ok"]
        assert parts["long"]["prompt_tokens_mean"] > parts["en_50-100"]["prompt_tokens_mean"]
    assert summary["run"]["slo"]["objectives"][0]["part"] == "en_50-100"


def test_a_run_with_nothing_but_void_steps_has_a_code_of_its_own(bench: Bench) -> None:
    plan = SIMULATED | {"load": {"concurrency": [1], "warm_up": "100ms", "measure": "50ms"}}
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert {step["trust"]["level"] for e in bench.summary()["experiments"] for step in e["steps"]} <= {"void"}
    assert done.returncode == 5, done.stderr
    assert "no step has figures to rely on" in done.stderr
