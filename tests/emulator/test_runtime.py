"""Invocations as unmodified boto3 and a plain OpenAI client see them."""

import json
import os
import signal
import socket
from collections.abc import Generator, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError

from emulator import signing
from locustfiles.client.answer_parser import AnswerParser
from tests.support.polling import poll

from .local_support import OPENAI, TGI, Local
from .test_signing import bearer


def tgi_body(tokens: int, **more: Any) -> bytes:
    parameters = {"max_new_tokens": tokens, "ignore_eos": True, "details": True}
    return json.dumps({"inputs": "Why is the sea salty?", "parameters": parameters, **more}).encode()


def chat_body(tokens: int, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "Why is the sea salty?"}]
    return json.dumps({"messages": messages, "max_tokens": tokens, "ignore_eos": True, **more}).encode()


def stream(local: Local, endpoint: str, body: bytes, **more: Any) -> Generator[bytes]:
    runtime = local.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body, **more)
    try:
        for event in answer["Body"]:
            yield event["PayloadPart"]["Bytes"]
    finally:
        answer["Body"].close()


def sse(data: bytes, prefix: bytes = b"data:") -> list[Any]:
    lines = [line.removeprefix(prefix).strip() for line in data.split(b"\n") if line.strip()]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def drain(parts: Iterator[bytes]) -> tuple[bytes, Mapping[str, Any]]:
    """All bytes of a stream that must end in an exception, and the exception."""
    data = bytearray()
    try:
        for part in parts:
            data += part
    except EventStreamError as broken:
        return bytes(data), broken.response["Error"]
    raise AssertionError("the stream ended well")


def failure(local: Local, endpoint: str, body: bytes = b"{}", **more: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        local.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    return dict(error.value.response)


def test_tgi_whole_and_streamed_say_the_same(local: Local, tgi: str) -> None:
    whole = local.client("sagemaker-runtime").invoke_endpoint(EndpointName=tgi, Body=tgi_body(7))
    [answer] = json.loads(whole["Body"].read())
    assert whole["InvokedProductionVariant"] == "AllTraffic"
    assert answer["details"]["generated_tokens"] == 7
    events = sse(b"".join(stream(local, tgi, tgi_body(7, stream=True))))
    assert "".join(event["token"]["text"] for event in events) == answer["generated_text"]
    assert events[-1]["generated_text"] == answer["generated_text"]
    assert events[-1]["details"]["input_length"] == 6
    assert [event["generated_text"] for event in events[:-1]] == [None] * 6


def test_lmi_streams_json_lines(local: Local, lmi: str) -> None:
    events = sse(b"".join(stream(local, lmi, tgi_body(4, stream=True))), b"")
    assert len(events) == 4
    assert set(events[0]) == {"token"}
    assert events[-1]["generated_text"] == "".join(event["token"]["text"] for event in events)
    assert events[-1]["details"]["generated_tokens"] == 4


def test_openai_streams_sse_with_usage_when_asked(local: Local, openai: str) -> None:
    body = chat_body(5, stream=True, stream_options={"include_usage": True})
    data = b"".join(stream(local, openai, body))
    assert data.endswith(b"data: [DONE]\n\n")
    events = sse(data)
    texts = [c["delta"].get("content", "") for e in events for c in e["choices"]]
    assert sum(bool(text) for text in texts) == 5
    assert events[-1]["usage"] == {"prompt_tokens": 6, "completion_tokens": 5, "total_tokens": 11}
    assert not any(
        "usage" in event for event in sse(b"".join(stream(local, openai, chat_body(5, stream=True))))
    )


def test_running_usage_comes_with_every_event_when_asked_for(local: Local, openai: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    parser = AnswerParser(stream=True)
    events = []
    for at, part in enumerate(stream(local, openai, chat_body(5, stream=True, stream_options=options))):
        events.append(part)
        parser.feed(part, float(at))
    answer = parser.finish(99.0)
    assert answer.first_chunk_tokens == 1
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 5)
    counts = [event["usage"]["completion_tokens"] for event in sse(b"".join(events))]
    assert counts == [0, 1, 2, 3, 4, 5, 5, 5]  # role, tokens, finish reason, total

    without_total = chat_body(5, stream=True, stream_options={"continuous_usage_stats": True})
    assert not any("usage" in event for event in sse(b"".join(stream(local, openai, without_total))))


def test_parts_do_not_respect_lines(local: Local, tgi: str) -> None:
    parts = list(stream(local, tgi, tgi_body(30, stream=True)))
    assert any(not part.endswith(b"\n") for part in parts)
    assert len(sse(b"".join(parts))) == 30


def test_coalesced_parts_hold_several_tokens(local: Local, tgi: str, settings: Any) -> None:
    settings(coalesce=7, pieces=1)
    parts = list(stream(local, tgi, tgi_body(30, stream=True)))
    assert [part.count(b"data:") for part in parts] == [7, 7, 7, 7, 2]


def test_a_token_leaves_before_the_container_goes_on(local: Local, tgi: str) -> None:
    parts = stream(local, tgi, tgi_body(5, stream=True), CustomAttributes="simulate=stall:2")
    data = b""
    while data.count(b"\n\n") < 2:  # the container now sends nothing more, and yet these are here
        data += next(parts)
    assert len(sse(data)) == 2


def test_a_client_that_leaves_ends_the_work_of_the_container(local: Local, tmp_path: Any) -> None:
    log = tmp_path / "truth.jsonl"
    endpoint = local.endpoint(TGI, {"SIMULATED_LOG": str(log), "SIMULATED_DECODE_MS": "50"})
    for streamed in (True, False):
        log.unlink(missing_ok=True)
        connection = raw_invocation(local, endpoint, tgi_body(2000, stream=streamed), streamed=streamed)
        poll(lambda: local.load(endpoint)["running"] == 1)  # earlier there is no work to end
        connection.close()
        poll(lambda: local.containers(endpoint)[0]["outstanding"] == 0)
        row = json.loads(poll(lambda: log.exists() and log.read_text()))
        assert row["completion_tokens"] < 2000
    local.delete(endpoint)


def raw_invocation(local: Local, endpoint: str, body: bytes, *, streamed: bool) -> socket.socket:
    """Send a signed invocation and read nothing of the answer."""
    where = urlsplit(local.url)
    verb = "invocations-response-stream" if streamed else "invocations"
    environment = local.process.environment
    request = AWSRequest("POST", f"{local.url}/endpoints/{endpoint}/{verb}", data=body)
    request.headers["Host"] = where.netloc
    keys = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "sagemaker", "us-east-1").add_auth(request)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection = socket.create_connection((where.hostname, where.port), timeout=10)
    line = f"POST /endpoints/{endpoint}/{verb} HTTP/1.1\r\n"
    connection.sendall(f"{line}{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_endpoints_that_are_not_there_or_not_in_service(local: Local, faults: Any) -> None:
    answer = failure(local, "nobody")
    assert answer["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 123456789012 not found.",
    }
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    faults({"call": "CreateEndpoint", "fault": "stuck_creating"})
    name = local.create(OPENAI, {})
    assert failure(local, name)["Error"]["Code"] == "ValidationError"
    local.post("/_local/release", {"endpoint": name})
    local.delete(name)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_containers_error_is_a_model_error(local: Local, openai: str, status: int) -> None:
    answer = failure(local, openai, chat_body(1), CustomAttributes=f"simulate=status:{status}")
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == status
    assert f"simulated status {status}" in answer["OriginalMessage"]
    assert answer["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{openai}")
    side = "client" if status < 500 else "server"
    assert answer["Error"]["Message"].startswith(f"Received {side} error ({status}) from primary")


def test_a_model_that_takes_too_long_is_a_model_error_of_status_0(
    local: Local, openai: str, settings: Any
) -> None:
    settings(invocation_seconds=0.3)
    answer = failure(local, openai, chat_body(5), CustomAttributes="simulate=stall:1")
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 0)
    assert "timed out" in answer["Error"]["Message"]


def test_the_payload_limit(local: Local, openai: str, settings: Any) -> None:
    settings(payload_bytes=1000)
    assert failure(local, openai, b"x" * 1001)["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize(
    "case",
    [
        (480.0, "break:2", "closed the connection"),
        (2.0, "stall:2", "timed out"),
    ],
)
def test_a_stream_that_breaks_ends_in_an_exception_frame(
    local: Local, openai: str, settings: Any, case: tuple[float, str, str]
) -> None:
    seconds, directive, expected = case
    settings(stream_seconds=seconds)
    parts = stream(local, openai, chat_body(5, stream=True), CustomAttributes=f"simulate={directive}")
    data, error = drain(parts)
    assert error["Code"] == "ModelStreamError"
    assert expected in error["Message"]
    assert len(sse(data)) == 3  # the role and two tokens


def test_lmi_fails_inside_http_200(local: Local, lmi: str) -> None:
    data = b"".join(stream(local, lmi, tgi_body(5, stream=True), CustomAttributes="simulate=in_band:2"))
    events = sse(data, b"")
    assert [event["token"]["id"] for event in events][-1] == -1
    assert events[-1]["details"]["finish_reason"] == "error"


def openai_route(local: Local, path: str, token: str, body: bytes) -> tuple[int, str | None, bytes]:
    connection = local.connect()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    result = answer.status, answer.getheader("Content-Type"), answer.read()
    connection.close()
    return result


def local_bearer(local: Local) -> str:
    """A bearer token that the local SageMaker accepts."""
    environment = local.process.environment
    return bearer(secret=environment["AWS_SECRET_ACCESS_KEY"], key=environment["AWS_ACCESS_KEY_ID"])


def test_the_openai_route_answers_with_the_containers_own_bytes(local: Local, openai: str) -> None:
    path = f"/endpoints/{openai}/openai/v1/chat/completions"
    status, kind, data = openai_route(local, path, local_bearer(local), chat_body(3, stream=True))
    assert (status, kind) == (200, "text/event-stream")
    assert data.endswith(b"data: [DONE]\n\n")
    wrong = bearer(secret="wrong", key=local.process.environment["AWS_ACCESS_KEY_ID"])
    status, _, data = openai_route(local, path, wrong, chat_body(3))
    assert (status, b"signature" in data) == (403, True)


def test_several_instances_share_the_load(local: Local) -> None:
    endpoint = local.endpoint(TGI, {"SIMULATED_DECODE_MS": "20"}, InitialInstanceCount=2)
    connections = [
        raw_invocation(local, endpoint, tgi_body(2000, stream=True), streamed=True) for _ in range(4)
    ]
    poll(lambda: [c["outstanding"] for c in local.containers(endpoint)] == [2, 2])
    for connection in connections:
        connection.close()
    local.delete(endpoint)


def test_a_dead_container_is_service_unavailable(local: Local) -> None:
    endpoint = local.endpoint(OPENAI)
    os.kill(local.containers(endpoint)[0]["pid"], signal.SIGKILL)
    answer = poll(lambda: unavailable(local, endpoint))
    assert answer is not None
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    local.delete(endpoint)


def unavailable(local: Local, endpoint: str) -> dict[str, Any] | None:
    answer = failure(local, endpoint, chat_body(1))
    return answer if answer["Error"]["Code"] == "ServiceUnavailable" else None


def test_bearer_tokens_have_sagemakers_prefix() -> None:
    assert bearer().startswith(signing.BEARER_PREFIX)
