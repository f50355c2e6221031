"""Incremental decoder of ``application/vnd.amazon.eventstream``.

Frame: u32 total length, u32 headers length, u32 CRC32 of those 8 bytes, headers, payload, u32 CRC32 of
everything before. https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
import zlib

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_MAX_FRAME = 24 * 1024 * 1024
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # header value type → bytes
_BYTES = 6


class EventStreamError(Exception):
    """The bytes are not an event stream: a checksum or a length is wrong."""


Frame = tuple[dict[str, str], bytes]
"""One message: its string headers (``:message-type``, ``:event-type``, …) and its payload."""


class EventStreamDecoder:
    """Decodes bytes, split anywhere, into complete frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._headers: dict[bytes, dict[str, str]] = {}

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._rest)

    def feed(self, data: bytes | bytearray) -> list[Frame]:
        """Add bytes and return the frames that they complete.

        Raises:
            EventStreamError: a checksum does not match, or a length is impossible.
        """
        buffer = self._rest + data if self._rest else bytes(data)
        frames = []
        start, available = 0, len(buffer)
        while available - start >= _PRELUDE.size:
            total, headers_length, prelude_crc = _PRELUDE.unpack_from(buffer, start)
            crc = zlib.crc32(buffer[start : start + 8])
            if crc != prelude_crc:
                raise EventStreamError("the prelude's checksum does not match")
            if not 16 + headers_length <= total <= _MAX_FRAME:
                raise EventStreamError(f"impossible lengths: frame {total}, headers {headers_length}")
            end = start + total
            if end > available:
                break
            if zlib.crc32(buffer[start + 8 : end - 4], crc) != _CRC.unpack_from(buffer, end - 4)[0]:
                raise EventStreamError("the message's checksum does not match")
            payload_start = start + 12 + headers_length
            headers = self._decode_headers(buffer[start + 12 : payload_start])
            frames.append((headers, buffer[payload_start : end - 4]))
            start = end
        self._rest = buffer[start:]
        return frames

    def _decode_headers(self, raw: bytes) -> dict[str, str]:
        # Parts of one answer repeat the same headers: decode them once.
        headers = self._headers.get(raw)
        if headers is None:
            try:
                headers = self._headers[raw] = _decode_headers(raw)
            except (IndexError, struct.error, UnicodeDecodeError) as error:
                raise EventStreamError(f"headers cannot be read: {error}") from None
        return headers


def _decode_headers(raw: bytes) -> dict[str, str]:
    headers = {}
    names = set()
    position = 0
    while position < len(raw):
        name_end = position + 1 + raw[position]
        name = raw[position + 1 : name_end].decode()
        if name in names:
            raise EventStreamError(f"header {name} occurs twice")
        names.add(name)
        kind = raw[name_end]
        position = name_end + 1
        if kind in (_STRING, _BYTES):
            (length,) = struct.unpack_from(">H", raw, position)
            position += 2
            value = raw[position : position + length]
            if len(value) != length:
                raise IndexError("a value is cut off")
            if kind == _STRING:
                headers[name] = value.decode()
            position += length
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        else:
            raise EventStreamError(f"header {name} has unknown type {kind}")
    return headers
