"""Answers that say no, in whole or in the middle of a stream: one row of the right class."""

import json
import struct
import zlib
from typing import get_args

import pytest
from hypothesis import given
from hypothesis.strategies import binary, dictionaries, integers, lists, none, text

from emulator.eventstream import encode_payload_part
from locustfiles.client.error_classes import RULES, Rule, classify_response, container_remedy
from runfolder.records import ErrorClass
from tests.locustfiles.support import END, STREAM_HEAD, chunk, failure, response, sends, stream

THROTTLED = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/coral/"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "error_class"),
    [
        (400, b'{"message":null}', THROTTLED, "throttled"),
        (400, b'{"message":"Endpoint e not found"}', {"x-amzn-ErrorType": "ValidationError"}, "validation"),
        (403, b'{"message":"expired"}', {"x-amzn-ErrorType": "ExpiredTokenException"}, "auth"),
        (403, b'{"message":"no"}', {}, "auth"),
        (429, b'{"Message":"not ready"}', {"x-amzn-ErrorType": "ModelNotReadyException"}, "not_ready"),
        (429, b"", {}, "throttled"),
        (500, b'{"Message":"oops"}', {"x-amzn-ErrorType": "InternalFailure"}, "service"),
        (503, b'{"Message":"later"}', {"x-amzn-ErrorType": "ServiceUnavailable"}, "service"),
        (530, b'{"Message":"x"}', {"x-amzn-ErrorType": "InternalDependencyException"}, "service"),
        (502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}, "protocol"),
        (200, b"<html>Please log in</html>", {"Content-Type": "text/html"}, "protocol"),
        (302, b"", {"Location": "http://127.0.0.1:1/"}, "protocol"),
    ],
)
def test_error_answers(status: int, body: bytes, headers: dict[str, str], error_class: str) -> None:
    streamed = status != 200
    assert failure(sends(response(status, body, headers)), streamed=streamed) == (error_class, status)


@pytest.mark.parametrize(
    ("original", "error_class"),
    [
        (0, "model_5xx"),
        (408, "model_timeout"),
        (504, "model_timeout"),
        (429, "model_4xx"),
        (500, "model_5xx"),
        (503, "model_5xx"),
    ],
)
def test_model_errors_by_the_containers_own_status(original: int, error_class: str) -> None:
    body = json.dumps({"Message": "…", "OriginalStatusCode": original, "OriginalMessage": "why"}).encode()
    headers = {"x-amzn-ErrorType": "ModelError"}
    assert failure(sends(response(424, body, headers))) == (error_class, 424)


NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
    "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)
NO_ANSWER = (
    'Received server error (0) from model with message "Amazon SageMaker could not get a response from the e '
    'endpoint. This can occur when CPU or memory utilization is high."'
)
TOO_LATE = (
    'Received server error (0) from primary with message "Your invocation timed out while waiting for a '
    'response from container primary."'
)


@pytest.mark.parametrize(
    ("name", "content", "error_class"),
    [
        ("ModelError", {"OriginalStatusCode": 0, "Message": NO_ANSWER}, "model_5xx"),
        ("ModelError", {"OriginalStatusCode": 0, "Message": TOO_LATE}, "model_timeout"),
        ("ModelError", {"OriginalStatusCode": 500, "Message": TOO_LATE}, "model_timeout"),
        ("ValidationError", {"Message": NO_CAPACITY}, "not_ready"),
        ("ValidationError", {"Message": "Endpoint e of account 1 not found."}, "validation"),
        ("ValidationException", {"Message": "1 validation error detected: Value at 'body'"}, "validation"),
        ("ModelNotReadyException", {"Message": "The model is not ready to serve."}, "not_ready"),
    ],
)
def test_the_message_decides_where_a_code_means_several_things(
    name: str, content: dict[str, object], error_class: str
) -> None:
    judged = classify_response(
        424, f"{name}:http://internal.amazon.com/coral/", "", json.dumps(content).encode()
    )
    assert judged.error_class == error_class
    assert str(content["Message"])[:60] in judged.detail


def test_a_container_without_a_status_did_not_answer_and_its_log_is_the_place_to_look() -> None:
    body = json.dumps({"OriginalStatusCode": 0, "Message": NO_ANSWER}).encode()
    detail = classify_response(424, "ModelError", "", body).detail
    assert detail.startswith("ModelError: the container did not answer: ")
    assert "CloudWatch log" in (container_remedy(detail) or "")


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_rule_is_shadowed_by_the_ones_before_it(rule: Rule) -> None:
    """Every rule has an answer that it is the first to match."""
    status = next(iter(rule.container_status or [0]))
    texts = {"not_ready": NO_CAPACITY, "model_timeout": TOO_LATE if rule.message else ""}
    for name in rule.names:
        content = {"Message": texts.get(rule.error_class, ""), "OriginalStatusCode": status}
        assert classify_response(400, name, "", json.dumps(content).encode()).error_class == rule.error_class


@given(
    name=text(), content=dictionaries(text(), none() | integers() | text() | lists(integers())), body=binary()
)
def test_whatever_is_answered_has_a_class(name: str, content: dict[str, object], body: bytes) -> None:
    for answer in (body, json.dumps(content).encode()):
        assert classify_response(424, name, "", answer).error_class in get_args(ErrorClass)


def exception_frame(name: str, payload: bytes) -> bytes:
    """Built by hand: header block, prelude with its checksum, payload, checksum."""
    headers = {":message-type": "exception", ":exception-type": name}
    block = b"".join(
        struct.pack(f">B{len(k)}sBH", len(k), k.encode(), 7, len(v)) + v.encode() for k, v in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))


@pytest.mark.parametrize(
    ("name", "code", "error_class"),
    [
        ("ModelStreamError", "StreamBroken", "in_stream"),
        ("ModelStreamError", "ModelInvocationTimeExceeded", "model_timeout"),
        ("InternalStreamFailure", "", "in_stream"),
    ],
)
def test_an_exception_inside_the_stream(name: str, code: str, error_class: str) -> None:
    payload = json.dumps({"Message": "broke", "ErrorCode": code}).encode()
    pieces = [*stream()[:2], chunk(exception_frame(name, payload)), END]
    assert failure(sends(*pieces)) == (error_class, 200)


@pytest.mark.parametrize(
    "line",
    [
        {"error": "CUDA out of memory", "code": 424},
        {"token": {"id": -1, "text": "oom"}, "details": {"finish_reason": "error"}},
        {"error": "overloaded", "error_type": "overloaded"},
        {"error": {"message": "bad", "type": "x"}},
        {"object": "error", "message": "bad", "code": 400},
    ],
)
def test_an_error_inside_a_200_answer(line: dict[str, object]) -> None:
    first = {"token": {"id": 1, "text": "a"}, "generated_text": None, "details": None}
    data = json.dumps(first).encode() + b"\n" + json.dumps(line).encode() + b"\n"
    assert failure(sends(STREAM_HEAD, chunk(encode_payload_part(data)), END)) == ("in_band", 200)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_empty_answer_is_a_failure(*, streamed: bool) -> None:
    pieces = [STREAM_HEAD, END] if streamed else [response(200, b"")]
    assert failure(sends(*pieces), streamed=streamed) == ("empty", 200)


@pytest.mark.parametrize("line", [{"token": "abc"}, {"choices": ["abc"]}, {"choices": {"a": 1}}])
def test_json_of_an_unexpected_shape_is_a_protocol_fault(line: dict[str, object]) -> None:
    data = json.dumps(line).encode() + b"\n"
    assert failure(sends(STREAM_HEAD, chunk(encode_payload_part(data)), END)) == ("protocol", 200)
