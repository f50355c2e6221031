"""Every request is one that the current API knows: by botocore's validation, and the rules it leaves out."""

import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.plan import Plan
from deploy.aws.cloudwatch import MetricSource, queries
from deploy.aws.secrets import HubToken
from deploy.spec import api_requests
from deploy.spec.endpoint_spec import Container, EndpointSpec, build_endpoint_spec
from tests.deploy.harness import IMAGE, plan

_SESSION = botocore.session.get_session()
ROLE = "arn:aws:iam::123456789012:role/service-role/Bench"


def assert_valid(service: str, operation: str, request: dict[str, Any]) -> None:
    shape = _SESSION.get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    _check(shape, request, operation)


def _check(shape: Any, value: Any, where: str) -> None:
    """Enums, patterns and upper bounds, which botocore leaves to the service."""
    if shape.type_name == "structure":
        for key, item in value.items():
            _check(shape.members[key], item, f"{where}.{key}")
    elif shape.type_name == "list":
        assert len(value) <= shape.metadata.get("max", 10_000), where
        for item in value:
            _check(shape.member, item, where)
    elif shape.type_name == "map":
        for key, item in value.items():
            _check(shape.key, key, where)
            _check(shape.value, item, where)
    elif shape.type_name == "string":
        assert not shape.enum or value in shape.enum, f"{where}: {value} is none of the API's"
        pattern = (shape.metadata.get("pattern") or "").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        assert not pattern or re.fullmatch(pattern, value), f"{where}: {value!r} against {pattern}"
        assert len(value) <= shape.metadata.get("max", 10_000), f"{where}: {value!r}"
    elif shape.type_name in ("integer", "float"):
        assert value <= shape.metadata.get("max", float("inf")), where


def spec_of(chosen: Plan, run_id: str = "run", owner: str = "user@host") -> EndpointSpec:
    container = Container(IMAGE, {"SM_VLLM_MODEL": "org/model"}, hub_token=HubToken())
    parts: dict[str | None, Container] = {None: container}
    parts |= {part.name: container for part in chosen.endpoint.components if part.model}
    return build_endpoint_spec(
        chosen,
        chosen.endpoint.instance_type[0],
        run_id,
        region="us-east-1",
        owner=owner,
        process="host:1:1700000000.00",
        now=1_700_000_000.0,
        role_arn=ROLE,
        containers=parts,
        scheduler_role_arn="arn:aws:iam::123456789012:role/Scheduler",
    )


def every_request(spec: EndpointSpec) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        *(("sagemaker", "CreateModel", api_requests.create_model(spec, m, "hf_token")) for m in spec.models),
        ("sagemaker", "CreateEndpointConfig", api_requests.create_endpoint_config(spec)),
        ("sagemaker", "CreateEndpoint", api_requests.create_endpoint(spec)),
        *(
            ("sagemaker", "CreateInferenceComponent", api_requests.create_component(spec, part))
            for part in spec.components
        ),
        *(("scheduler", "CreateSchedule", each) for each in api_requests.create_schedules(spec, "aws")),
    ]


NAMES = st.from_regex(r"[a-zA-Z0-9](?:[-_.]?[a-zA-Z0-9]){0,30}", fullmatch=True).filter(
    lambda n: len(n) <= 40
)
INSTANCES = st.sampled_from(("ml.g5.xlarge", "ml.g5.48xlarge", "ml.p4d.24xlarge", "ml.inf2.48xlarge"))
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=300)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    part, own = draw(NAMES), {"name": "Other", "source": "image", "image": IMAGE}
    endpoint: dict[str, Any] = {
        "instance_type": draw(INSTANCES),
        "instance_count": draw(st.integers(1, 4)),
        "tags": {"team": "ml"},
    }
    if draw(st.booleans()):
        first = {"name": part, "copies": 2, "accelerators": 1, "cpus": 2}
        endpoint["components"] = [first, {"name": f"{part[:30]}2", "model": own}]
    if draw(st.booleans()):
        endpoint |= {"inference_ami": "al2023-ami-sagemaker-inference-gpu-4-1", "volume_gb": 200}
    return plan(name=draw(NAMES), endpoint=endpoint)


@settings(max_examples=60, deadline=None)
@given(chosen=plans(), run_id=TEXT)
def test_every_request_is_known_to_the_api(chosen: Plan, run_id: str) -> None:
    for service, operation, request in every_request(spec_of(chosen, run_id)):
        assert_valid(service, operation, request)


def test_the_stubber_takes_them_too() -> None:
    spec = spec_of(plan(endpoint={"instance_type": "ml.g5.xlarge", "components": [{"name": "main"}]}))
    for service, operation, request in every_request(spec):
        client = _SESSION.create_client(
            service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        arn = "arn:aws:sagemaker:us-east-1:123456789012:model/name-of-it"
        answer = {"ScheduleArn" if service == "scheduler" else f"{operation.removeprefix('Create')}Arn": arn}
        with Stubber(client) as stub:
            stub.add_response(method, answer, request)
            getattr(client, method)(**request)
            stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "source", [MetricSource("endpoint"), MetricSource("endpoint", component="part")], ids=str
)
def test_the_metric_queries_are_known_to_the_api(source: MetricSource) -> None:
    request = {"MetricDataQueries": queries(source), "StartTime": 0, "EndTime": 60}
    assert_valid("cloudwatch", "GetMetricData", request)
    assert len({query["Id"] for query in queries(source)}) == len(queries(source)) <= 500


def test_names_are_unique_per_run_and_type() -> None:
    specs = [
        spec_of(plan(name="x" * 40, endpoint={"instance_type": kind}), run)
        for kind in ("ml.g5.xlarge", "ml.g5.2xlarge")
        for run in ("one", "two")
    ]
    assert len({spec.name for spec in specs}) == 4


def test_long_component_names_stay_apart() -> None:
    parts = [{"name": f"a-long-name-of-a-component-number-{n}"} for n in (1, 2)]
    spec = spec_of(plan(name="y" * 40, endpoint={"instance_type": "ml.g5.xlarge", "components": parts}))
    assert len({part.name for part in spec.components}) == 2


def test_components_are_deleted_by_schedules_of_their_own_before_their_endpoint() -> None:
    parts = [{"name": "one"}, {"name": "two"}]
    spec = spec_of(plan(endpoint={"instance_type": "ml.g5.xlarge", "components": parts}))
    made = api_requests.create_schedules(spec, "aws-cn")
    assert [schedule["Name"] for schedule in made] == [
        *(part.name for part in spec.components),
        spec.name,
    ]
    assert [schedule["Target"]["Arn"].rsplit(":", 1)[-1] for schedule in made] == [
        "deleteInferenceComponent",
        "deleteInferenceComponent",
        "deleteEndpoint",
    ]
    assert [json.loads(schedule["Target"]["Input"]) for schedule in made] == [
        {"InferenceComponentName": spec.components[0].name},
        {"InferenceComponentName": spec.components[1].name},
        {"EndpointName": spec.name},
    ]
    assert {schedule["Target"]["Arn"].split(":")[1] for schedule in made} == {"aws-cn"}
    times = [schedule["ScheduleExpression"] for schedule in made]
    # 1,700,000,000 is 2023-11-14 22:13:20; four hours later, the components ten minutes earlier.
    assert times == ["at(2023-11-15T02:03:20)"] * 2 + ["at(2023-11-15T02:13:20)"]
    assert all("run" in schedule["Description"] for schedule in made)


def test_a_refused_scheduled_deletion_is_retried_for_as_long_as_the_api_allows() -> None:
    [made] = api_requests.create_schedules(spec_of(plan()), "aws")
    shapes: Any = _SESSION.get_service_model("scheduler")  # stubs: every shape is without members
    limits = {
        name: shapes.shape_for("RetryPolicy").members[name].metadata["max"]
        for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")
    }
    assert made["Target"]["RetryPolicy"] == limits


def test_components_need_the_role_on_the_configuration_and_no_model_on_the_variant() -> None:
    spec = spec_of(plan(endpoint={"instance_type": "ml.g5.xlarge", "components": [{"name": "main"}]}))
    config = api_requests.create_endpoint_config(spec)
    assert config["ExecutionRoleArn"] == ROLE
    assert "ModelName" not in config["ProductionVariants"][0]


@pytest.mark.parametrize(
    ("uri", "eula", "expected"),
    [
        ("s3://bucket/model.tar.gz", False, {"ModelDataUrl": "s3://bucket/model.tar.gz"}),
        (
            "s3://bucket/weights/",
            False,
            {
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "s3://bucket/weights/",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                }
            },
        ),
        (
            "s3://bucket/model.tar.gz",
            True,
            {
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "s3://bucket/model.tar.gz",
                        "S3DataType": "S3Object",
                        "CompressionType": "Gzip",
                        "ModelAccessConfig": {"AcceptEula": True},
                    }
                }
            },
        ),
    ],
)
def test_model_data_in_each_form(uri: str, eula: bool, expected: dict[str, Any]) -> None:  # noqa: FBT001 - a table's column
    spec = build_endpoint_spec(
        plan(),
        "ml.g5.xlarge",
        "run",
        region="us-east-1",
        owner="user@host",
        process="host:1:0.00",
        now=0.0,
        role_arn=ROLE,
        containers={None: Container(IMAGE, {}, uri, accept_eula=eula)},
    )
    request = api_requests.create_model(spec, spec.models[0], None)
    assert_valid("sagemaker", "CreateModel", request)
    assert expected.items() <= request["PrimaryContainer"].items()


def test_images_of_cuda_13_get_the_host_with_its_driver() -> None:
    for image, ami in {
        "vllm:0.30.0-gpu-py312-cu130-ubuntu24.04-sagemaker": "al2023-ami-sagemaker-inference-gpu-4-1",
        "vllm:0.20.0-gpu-py312-cu129-ubuntu22.04-sagemaker": "al2-ami-sagemaker-inference-gpu-3-1",
        "huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04": None,
    }.items():
        spec = build_endpoint_spec(
            plan(),
            "ml.g5.xlarge",
            "run",
            region="us-east-1",
            owner="user@host",
            process="host:1:0.00",
            now=0.0,
            role_arn=ROLE,
            containers={None: Container(image)},
        )
        assert spec.inference_ami == ami
