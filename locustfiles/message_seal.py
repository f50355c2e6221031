"""Authenticate messages between master and workers with the token of the run.

Behind the encryption of Locust's sockets (`encrypted_sockets`), this is the second lock, which needs nothing
of ZeroMQ: every message carries a MAC under the run's token, which itself is never sent.
"""

import hashlib
import hmac
from typing import Any

import msgpack  # Locust's own wire format

MAX_BYTES = 16_000_000
"""A report of half a second at 10,000 requests per second is about 2 MB."""


class MessageError(Exception):
    """A message that is not accepted. The text gives the reason and nothing of the content."""


class MessageSeal:
    """Wraps and unwraps messages under one token."""

    def __init__(self, token: str) -> None:
        self._key = token.encode()

    def wrap(self, kind: str, content: dict[str, Any]) -> dict[str, bytes]:
        """Pack ``content`` for the wire."""
        body: bytes = msgpack.packb(content)
        return {"body": body, "mac": self._mac(kind, body)}

    def unwrap(self, kind: str, message: object, *, most_bytes: int = MAX_BYTES) -> Any:
        """Unpack what `wrap` packed under the same token and kind, if it is not larger than ``most_bytes``.

        Raises:
            MessageError: it is too large, not authentic, or not readable.
        """
        if not isinstance(message, dict):
            raise MessageError("not a sealed message")
        body, mac = message.get("body"), message.get("mac")
        if not isinstance(body, bytes) or not isinstance(mac, bytes):
            raise MessageError("not a sealed message")
        if len(body) > most_bytes:
            raise MessageError("too large")
        if not hmac.compare_digest(mac, self._mac(kind, body)):
            raise MessageError("not sealed with the token of this run")
        try:
            return msgpack.unpackb(body, strict_map_key=False)
        except (ValueError, TypeError, msgpack.exceptions.UnpackException):  # TypeError: a list as a key
            raise MessageError("not readable") from None

    def _mac(self, kind: str, body: bytes) -> bytes:
        return hmac.digest(self._key, kind.encode() + b"\0" + body, hashlib.sha256)
