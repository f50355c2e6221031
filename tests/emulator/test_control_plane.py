"""The control plane as unmodified boto3 sees it: states, names, messages, pages, tags, quotas, components."""

import os
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.polling import poll

from .local_support import OPENAI, ROLE, TGI, Local
from .test_runtime import chat_body, local_bearer, openai_route

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


def refused(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**members)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_an_endpoint_is_created_described_and_deleted(local: Local, settings: Any) -> None:
    settings(delete_seconds=1.5)
    sagemaker = local.client("sagemaker")
    name = local.create(OPENAI, {})
    first = sagemaker.describe_endpoint(EndpointName=name)
    assert first["EndpointStatus"] == "Creating"
    description = local.settled(name)
    assert description["EndpointStatus"] == "InService"
    [variant] = description["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["VariantName"]) == (1, "AllTraffic")
    assert sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"] == OPENAI
    [container] = local.containers(name)
    sagemaker.delete_endpoint(EndpointName=name)
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Deleting"
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)
    poll(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])
    assert not os.path.exists(f"/proc/{container['pid']}")  # noqa: PTH110 - procfs
    arns = {
        "endpoint": (sagemaker.describe_endpoint, {"EndpointName": name}),
        "endpoint configuration": (sagemaker.describe_endpoint_config, {"EndpointConfigName": name}),
        "model": (sagemaker.describe_model, {"ModelName": name}),
    }
    for noun, (call, members) in arns.items():
        code, message = refused(call, **members)
        assert code == "ValidationException"
        assert message.startswith(f'Could not find {noun} "{ARN}')


def test_the_waiters_of_boto3_work(local: Local) -> None:
    sagemaker, name = local.client("sagemaker"), local.create(OPENAI, {})
    quick = {"Delay": 1, "MaxAttempts": 20}
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=quick)
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=quick)


def test_a_container_that_never_answers_its_ping_fails_the_endpoint(local: Local) -> None:
    description = local.settled(local.create(OPENAI, {"SIMULATED_PROFILE": "no-such-profile"}))
    assert description["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in description["FailureReason"]
    assert local.containers(description["EndpointName"]) == []
    local.delete(description["EndpointName"])


def test_a_container_that_is_slower_than_its_time_out_fails_the_endpoint(local: Local, settings: Any) -> None:
    settings(startup_limit=1.0)
    description = local.settled(local.create(OPENAI, {"SIMULATED_BOOT_SECONDS": "600"}))
    assert description["EndpointStatus"] == "Failed"
    local.delete(description["EndpointName"])


def test_what_exists_cannot_be_created_again(local: Local, openai: str) -> None:
    sagemaker = local.client("sagemaker")
    variant = {"VariantName": "a", "ModelName": openai, "InstanceType": "ml.g5.xlarge"}
    for call, members, noun in (
        (
            sagemaker.create_model,
            {"ModelName": openai, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": TGI}},
            "model",
        ),
        (
            sagemaker.create_endpoint_config,
            {
                "EndpointConfigName": openai,
                "ProductionVariants": [{**variant, "InitialInstanceCount": 1}],
            },
            "endpoint configuration",
        ),
        (sagemaker.create_endpoint, {"EndpointName": openai, "EndpointConfigName": openai}, "endpoint"),
    ):
        code, message = refused(call, **members)
        assert code == "ValidationException"
        assert message.startswith(f'Cannot create already existing {noun} "{ARN}')


def test_what_is_missing_is_named_at_creation(local: Local) -> None:
    sagemaker = local.client("sagemaker")
    code, message = refused(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="none")
    assert (code, message) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}endpoint-config/none".',
    )
    variant = {
        "VariantName": "a",
        "ModelName": "none",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    _, message = refused(
        sagemaker.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant]
    )
    assert message == f'Could not find model "{ARN}model/none".'
    _, message = refused(
        sagemaker.create_model,
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/nobody",
        PrimaryContainer={"Image": TGI},
    )
    assert message.startswith("Could not assume role arn:aws:iam::123456789012:role/nobody.")


def test_an_endpoint_cannot_be_deleted_while_creating(local: Local, faults: Any) -> None:
    faults({"call": "CreateEndpoint", "fault": "stuck_creating"})
    name = local.create(OPENAI, {})
    code, message = refused(local.client("sagemaker").delete_endpoint, EndpointName=name)
    assert (code, message) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ARN}endpoint/{name}".',
    )
    local.post("/_local/release", {"endpoint": name})
    local.delete(name)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"EndpointConfigName": "no--", "ProductionVariants": []}, "regular expression pattern"),
        ({"EndpointConfigName": "x" * 64, "ProductionVariants": []}, "length less than or equal to 63"),
        (
            {
                "EndpointConfigName": "a",
                "ProductionVariants": [
                    {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.g9.huge"},
                ],
            },
            "at 'productionVariants.1.member.instanceType' failed to satisfy constraint: Member must",
        ),
        (
            {
                "EndpointConfigName": "a",
                "ProductionVariants": [
                    {
                        "VariantName": "a",
                        "InstanceType": "ml.g5.xlarge",
                        "ContainerStartupHealthCheckTimeoutInSeconds": 10,
                    },
                ],
            },
            "greater than or equal to 60",
        ),
    ],
)
def test_members_are_held_against_the_service_model(
    local: Local, members: dict[str, Any], sentence: str
) -> None:
    client = local.client("sagemaker", config=Config(parameter_validation=False))
    code, message = refused(client.create_endpoint_config, **members)
    assert code == "ValidationException"
    assert sentence in message


def test_lists_come_in_pages_filtered_and_sorted(local: Local) -> None:
    sagemaker = local.client("sagemaker")
    names = [f"page-{letter}" for letter in "cab"]
    for name in names:
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": TGI}, Tags=[]
        )
    first = sagemaker.list_models(NameContains="page-", MaxResults=2, SortBy="Name", SortOrder="Ascending")
    assert [m["ModelName"] for m in first["Models"]] == ["page-a", "page-b"]
    rest = sagemaker.list_models(
        NameContains="page-", MaxResults=2, SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )
    assert [m["ModelName"] for m in rest["Models"]] == ["page-c"]
    assert "NextToken" not in rest
    newest = sagemaker.list_models(NameContains="page-", SortBy="CreationTime", SortOrder="Descending")
    assert [m["ModelName"] for m in newest["Models"]] == names[::-1]
    assert sagemaker.list_models(CreationTimeBefore=1, NameContains="page-")["Models"] == []
    for name in names:
        sagemaker.delete_model(ModelName=name)


def test_configs_and_endpoints_are_listed_too(local: Local, openai: str) -> None:
    sagemaker = local.client("sagemaker")
    configs = sagemaker.list_endpoint_configs(NameContains=openai)["EndpointConfigs"]
    assert openai in [config["EndpointConfigName"] for config in configs]
    [endpoint] = [
        e
        for e in sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
        if e["EndpointName"] == openai
    ]
    assert endpoint["EndpointArn"] == f"{ARN}endpoint/{openai}"
    assert sagemaker.list_endpoints(StatusEquals="RollingBack")["Endpoints"] == []
    assert refused(sagemaker.list_endpoints, NextToken="!")[0] == "ValidationException"


def test_tags_stay_with_their_resource_and_go_with_it(local: Local) -> None:
    sagemaker = local.client("sagemaker")
    arn = sagemaker.create_model(
        ModelName="tagged",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": TGI},
        Tags=[{"Key": "run", "Value": "1"}],
    )["ModelArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "owner", "Value": "a"}, {"Key": "run", "Value": "2"}])
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"run": "2", "owner": "a"}
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["owner"])
    assert [tag["Key"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]] == ["run"]
    sagemaker.delete_model(ModelName="tagged")
    assert refused(sagemaker.list_tags, ResourceArn=arn)[0] == "ResourceNotFound"


def test_the_quota_is_enforced_as_service_quotas_tells_it(local: Local) -> None:
    local.post("/_local/quotas", {"ml.g6.xlarge": 1})
    sagemaker = local.client("sagemaker")
    first = local.endpoint(OPENAI, InstanceType="ml.g6.xlarge")
    sagemaker.create_endpoint_config(
        EndpointConfigName="second",
        ProductionVariants=[
            {
                "VariantName": "a",
                "ModelName": first,
                "InstanceType": "ml.g6.xlarge",
                "InitialInstanceCount": 1,
            }
        ],
    )
    code, message = refused(sagemaker.create_endpoint, EndpointName="second", EndpointConfigName="second")
    assert code == "ResourceLimitExceeded"
    assert "'ml.g6.xlarge for endpoint usage' is 1 Instances, with current utilization of 1" in message
    local.delete(first)


def test_regions_do_not_see_each_other(local: Local, openai: str) -> None:
    elsewhere = local.client("sagemaker", region_name="eu-west-1")
    assert refused(elsewhere.describe_endpoint, EndpointName=openai)[0] == "ValidationException"


def test_inference_components_share_an_endpoint(local: Local) -> None:
    sagemaker = local.client("sagemaker")
    shared, component = local.name("shared"), local.name("component")
    sagemaker.create_model(ModelName=shared, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": OPENAI})
    sagemaker.create_endpoint_config(
        EndpointConfigName=shared,
        ExecutionRoleArn=ROLE,
        ProductionVariants=[
            {"VariantName": "v", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1},
        ],
    )
    sagemaker.create_endpoint(EndpointName=shared, EndpointConfigName=shared)
    local.settled(shared)
    sagemaker.create_inference_component(
        InferenceComponentName=component,
        EndpointName=shared,
        VariantName="v",
        Specification={"ModelName": shared, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}},
        RuntimeConfig={"CopyCount": 2},
    )

    def described() -> dict[str, Any]:
        answer: dict[str, Any] = sagemaker.describe_inference_component(InferenceComponentName=component)
        return answer

    poll(lambda: described()["InferenceComponentStatus"] == "InService")
    assert described()["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    runtime = local.client("sagemaker-runtime")
    body = b'{"prompt": "hello", "max_tokens": 1}'
    answer = runtime.invoke_endpoint(EndpointName=shared, InferenceComponentName=component, Body=body)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(runtime.invoke_endpoint, EndpointName=shared, Body=body)[0] == "ValidationError"
    path = f"/endpoints/{shared}/inference-components/{component}/openai/v1/chat/completions"
    assert openai_route(local, path, local_bearer(local), chat_body(2))[0] == 200
    assert refused(sagemaker.delete_endpoint, EndpointName=shared)[0] == "ValidationException"
    listed = sagemaker.list_inference_components(EndpointNameEquals=shared)["InferenceComponents"]
    assert [c["InferenceComponentName"] for c in listed] == [component]
    sagemaker.delete_inference_component(InferenceComponentName=component)
    poll(lambda: not sagemaker.list_inference_components(EndpointNameEquals=shared)["InferenceComponents"])
    local.delete(shared)
