"""Fleets: enough instances for a demand, what they cost, and a policy that AWS accepts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from analysis import make_report
from analysis.decide.autoscaling import autoscaling
from analysis.decide.fleet import Demand, fleet_of, fleets, read_demand
from analysis.decide.recommendation import Choice, choose
from analysis.report import measure_and_judge
from common.errors import UserError
from tests.support.synthetic_run import Deployed, write_run


@pytest.fixture(scope="module")
def choice(run_folder: Path) -> Choice:
    """A choice with a best step of 100 requests a minute per instance."""
    choice = choose(measure_and_judge(run_folder))[0]
    assert choice.best is not None
    throughput = replace(choice.best.step.throughput, per_minute=100.0)
    return replace(choice, best=replace(choice.best, step=replace(choice.best.step, throughput=throughput)))


def test_instances_carry_the_peak_with_headroom_and_a_spare(choice: Choice) -> None:
    assert choice.best is not None
    fleet = fleet_of(choice.best, Demand((400.0,) * 24))
    assert (fleet.instances, fleet.spare) == (5, 1)  # 400 × 1.25 = 500
    assert fleet.usd_per_month == pytest.approx(6 * 0.9 * 730)
    assert fleet.utilisation == pytest.approx(400 / 600)
    assert fleet.usd_per_request == pytest.approx(6 * 0.9 / (400 * 60))


def test_a_curve_is_cheaper_when_scaled_by_the_hour(choice: Choice, tmp_path: Path) -> None:
    assert choice.best is not None
    path = tmp_path / "day.csv"
    path.write_text("hour,rpm\n" + "".join(f"{h},{400 if h == 12 else 40}\n" for h in range(24)))
    demand = read_demand(str(path))
    assert demand.peak == 400
    fleet = fleet_of(choice.best, demand)
    assert fleet.instances == 5
    scaled = (5 + 23) / 24 + 1
    assert fleet.usd_per_month_scaled == pytest.approx(scaled * 0.9 * 730)


def test_the_cheapest_way_comes_first_and_every_instance_is_offered(choice: Choice) -> None:
    ways = fleets(choice, Demand((6000.0,) * 24))
    prices = [way.usd_per_month or 0 for way in ways]
    assert prices == sorted(prices)
    assert {way.candidate.experiment.instance_type for way in ways} == {"ml.g5.xlarge", "ml.g6.xlarge"}


@pytest.mark.parametrize("text", ["0", "-5", "nan", "many", "inf"])
def test_a_demand_that_is_no_rate_is_a_clear_error(text: str) -> None:
    with pytest.raises(UserError, match="requests per minute"):
        read_demand(text)


@pytest.mark.parametrize("content", ["0,5\n1,6\n", "0,x\n", "", "".join(f"{h},0\n" for h in range(24))])
def test_a_curve_without_24_hours_of_demand_is_a_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(content)
    with pytest.raises(UserError, match="hour"):
        read_demand(str(path))


def applied(policy: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both requests, after boto3 has taken them."""
    target, scaling = policy["register_scalable_target"], policy["put_scaling_policy"]
    client = boto3.client(
        "application-autoscaling", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    known = client.meta.service_model
    assert target["ScalableDimension"] in known.shape_for("ScalableDimension").enum
    tracking = scaling["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric in known.shape_for("MetricType").enum
    with Stubber(client) as stub:
        stub.add_response("register_scalable_target", {}, target)
        stub.add_response("put_scaling_policy", {"PolicyARN": "arn:aws:x"}, scaling)
        client.register_scalable_target(**target)
        client.put_scaling_policy(**scaling)
    return target, tracking


def test_the_scaling_policy_is_what_aws_takes(choice: Choice) -> None:
    assert choice.best is not None
    target, tracking = applied(autoscaling(choice.best, {}))
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert tracking["TargetValue"] == pytest.approx((choice.best.step.concurrency or 0) / 1.25)


def test_the_policy_scales_between_what_the_fleet_table_says(choice: Choice, tmp_path: Path) -> None:
    assert choice.best is not None
    path = tmp_path / "day.csv"
    path.write_text("".join(f"{h},{4000 if h == 12 else 400}\n" for h in range(24)))
    demand = read_demand(str(path))
    fleet = fleet_of(choice.best, demand)
    assert (fleet.least, fleet.instances, fleet.spare) == (5, 50, 1)
    target, _ = applied(autoscaling(choice.best, {}, demand))
    assert (target["MinCapacity"], target["MaxCapacity"]) == (6, 51)


def test_an_inference_component_scales_by_its_copies(choice: Choice) -> None:
    """Two copies on each of two instances: eight in flight are two per copy, and capacity counts copies."""
    assert choice.best is not None
    throughput = replace(choice.best.step.throughput, per_minute=200.0)
    step = replace(choice.best.step, concurrency=8, throughput=throughput)
    experiment = replace(choice.best.experiment, component="chat", instance_count=2)
    best = replace(choice.best, step=step, experiment=experiment)
    plan = {"endpoint": {"components": [{"name": "chat", "copies": 4}]}}
    target, tracking = applied(autoscaling(best, plan, Demand((400.0,) * 24)))
    assert target["ResourceId"] == "inference-component/chat"
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert tracking["TargetValue"] == pytest.approx(2 / 1.25)
    assert target["MaxCapacity"] == 2 * (5 + 1)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_the_component_of_the_manifest_reaches_the_policy(tmp_path: Path) -> None:
    manifest = write_run(tmp_path, (Deployed(measure_s=60, concurrency=(4,)),))
    manifest.experiments[0].component = "chat"
    manifest.save(tmp_path)
    make_report(tmp_path, demand="6000")
    policy = json.loads((tmp_path / "autoscaling.json").read_text())
    assert policy["register_scalable_target"]["ResourceId"] == "inference-component/chat"


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_several_payloads_have_a_policy_each(tmp_path: Path) -> None:
    short, long = (Deployed(payload=p, measure_s=60, concurrency=(4,)) for p in ("en_1-500", "en_500-1000"))
    write_run(tmp_path, (short, long))
    names = {path.name for path in make_report(tmp_path).files if path.name.startswith("autoscaling")}
    assert names == {"autoscaling_en_1-500.json", "autoscaling_en_500-1000.json"}
    for page in ("report.md", "report.html"):
        text = (tmp_path / page).read_text()
        assert all(name in text for name in names)
        assert "knee" not in text
