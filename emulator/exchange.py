"""One invocation between runtime and container: ask, read as it comes, and let go whatever happens."""

import contextlib
import http.client
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent

from emulator.hosting import ContainerProcess
from emulator.http import HttpRequest, Watcher, cut_connection
from emulator.invocations import Invocation

CHUNK = 65_536
FAILURES = (OSError, http.client.HTTPException)
"""What reading from a container can raise."""


def chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body of an answer, each piece as soon as it is there.

    Raises:
        OSError, http.client.HTTPException: it ended too early (which ``read1`` does not tell of an answer
            with a Content-Length).
    """
    left = answer.length
    while left is None or left > 0:
        chunk = answer.read1(CHUNK if left is None else min(CHUNK, left))
        if not chunk:
            break
        yield chunk
        left = None if left is None else left - len(chunk)
    if left:
        raise http.client.IncompleteRead(b"", left)


class ContainerBrokenError(Exception):
    """The container did not answer, or not to the end. ``timed_out``: because SageMaker waits no longer."""

    def __init__(self, *, timed_out: bool, refused: bool = False) -> None:
        super().__init__("the container did not answer to the end")
        self.timed_out = timed_out
        self.refused = refused


@dataclass
class Exchange:
    """The client's request on one side, the container on the other. Open until `close`."""

    request: HttpRequest
    container: ContainerProcess
    record: Invocation
    limit: float
    """Seconds that the container has for the whole answer."""
    first_byte_limit: float
    _upstream: http.client.HTTPConnection = field(init=False, repr=False)
    _answer: http.client.HTTPResponse | None = field(default=None, repr=False)
    _socket: socket.socket | None = field(default=None, repr=False)
    _helpers: list[Any] = field(default_factory=list, repr=False)
    _timed_out: bool = False
    _client_gone: bool = False

    def __post_init__(self) -> None:
        self._upstream = http.client.HTTPConnection("127.0.0.1", self.container.port)
        self.container.outstanding += 1
        watcher = Watcher(self.request.connection, self._on_client_gone)
        timer = gevent.spawn_later(self.limit, self._on_timeout)
        self._helpers += [watcher.stop, lambda: timer.kill(block=False)]

    def ask(self, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Send the client's body; the answer's status and headers.

        Raises:
            ContainerBrokenError: no answer (in time).
            ConnectionResetError: the client has left.
        """
        timer = gevent.spawn_later(self.first_byte_limit, self._on_timeout)
        self.record.mark_sent()
        try:
            self._upstream.connect()
            self._socket = self._upstream.sock
            if self._client_gone or self._timed_out:  # while it connected, when there was nothing to hang up
                self._hang_up()
            self._upstream.request("POST", "/invocations", self.request.body, dict(headers))
            self._answer = self._upstream.getresponse()
        except FAILURES as error:
            raise self._broken(error) from None
        finally:
            timer.kill(block=False)
        return self._answer

    def read_all(self) -> bytes:
        """The whole body.

        Raises:
            ContainerBrokenError, ConnectionResetError: as `ask`.
        """
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes: what is there leaves at once.

        Raises:
            ContainerBrokenError, ConnectionResetError: as `ask`.
        """
        if self._answer is None:
            raise RuntimeError("nothing was asked yet")
        try:
            for chunk in chunks(self._answer):
                self.record.mark_chunk()
                yield chunk
        except FAILURES as error:
            raise self._broken(error) from None
        self.record.mark_answered()

    def close(self) -> None:
        """Let go of the container; what it still has to say is lost. A second call does nothing."""
        if self._helpers:
            self.container.outstanding -= 1
        while self._helpers:
            self._helpers.pop()()
        self._upstream.close()

    def _broken(self, error: Exception) -> Exception:
        self.record.mark_answered()
        if self._client_gone:
            return cut_connection(self.request.connection)
        return ContainerBrokenError(
            timed_out=self._timed_out, refused=isinstance(error, ConnectionRefusedError)
        )

    def _on_timeout(self) -> None:
        self._timed_out = True
        self._hang_up()

    def _on_client_gone(self) -> None:
        self._client_gone = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Cut the connection to the container, which ends its work on this answer."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the container was faster
                self._socket.shutdown(socket.SHUT_RDWR)
