"""Faults on demand: each does to boto3 what AWS would."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from tests.support.polling import poll

from .local_support import OPENAI, ROLE, Local
from .test_runtime import chat_body, drain, sse, stream

CONTROL = [
    ("throttle", "ThrottlingException", 400),
    ("5xx", "ServiceUnavailable", 503),
    ("access_denied", "AccessDeniedException", 400),
    ("resource_limit", "ResourceLimitExceeded", 400),
    ("name_taken", "ValidationException", 400),
    ("not_yet_visible", "ValidationException", 400),
    ("delete_refused", "ValidationException", 400),
]


@pytest.mark.parametrize(("fault", "code", "status"), CONTROL)
def test_faults_of_the_control_plane(local: Local, faults: Any, fault: str, code: str, status: int) -> None:
    faults({"call": "ListModels", "fault": fault})
    list_models = local.client("sagemaker").list_models
    with pytest.raises(ClientError) as error:
        list_models()
    response: Any = error.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert list_models()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_nth_call_fails_and_0_is_every_call(local: Local, faults: Any) -> None:
    def outcomes() -> list[bool]:
        result = []
        for _ in range(3):
            try:
                local.client("sagemaker").list_models()
                result.append(True)
            except ClientError:
                result.append(False)
        return result

    faults({"call": "ListModels", "fault": "throttle", "nth": 2})
    assert outcomes() == [True, False, True]
    faults({"call": "ListModels", "fault": "throttle", "nth": 0})
    assert outcomes() == [False, False, False]


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_loses_the_call_or_only_its_answer(
    local: Local, faults: Any, when: str, created: int
) -> None:
    faults({"call": "CreateModel", "fault": "drop_connection", "when": when})
    sagemaker, name = local.client("sagemaker"), local.name("dropped")
    with pytest.raises(ConnectionClosedError):
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": OPENAI})
    assert len(sagemaker.list_models(NameContains=name)["Models"]) == created


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("insufficient_capacity", "InsufficientInstanceCapacity"), ("failed", "ping health check")],
)
def test_an_endpoint_that_fails(local: Local, faults: Any, fault: str, sentence: str) -> None:
    faults({"call": "CreateEndpoint", "fault": fault})
    description = local.settled(local.create(OPENAI, {}))
    assert description["EndpointStatus"] == "Failed"
    assert sentence in description["FailureReason"]
    local.delete(description["EndpointName"])


def test_an_endpoint_that_is_stuck_stays_creating_until_it_is_released(local: Local, faults: Any) -> None:
    faults({"call": "CreateEndpoint", "fault": "stuck_creating"})
    name = local.create(OPENAI, {})
    sagemaker = local.client("sagemaker")
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.delete_endpoint(EndpointName=name)
    local.post("/_local/release", {"endpoint": name})
    assert local.settled(name)["EndpointStatus"] == "Failed"
    local.delete(name)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["InvokeEndpoint", "InvokeEndpointWithResponseStream"])
def test_a_dropped_invocation_leaves_nothing_under_way(
    local: Local, faults: Any, openai: str, when: str, operation: str
) -> None:
    faults({"call": operation, "fault": "drop_connection", "when": when})
    runtime = local.client("sagemaker-runtime")
    whole, streamed = runtime.invoke_endpoint, runtime.invoke_endpoint_with_response_stream
    call = whole if operation == "InvokeEndpoint" else streamed
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        call(EndpointName=openai, Body=chat_body(3, stream=call is streamed))
    poll(lambda: local.containers(openai)[0]["outstanding"] == 0)


def test_a_throttled_invocation_says_so_only_in_its_header(local: Local, faults: Any, openai: str) -> None:
    faults({"call": "InvokeEndpoint", "fault": "throttle"})
    with pytest.raises(ClientError) as error:
        local.client("sagemaker-runtime").invoke_endpoint(EndpointName=openai, Body=chat_body(1))
    response = error.value.response
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert not response["Error"]["Message"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("5xx", ("InternalFailure", 500)),
        ("unavailable", ("ServiceUnavailable", 503)),
        ("dependency", ("InternalDependencyException", 530)),
        ("model_not_ready", ("ModelNotReadyException", 429)),
        ("model_error", ("ModelError", 424)),
    ],
)
def test_faults_of_the_runtime(
    local: Local, faults: Any, openai: str, fault: str, sentence: tuple[str, int]
) -> None:
    faults({"call": "InvokeEndpoint", "fault": fault, "original_status": 503})
    with pytest.raises(ClientError) as error:
        local.client("sagemaker-runtime").invoke_endpoint(EndpointName=openai, Body=chat_body(1))
    response: Any = error.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == sentence
    if fault == "model_error":
        assert response["OriginalStatusCode"] == 503


@pytest.mark.parametrize(
    ("fault", "code"),
    [("stream_error", "ModelStreamError"), ("internal_stream_failure", "InternalStreamFailure")],
)
def test_exceptions_inside_the_stream(local: Local, faults: Any, openai: str, fault: str, code: str) -> None:
    faults({"call": "InvokeEndpointWithResponseStream", "fault": fault, "parts": 3})
    data, error = drain(stream(local, openai, chat_body(20, stream=True)))
    assert error["Code"] == code
    assert 3 <= len(sse(data)) <= 4  # the first chunk brings the role and the first token


def test_the_call_log_names_what_was_called_and_how_it_ended(local: Local, faults: Any) -> None:
    faults({"call": "DescribeModel", "fault": "access_denied"})
    with pytest.raises(ClientError):
        local.client("sagemaker").describe_model(ModelName="logged")
    last = local.state()["calls"][-1]
    assert (last["operation"], last["name"], last["status"], last["error"], last["fault"]) == (
        "DescribeModel",
        "logged",
        400,
        "AccessDeniedException",
        "access_denied",
    )
