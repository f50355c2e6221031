"""Fleets: enough instances for a demand, what they cost, and a policy that AWS accepts."""

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from analysis.answer import Choice, choose
from analysis.fleet import Demand, autoscaling, fleet_of, fleets, read_demand
from analysis.report import load_result
from configs.errors import UserError


@pytest.fixture(scope="module")
def choice(run_folder: Path) -> Choice:
    return choose(load_result(run_folder))[0]


def test_instances_carry_the_peak_with_headroom_and_a_spare(choice: Choice):
    assert choice.best is not None
    choice.best.step.per_minute = 100.0
    fleet = fleet_of(choice.best, Demand((400.0,) * 24))
    assert (fleet.instances, fleet.spare) == (5, 1)  # 400 × 1.25 = 500
    assert fleet.usd_per_month == pytest.approx(6 * 0.9 * 730)
    assert fleet.utilisation == pytest.approx(400 / 600)
    assert fleet.usd_per_request == pytest.approx(6 * 0.9 / (400 * 60))


def test_a_curve_is_cheaper_when_scaled_by_the_hour(choice: Choice, tmp_path: Path):
    assert choice.best is not None
    choice.best.step.per_minute = 100.0
    path = tmp_path / "day.csv"
    path.write_text("hour,rpm\n" + "".join(f"{h},{400 if h == 12 else 40}\n" for h in range(24)))
    demand = read_demand(str(path))
    assert demand.peak == 400
    fleet = fleet_of(choice.best, demand)
    assert fleet.instances == 5
    scaled = (5 + 23) / 24 + 1
    assert fleet.usd_per_month_scaled == pytest.approx(scaled * 0.9 * 730)


def test_the_cheapest_way_comes_first_and_every_instance_is_offered(choice: Choice):
    ways = fleets(choice, Demand((6000.0,) * 24))
    prices = [way.usd_per_month or 0 for way in ways]
    assert prices == sorted(prices)
    assert {way.candidate.experiment.instance_type for way in ways} == {"ml.g5.xlarge", "ml.g6.xlarge"}


@pytest.mark.parametrize("text", ["0", "-5", "nan", "many", "inf"])
def test_a_demand_that_is_no_rate_is_a_clear_error(text: str):
    with pytest.raises(UserError, match="requests per minute"):
        read_demand(text)


@pytest.mark.parametrize("content", ["0,5\n1,6\n", "0,x\n", "", "".join(f"{h},0\n" for h in range(24))])
def test_a_curve_without_24_hours_of_demand_is_a_clear_error(tmp_path: Path, content: str):
    path = tmp_path / "day.csv"
    path.write_text(content)
    with pytest.raises(UserError, match="hour"):
        read_demand(str(path))


def test_the_scaling_policy_is_what_aws_takes(choice: Choice):
    assert choice.best is not None
    policy = autoscaling(choice.best)
    client = boto3.client(
        "application-autoscaling", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        stub.add_response("register_scalable_target", {}, policy["register_scalable_target"])
        stub.add_response("put_scaling_policy", {"PolicyARN": "arn:aws:x"}, policy["put_scaling_policy"])
        client.register_scalable_target(**policy["register_scalable_target"])
        client.put_scaling_policy(**policy["put_scaling_policy"])
    target = policy["put_scaling_policy"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    assert target < (choice.best.step.concurrency or 0)
