"""Messages between master and workers, sealed with the token of the run.

Whoever reaches the master's port can send it anything, and a worker connects to whatever address it is given.
So every message of ours carries a MAC under the run's token, which itself is never sent: a master hears only
workers that know the token, and a worker obeys only a master that does. The content is not secret on the way.
"""

import hashlib
import hmac
from typing import Any

import msgpack  # Locust's own wire format, and one of its requirements

MAX_BYTES = 16_000_000
"""A report of half a second at 10,000 requests per second is about 2 MB."""


class MessageError(Exception):
    """A message that is not taken; its text says why and holds nothing of its content."""


class MessageSeal:
    """Closes and opens messages under one token."""

    def __init__(self, token: str) -> None:
        self._key = token.encode()

    def wrap(self, kind: str, content: dict[str, Any]) -> dict[str, bytes]:
        """Pack ``content`` for the wire."""
        body: bytes = msgpack.packb(content)
        return {"body": body, "mac": self._mac(kind, body)}

    def unwrap(self, kind: str, message: object) -> Any:
        """Unpack what `wrap` has packed under the same token and kind.

        Raises:
            MessageError: it is too large, or was not closed so.
        """
        if not isinstance(message, dict):
            raise MessageError("no sealed message")
        body, mac = message.get("body"), message.get("mac")
        if not isinstance(body, bytes) or not isinstance(mac, bytes):
            raise MessageError("no sealed message")
        if len(body) > MAX_BYTES:
            raise MessageError("too large")
        if not hmac.compare_digest(mac, self._mac(kind, body)):
            raise MessageError("not sealed with the token of this run")
        try:
            return msgpack.unpackb(body, strict_map_key=False)
        except (ValueError, msgpack.exceptions.UnpackException):
            raise MessageError("not readable") from None

    def _mac(self, kind: str, body: bytes) -> bytes:
        return hmac.digest(self._key, kind.encode() + b"\0" + body, hashlib.sha256)
