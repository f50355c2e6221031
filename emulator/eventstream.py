"""``application/vnd.amazon.eventstream``: encode frames, and split a container's bytes into parts.

Frame: u32 total length, u32 length of the headers, u32 CRC32 of those eight bytes, headers, payload, u32
CRC32 of everything before. Header: u8 length of name, name, u8 type (7: string), u16 length, value. All
big-endian.
"""

import itertools
import json
import struct
import zlib
from collections.abc import Mapping

_STRING = 7


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with string headers."""
    return _frame(b"".join(_header(name, value) for name, value in headers.items()), payload)


def encode_payload_part(payload: bytes) -> bytes:
    """A ``PayloadPart`` event with bytes of the container."""
    return _frame(_PART_HEADERS, payload)


def encode_exception(kind: str, **members: str) -> bytes:
    """An exception inside a stream, after HTTP 200."""
    return encode_frame(
        {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps(members).encode(),
    )


def _frame(packed: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return (
        struct.pack(">B", len(raw_name)) + raw_name + struct.pack(">BH", _STRING, len(raw_value)) + raw_value
    )


_PART = {
    ":event-type": "PayloadPart",
    ":content-type": "application/octet-stream",
    ":message-type": "event",
}
_PART_HEADERS = b"".join(_header(name, value) for name, value in _PART.items())


class Splitter:
    """Splits a container's bytes into parts that do not end where its lines end, the same way every time.

    Args:
        coalesce: chunks of the container that are joined before they are sent; 1 delays nothing.
        pieces: parts into which each joined chunk is split (fewer if it is short); positions vary by chunk.
    """

    def __init__(self, coalesce: int = 1, pieces: int = 2) -> None:
        self._coalesce = max(1, coalesce)
        self._pieces = max(1, pieces)
        self._held: list[bytes] = []
        self._count = 0

    def split(self, chunk: bytes) -> list[bytes]:
        """Parts to send now, in order."""
        self._held.append(chunk)
        return self.flush() if len(self._held) >= self._coalesce else []

    def flush(self) -> list[bytes]:
        """Parts of the chunks that have not been sent yet."""
        data = b"".join(self._held)
        self._held.clear()
        self._count += 1
        inner = range(1, self._pieces)
        cuts = sorted({zlib.crc32(b"%d.%d" % (self._count, i)) % (len(data) + 1) for i in inner})
        borders = [0, *cuts, len(data)]
        return [data[a:b] for a, b in itertools.pairwise(borders) if b > a]
