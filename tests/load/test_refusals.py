"""Answers that say no, in whole or in the middle of a stream: one row of the right class."""

import json
import struct
import zlib

import pytest

from bench.calibration.truth import event_frame
from tests.load.support import END, STREAM_HEAD, chunk, failure, response, sends, stream

THROTTLED = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/coral/"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "error_class"),
    [
        (400, b'{"message":null}', THROTTLED, "throttled"),
        (400, b'{"message":"Endpoint e not found"}', {"x-amzn-ErrorType": "ValidationError"}, "validation"),
        (403, b'{"message":"expired"}', {"x-amzn-ErrorType": "ExpiredTokenException"}, "auth"),
        (403, b'{"message":"no"}', {}, "auth"),
        (429, b'{"Message":"not ready"}', {"x-amzn-ErrorType": "ModelNotReadyException"}, "throttled"),
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
    [(0, "model_timeout"), (429, "model_4xx"), (500, "model_5xx"), (503, "model_5xx")],
)
def test_model_errors_by_the_containers_own_status(original: int, error_class: str) -> None:
    body = json.dumps({"Message": "…", "OriginalStatusCode": original, "OriginalMessage": "why"}).encode()
    headers = {"x-amzn-ErrorType": "ModelError"}
    assert failure(sends(response(424, body, headers))) == (error_class, 424)


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
    assert failure(sends(STREAM_HEAD, chunk(event_frame(data)), END)) == ("in_band", 200)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_empty_answer_is_a_failure(*, streamed: bool) -> None:
    pieces = [STREAM_HEAD, END] if streamed else [response(200, b"")]
    assert failure(sends(*pieces), streamed=streamed) == ("empty", 200)


@pytest.mark.parametrize("line", [{"token": "abc"}, {"choices": ["abc"]}, {"choices": {"a": 1}}])
def test_json_of_an_unexpected_shape_is_a_protocol_fault(line: dict[str, object]) -> None:
    data = json.dumps(line).encode() + b"\n"
    assert failure(sends(STREAM_HEAD, chunk(event_frame(data)), END)) == ("protocol", 200)
