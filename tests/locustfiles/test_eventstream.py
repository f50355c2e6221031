"""The event-stream decoder: any split, checksums, and botocore as a second reader."""

import itertools
import struct
import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from emulator.eventstream import encode_payload_part
from locustfiles.client.eventstream import EventStreamDecoder, EventStreamError

PAYLOADS = st.lists(st.binary(max_size=80), min_size=1, max_size=6)


@given(payloads=PAYLOADS, cuts=st.lists(st.integers(0, 1000), max_size=12))
def test_any_split_gives_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(encode_payload_part, payloads))
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    decoder = EventStreamDecoder()
    frames = []
    for start, end in itertools.pairwise(edges):
        frames += decoder.feed(data[start:end])
    assert [payload for _, payload in frames] == payloads
    assert decoder.pending == 0


@given(payloads=PAYLOADS)
def test_botocore_reads_the_same(payloads: list[bytes]) -> None:
    data = b"".join(map(encode_payload_part, payloads))
    theirs: Any = EventStreamBuffer()  # its stubs are wrong about what it yields
    theirs.add_data(data)
    expected = [(dict(event.headers), event.payload) for event in theirs]
    assert EventStreamDecoder().feed(data) == expected


@given(payload=st.binary(min_size=1, max_size=60), at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_damaged_byte_goes_unnoticed(payload: bytes, at: int, flip: int) -> None:
    data = bytearray(encode_payload_part(payload))
    data[at % len(data)] ^= flip
    decoder = EventStreamDecoder()
    with pytest.raises(EventStreamError):
        decoder.feed(bytes(data))


def test_a_frame_that_has_begun_is_pending() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(encode_payload_part(b"whole") + encode_payload_part(b"half")[:30])[0][1] == b"whole"
    assert decoder.pending == 30


def test_a_header_that_is_there_twice_is_refused() -> None:
    header = b"\x02:x\x07\x00\x01a"
    packed = header + header
    prelude = struct.pack(">II", 16 + len(packed), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed
    with pytest.raises(EventStreamError, match="header :x occurs twice"):
        EventStreamDecoder().feed(message + struct.pack(">I", zlib.crc32(message)))
