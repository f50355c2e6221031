"""One invocation between runtime and container: send, read as bytes arrive, and always release."""

import contextlib
import http.client
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent

from emulator.hosting import ContainerProcess
from emulator.http import DisconnectWatcher, HttpRequest, cut_connection
from emulator.invocations import Invocation

CHUNK = 65_536
FAILURES = (OSError, http.client.HTTPException)
"""Exceptions of reading from a container."""


def read_chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body of a response; each chunk is yielded as soon as it arrives.

    Raises:
        OSError, http.client.HTTPException: it ended too early. ``read1`` does not report that for a response
            with a Content-Length.
    """
    left = response.length
    while left is None or left > 0:
        chunk = response.read1(CHUNK if left is None else min(CHUNK, left))
        if not chunk:
            break
        yield chunk
        left = None if left is None else left - len(chunk)
    if left:
        raise http.client.IncompleteRead(b"", left)


class ContainerBrokenError(Exception):
    """The container did not respond, or not completely.

    Args:
        timed_out: SageMaker's time limit passed.
        refused: the container does not accept connections.
    """

    def __init__(self, *, timed_out: bool, refused: bool = False) -> None:
        super().__init__("the container did not respond completely")
        self.timed_out = timed_out
        self.refused = refused


@dataclass
class Exchange:
    """Forwards a client's request to a container. Open until `close`."""

    request: HttpRequest
    container: ContainerProcess
    record: Invocation
    limit: float
    """Seconds that the container has for the whole response."""
    first_byte_limit: float
    _upstream: http.client.HTTPConnection = field(init=False, repr=False)
    _response: http.client.HTTPResponse | None = field(default=None, repr=False)
    _socket: socket.socket | None = field(default=None, repr=False)
    _releases: list[Any] = field(default_factory=list, repr=False)
    _timed_out: bool = False
    _disconnected: bool = False

    def __post_init__(self) -> None:
        self._upstream = http.client.HTTPConnection("127.0.0.1", self.container.port)
        self.container.outstanding += 1
        watcher = DisconnectWatcher(self.request.connection, self._on_disconnect)
        timer = gevent.spawn_later(self.limit, self._on_timeout)
        self._releases += [watcher.stop, lambda: timer.kill(block=False)]

    def send(self, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Send the client's body; give the response with its status and headers.

        Raises:
            ContainerBrokenError: no response, or not in time.
            ConnectionResetError: the client has disconnected.
        """
        timer = gevent.spawn_later(self.first_byte_limit, self._on_timeout)
        self.record.mark_sent()
        try:
            self._upstream.connect()
            self._socket = self._upstream.sock
            if self._disconnected or self._timed_out:  # while connecting, when there was no socket to cut
                self._cut_upstream()
            self._upstream.request("POST", "/invocations", self.request.body, dict(headers))
            self._response = self._upstream.getresponse()
        except FAILURES as error:
            raise self._broken(error) from None
        finally:
            timer.kill(block=False)
        return self._response

    def read_all(self) -> bytes:
        """The whole body.

        Raises:
            ContainerBrokenError, ConnectionResetError: as `send`.
        """
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body in chunks, as they arrive.

        Raises:
            ContainerBrokenError, ConnectionResetError: as `send`.
        """
        if self._response is None:
            raise RuntimeError("call send first")
        try:
            for chunk in read_chunks(self._response):
                self.record.mark_chunk()
                yield chunk
        except FAILURES as error:
            raise self._broken(error) from None
        self.record.mark_answered()

    def close(self) -> None:
        """Disconnect from the container and drop the rest of its response. A second call does nothing."""
        if self._releases:
            self.container.outstanding -= 1
        while self._releases:
            self._releases.pop()()
        self._upstream.close()

    def _broken(self, error: Exception) -> Exception:
        self.record.mark_answered()
        if self._disconnected:
            return cut_connection(self.request.connection)
        return ContainerBrokenError(
            timed_out=self._timed_out, refused=isinstance(error, ConnectionRefusedError)
        )

    def _on_timeout(self) -> None:
        self._timed_out = True
        self._cut_upstream()

    def _on_disconnect(self) -> None:
        self._disconnected = True
        self._cut_upstream()

    def _cut_upstream(self) -> None:
        """Cut the connection to the container, so that it stops generating."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the container has already closed it
                self._socket.shutdown(socket.SHUT_RDWR)
