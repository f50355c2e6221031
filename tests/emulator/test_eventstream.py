"""Event stream frames, decoded by botocore."""

from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from emulator.eventstream import Splitter, encode_exception, encode_frame, encode_payload_part

chunks = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20)


def decode(data: bytes) -> list[tuple[dict[str, object], bytes]]:
    buffer: Any = EventStreamBuffer()  # its stubs are wrong about what it yields
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(payload=st.binary(max_size=5000), value=st.text(max_size=40))
def test_frames_are_what_botocore_reads(payload: bytes, value: str) -> None:
    assert decode(encode_frame({":x": value}, payload) + encode_payload_part(payload)) == [
        ({":x": value}, payload),
        (
            {
                ":event-type": "PayloadPart",
                ":content-type": "application/octet-stream",
                ":message-type": "event",
            },
            payload,
        ),
    ]


def test_an_exception_frame_names_its_type() -> None:
    [(headers, payload)] = decode(encode_exception("ModelStreamError", Message="m", ErrorCode="StreamBroken"))
    assert (headers[":message-type"], headers[":exception-type"]) == ("exception", "ModelStreamError")
    assert payload == b'{"Message": "m", "ErrorCode": "StreamBroken"}'


@given(chunks=chunks, coalesce=st.integers(1, 5), pieces=st.integers(1, 4))
def test_parts_lose_nothing_and_are_the_same_every_time(
    chunks: list[bytes], coalesce: int, pieces: int
) -> None:
    def parts() -> list[bytes]:
        splitter = Splitter(coalesce, pieces)
        return [part for chunk in chunks for part in splitter.split(chunk)] + splitter.flush()

    assert b"".join(parts()) == b"".join(chunks)
    assert parts() == parts()
    assert all(parts())


@given(chunks=chunks, pieces=st.integers(1, 4))
def test_nothing_is_held_back_unless_chunks_are_coalesced(chunks: list[bytes], pieces: int) -> None:
    splitter = Splitter(1, pieces)
    for chunk in chunks:
        assert b"".join(splitter.split(chunk)) == chunk


def test_parts_cut_through_lines() -> None:
    splitter = Splitter()
    lines = [f'data:{{"token":{i}}}\n\n'.encode() for i in range(50)]
    parts = [part for line in lines for part in splitter.split(line)]
    assert sum(not part.endswith(b"\n") for part in parts) > 25
