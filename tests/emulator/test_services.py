"""The AWS services beside SageMaker, through unmodified boto3."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from emulator import hosting
from emulator.account import EndpointResource, Region
from emulator.context import AccountState, Context
from emulator.invocations import Invocation
from emulator.services import metrics
from emulator.services.metrics import statistic
from emulator.utilisation import Utilisation
from tests.support.polling import poll

from .local_support import OPENAI, Local
from .test_runtime import chat_body, stream

SCHEDULER_ROLE = "arn:aws:iam::123456789012:role/local-scheduler"


def code(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**members)
    found: str = error.value.response["Error"]["Code"]
    return found


def test_sts_and_iam_know_the_account(local: Local) -> None:
    assert local.client("sts").get_caller_identity()["Account"] == "123456789012"
    iam = local.client("iam")
    role = iam.get_role(RoleName="local-sagemaker")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/local-sagemaker"
    policy = role["AssumeRolePolicyDocument"]
    assert policy["Statement"][0]["Principal"] == {"Service": ["sagemaker.amazonaws.com"]}
    assert code(iam.get_role, RoleName="nobody") == "NoSuchEntity"


def test_service_quotas_by_name_and_by_code(local: Local) -> None:
    local.post("/_local/quotas", {"ml.g6.2xlarge": 3})
    quotas = local.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    by_name = {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}
    found = by_name["ml.g6.2xlarge for endpoint usage"]
    assert (found["Value"], found["Adjustable"]) == (3.0, True)
    large = "ml.p5.48xlarge for endpoint usage"
    assert large not in by_name, "without an applied value it is not listed"
    pages = quotas.get_paginator("list_aws_default_service_quotas").paginate(ServiceCode="sagemaker")
    defaults = {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
    assert (defaults[large], defaults["ml.g6.2xlarge for endpoint usage"]) == (0, 4)
    again = quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=found["QuotaCode"])["Quota"]
    assert again["QuotaName"] == found["QuotaName"]
    assert (
        code(quotas.get_service_quota, ServiceCode="sagemaker", QuotaCode="L-0") == "NoSuchResourceException"
    )


def test_the_price_list_has_one_hosting_price(local: Local) -> None:
    def products(**filters: str) -> list[dict[str, Any]]:
        terms = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in filters.items()]
        pages = local.client("pricing").get_paginator("get_products")
        return [
            json.loads(product)
            for page in pages.paginate(ServiceCode="AmazonSageMaker", Filters=terms)
            for product in page["PriceList"]
        ]

    found = products(regionCode="us-east-1", instanceName="ml.g5.xlarge")
    assert len(found) > 1, "hosting must be picked among training and notebooks"
    [hosting] = [p for p in found if p["product"]["attributes"]["component"] == "Hosting"]
    assert hosting["product"]["attributes"]["usagetype"] == "USE1-Host:ml.g5.xlarge"
    [term] = hosting["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) == 1.4084
    assert products(instanceName="ml.none.xlarge") == []


def test_ecr_says_which_images_are_there(local: Local) -> None:
    ecr, gone = local.client("ecr"), "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/gone:1"
    local.images({gone: False})
    tags: Any = [{"imageTag": "1"}, {"imageTag": "2"}]
    answer = ecr.batch_get_image(repositoryName="team/gone", imageIds=tags)
    assert [image["imageId"]["imageTag"] for image in answer["images"]] == ["2"]
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("python:3.12", "Using non-ECR image"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine", "is invalid"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1", "not found"),
    ],
)
def test_a_model_is_refused_for_its_image_in_sagemakers_words(local: Local, image: str, said: str) -> None:
    local.images({"123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1": False})
    with pytest.raises(ClientError, match=said):
        local.create(image, {})


def test_secrets(local: Local) -> None:
    local.secrets({"hub-token": "planted"})
    secrets = local.client("secretsmanager")
    found = secrets.get_secret_value(SecretId="hub-token")
    assert found["SecretString"] == "planted"
    assert secrets.get_secret_value(SecretId=found["ARN"])["Name"] == "hub-token"
    assert code(secrets.get_secret_value, SecretId="none") == "ResourceNotFoundException"


def schedule(local: Local, name: str, at: datetime, noun: str = "Endpoint", **policy: int) -> None:
    local.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": f"arn:aws:scheduler:::aws-sdk:sagemaker:delete{noun}",
            "RoleArn": SCHEDULER_ROLE,
            "Input": json.dumps({f"{noun}Name": name}),
            "RetryPolicy": policy,
        },
    )


def test_a_schedule_deletes_its_endpoint_when_due_and_then_itself(local: Local) -> None:
    name = local.create(OPENAI, {})  # still Creating when the time comes: tried again, as Scheduler does
    schedule(local, name, soon())
    sagemaker, scheduler = local.client("sagemaker"), local.client("scheduler")
    poll(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])
    poll(lambda: not scheduler.list_schedules(NamePrefix=name)["Schedules"])


def soon() -> datetime:
    """In a second or two (a schedule knows whole ones only), and not in the past on a slow machine."""
    return datetime.now(UTC) + timedelta(seconds=2)


def test_a_schedule_deletes_a_component_and_lets_its_endpoint_s_go_through(local: Local) -> None:
    name, sagemaker = local.shared_endpoint(), local.client("sagemaker")
    schedule(local, name, soon())  # refused until the component is gone
    schedule(local, f"{name}-part", soon(), "InferenceComponent")
    poll(lambda: not sagemaker.list_inference_components(NameContains=name)["InferenceComponents"])
    poll(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])


def test_a_schedule_gives_up_by_its_retry_policy(local: Local) -> None:
    name, sagemaker = local.shared_endpoint(), local.client("sagemaker")
    schedule(local, name, soon(), MaximumRetryAttempts=0)
    poll(lambda: not local.client("scheduler").list_schedules(NamePrefix=name)["Schedules"])
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    sagemaker.delete_inference_component(InferenceComponentName=f"{name}-part")
    poll(lambda: not sagemaker.list_inference_components(NameContains=name)["InferenceComponents"])
    local.delete(name)


def test_a_schedule_in_the_past_is_refused(local: Local) -> None:
    scheduler = local.client("scheduler")
    with pytest.raises(scheduler.exceptions.ValidationException, match="past"):
        schedule(local, "late", datetime.now(UTC) - timedelta(seconds=2))


def test_a_schedule_is_described_listed_and_deleted(local: Local) -> None:
    scheduler = local.client("scheduler")
    schedule(local, "later", datetime.now(UTC) + timedelta(hours=4))
    with pytest.raises(scheduler.exceptions.ConflictException):
        schedule(local, "later", datetime.now(UTC) + timedelta(hours=4))
    assert scheduler.get_schedule(Name="later")["Target"]["RoleArn"] == SCHEDULER_ROLE
    assert [s["Name"] for s in scheduler.list_schedules(NamePrefix="lat")["Schedules"]] == ["later"]
    scheduler.delete_schedule(Name="later")
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="later")


def test_cloudwatch_counts_what_the_runtime_served(local: Local) -> None:
    endpoint = local.endpoint(OPENAI)
    runtime = local.client("sagemaker-runtime")
    start = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(3):
        runtime.invoke_endpoint(EndpointName=endpoint, Body=chat_body(2))
    list(stream(local, endpoint, chat_body(5, stream=True)))
    for status in (429, 500, 500):
        attributes = f"simulate=status:{status}"
        code(runtime.invoke_endpoint, EndpointName=endpoint, Body=b"{}", CustomAttributes=attributes)
    wanted = {
        "Invocations": ("Sum", 7.0),
        "Invocation4XXErrors": ("Sum", 1.0),
        "Invocation5XXErrors": ("Sum", 2.0),
        "InvocationModelErrors": ("Sum", 3.0),
        "FirstChunkLatency": ("SampleCount", 1.0),
        "ModelLatency": ("SampleCount", 7.0),
        "OverheadLatency": ("SampleCount", 7.0),
    }
    queries = [query(endpoint, metric, stat) for metric, (stat, _) in wanted.items()]

    def answers() -> dict[str, float]:
        end = datetime.now(UTC) + timedelta(seconds=1)
        results = local.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )["MetricDataResults"]
        return {result["Label"]: sum(result["Values"]) for result in results}

    assert answers() == {metric: value for metric, (_, value) in wanted.items()}
    local.delete(endpoint)


def query(endpoint: str, metric: str, stat: str) -> dict[str, Any]:
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    named = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": metric.lower(), "MetricStat": {"Metric": named, "Period": 60, "Stat": stat}}


def test_model_latency_is_in_microseconds_and_within_the_whole(local: Local, openai: str) -> None:
    start = datetime.now(UTC)
    local.client("sagemaker-runtime").invoke_endpoint(EndpointName=openai, Body=chat_body(100))
    elapsed = (datetime.now(UTC) - start).total_seconds()
    results = local.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query(openai, "ModelLatency", "Maximum")],
        StartTime=start,
        EndTime=datetime.now(UTC) + timedelta(seconds=1),
    )["MetricDataResults"]
    assert 0.1 <= max(results[0]["Values"]) / 1e6 <= elapsed  # 100 tokens of 1 ms each


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_statistics(values: list[float]) -> None:
    assert statistic("Sum", values) == sum(values)
    assert statistic("SampleCount", values) == len(values)
    assert statistic("p100", values) == statistic("Maximum", values) == max(values)
    assert statistic("p0", values) == statistic("Minimum", values) == min(values)
    assert min(values) <= statistic("p90", values) <= max(values)


def test_concurrency_is_sampled_every_ten_seconds() -> None:
    account = AccountState()
    region = account.region("us-east-1")
    t = time.time() // 60 * 60 - 3600
    for arrived, finished in ((t, t + 25), (t + 5, t + 10), (t + 11, None)):
        invocation = Invocation(arrived, "e", "AllTraffic", component="c", finished_at=finished)
        account.invocations.add(region.name, invocation)
    context = Context(account, region)
    # Seconds 0 and 10 have one each (the one that ends at 10 no longer counts), 20 two, 30 one.
    expected = [(t, 1.0), (t + 10, 1.0), (t + 20, 2.0), (t + 30, 1.0)]
    of_model, of_copy = "ConcurrentRequestsPerModel", "ConcurrentRequestsPerCopy"
    assert concurrency(context, of_model, "EndpointName", "VariantName", since=t) == expected
    assert concurrency(context, of_copy, "InferenceComponentName", since=t) == expected
    for metric, *names in (
        (of_model, "EndpointName"),
        (of_model, "InferenceComponentName"),
        (of_copy, "EndpointName", "VariantName"),
    ):
        assert concurrency(context, metric, *names, since=t) == [], "other dimensions are another metric"


def test_periods_under_a_minute_are_kept_for_three_hours() -> None:
    account = AccountState()
    region = account.region("us-east-1")
    t = time.time() // 60 * 60 - 4 * 3600
    account.invocations.add(region.name, Invocation(t, "e", "AllTraffic", finished_at=t + 25))
    context, dimensions = Context(account, region), ("EndpointName", "VariantName")
    assert concurrency(context, "ConcurrentRequestsPerModel", *dimensions, since=t) == []
    assert concurrency(context, "ConcurrentRequestsPerModel", *dimensions, since=t, period=60) == [(t, 1.0)]


def concurrency(
    context: Context, metric: str, *dimensions: str, since: float, period: int = 10
) -> list[tuple[float, float]]:
    """Times and values of a metric in the 31 s from ``since``."""
    values = {"EndpointName": "e", "VariantName": "AllTraffic", "InferenceComponentName": "c"}
    wanted = {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": values[name]} for name in dimensions],
    }
    members = {
        "MetricDataQueries": [
            {"Id": "m", "MetricStat": {"Metric": wanted, "Period": period, "Stat": "Maximum"}}
        ],
        "StartTime": datetime.fromtimestamp(since - 10, UTC),
        "EndTime": datetime.fromtimestamp(since + 31, UTC),
        "ScanBy": "TimestampAscending",
    }
    [result] = metrics.get_metric_data(context, members)["MetricDataResults"]
    times = [at.timestamp() for at in result["Timestamps"]]
    return list(zip(times, result["Values"], strict=True))


def test_cpu_and_memory_of_a_containers_process() -> None:
    class Mine:
        pid = os.getpid()

    region = Region("us-east-1")
    container = hosting.ContainerProcess(cast("Any", Mine()), 0, "")
    region.endpoints["e"] = EndpointResource("e", "arn", {}, containers={"v": [container]})
    utilisation = Utilisation()
    for _ in range(2):
        utilisation.sample({"us-east-1": region})
        worked = time.process_time() + 0.1  # the kernel books whole ticks of 10 ms
        while time.process_time() < worked:
            sum(range(10_000))
    wanted = {"EndpointName": "e", "VariantName": "v"}
    [(_, cpu)] = utilisation.samples("us-east-1", "CPUUtilization", wanted)
    [(_, memory)] = utilisation.samples("us-east-1", "MemoryUtilization", wanted)
    assert cpu > 0
    assert 0 < memory < 100
    assert utilisation.samples("us-east-1", "CPUUtilization", {"EndpointName": "other"}) == []


def test_jumpstart_models_are_described_as_the_hub_does(local: Local) -> None:
    sagemaker = local.client("sagemaker")
    content = {"HubName": "SageMakerPublicHub", "HubContentType": "Model"}
    found = sagemaker.describe_hub_content(**content, HubContentName="meta-textgeneration-llama-2-7b")
    document = json.loads(found["HubContentDocument"])
    assert "tgi1.1.0" in document["HostingEcrUri"]
    versions = sagemaker.list_hub_content_versions(**content, HubContentName="meta-textgeneration-llama-2-7b")
    assert found["HubContentVersion"] in [
        summary["HubContentVersion"] for summary in versions["HubContentSummaries"]
    ]
    assert code(sagemaker.describe_hub_content, **content, HubContentName="none") == "ResourceNotFound"
