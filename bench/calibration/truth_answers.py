"""The bytes that the truth server reads and writes: TGI's form, an answer's number as its finish reason."""

import json

from emulator.eventstream import encode_payload_part

_TOKEN = {
    "token": {"id": 9, "text": " sea", "logprob": -0.25, "special": False},
    "generated_text": None,
    "details": None,
}


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _sse(content: object) -> bytes:
    return b"data:" + json.dumps(content).encode() + b"\n\n"


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"X-Amzn-SageMaker-Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
TOKEN_CHUNK = _chunk(encode_payload_part(_sse(_TOKEN)))


def last_chunk(number: int, tokens: int) -> bytes:
    """The last token of a streamed answer, and the end of the stream."""
    details = {"finish_reason": f"n{number}", "generated_tokens": tokens, "input_length": 32}
    content = {**_TOKEN, "generated_text": " sea", "details": details}
    return _chunk(encode_payload_part(_sse(content))) + b"0\r\n\r\n"


def whole_answer(number: int, tokens: int) -> bytes:
    """An answer that is not streamed, with its headers."""
    details = {"finish_reason": f"n{number}", "generated_tokens": tokens}
    body = json.dumps([{"generated_text": " sea" * tokens, "details": details}]).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def header(head: bytes, name: bytes) -> str:
    """The value of a header in the head of a request in lower case; empty without it."""
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.split(b"\r\n", 1)[0].strip().decode() if found else ""
