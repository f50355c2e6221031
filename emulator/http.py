"""The HTTP server: requests and responses as values, bodies whole or streamed, on gevent's pywsgi.

Import only in a process whose first act was ``gevent.monkey.patch_all()``.
"""

import contextlib
import errno
import json
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import gevent
from gevent import monkey, pywsgi

MAX_BODY = 64 * 1024 * 1024
_PENDING_SECONDS = 0.1
_HANGUP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
_poll = monkey.get_original("select", "poll")  # the patched one would wait


@dataclass(frozen=True)
class HttpRequest:
    """One request as received; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    connection: socket.socket = field(repr=False)


class Stream(Protocol):
    """A body in chunks. The server calls ``close`` at the end, also after an error."""

    def __iter__(self) -> Iterator[bytes]:
        """The chunks."""
        ...

    def close(self) -> None:
        """Release the stream's resources."""


@dataclass
class HttpResponse:
    """Status, headers and the body, whole or as a stream."""

    status: int
    headers: dict[str, str]
    body: bytes | Stream = b""


App = Callable[[HttpRequest], HttpResponse]


def json_response(status: int, content: object) -> HttpResponse:
    """A response with a JSON body."""
    return HttpResponse(status, {"Content-Type": "application/json"}, json.dumps(content).encode())


def cut_connection(connection: socket.socket) -> ConnectionResetError:
    """Cut the client's connection; raise the returned error to leave the handler."""
    with contextlib.suppress(OSError):  # the client has already closed it
        connection.shutdown(socket.SHUT_RDWR)
    return ConnectionResetError(errno.ECONNRESET, "cut on purpose")


class DisconnectWatcher:
    """Calls ``on_disconnect`` when the client closes its connection during a response."""

    def __init__(self, connection: socket.socket, on_disconnect: Callable[[], None]) -> None:
        self._connection = connection
        self._on_disconnect = on_disconnect
        self._greenlet = gevent.spawn(self._watch)

    def _watch(self) -> None:
        while not self._gone():
            gevent.sleep(_PENDING_SECONDS)  # readable but not closed: unread bytes are pending
        self._on_disconnect()

    def _gone(self) -> bool:
        """Wait until the socket is readable; whether it was closed. It never reads: the bytes may be TLS."""
        try:
            descriptor = self._connection.fileno()
            gevent.socket.wait_read(descriptor)
            poller = _poll()
            poller.register(descriptor, _HANGUP)
            return bool(poller.poll(0))
        except (OSError, ValueError):
            return True

    def stop(self) -> None:
        """Stop watching; the connection may serve further requests."""
        self._greenlet.kill(block=False)


class _Handler(pywsgi.WSGIHandler):  # type: ignore[misc]  # gevent ships no types
    # SSL_ERROR_EOF: the client left without TLS's closing alert.
    ignored_socket_errors = (*pywsgi.WSGIHandler.ignored_socket_errors, ssl.SSL_ERROR_EOF)

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock, *args, **kwargs)

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        environ["local.handler"] = self
        environ["local.headers"] = headers
        return environ


def _wsgi(app: App) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler = environ["local.handler"]
        if int(environ.get("CONTENT_LENGTH") or 0) > MAX_BODY:
            start_response("413 Content Too Large", [("Connection", "close")])
            return [b""]
        path, _, query = handler.path.partition("?")
        request = HttpRequest(
            handler.command,
            path,
            query,
            environ["local.headers"],
            environ["wsgi.input"].read(MAX_BODY),
            handler.socket,
        )
        response = app(request)
        start_response(f"{response.status} {_reason_phrase(response.status)}", list(response.headers.items()))
        return [response.body] if isinstance(response.body, bytes) else response.body

    return call


def _reason_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def make_server(
    app: App, host: str, port: int, *, log: object = None, tls: tuple[Path, Path] | None = None
) -> pywsgi.WSGIServer:
    """A server bound to ``host:port`` (0: any free port) that does not serve yet.

    Args:
        app: handles the requests.
        host: address to bind.
        port: port to bind.
        log: a file for the access log; None for no log.
        tls: paths of a certificate and its key, for HTTPS.

    Raises:
        OSError: the port is in use, or this process may not bind it.
    """
    options = {"certfile": str(tls[0]), "keyfile": str(tls[1])} if tls else {}
    server = pywsgi.WSGIServer(
        (host, port), _wsgi(app), handler_class=_Handler, log=log, backlog=4096, **options
    )
    server.init_socket()
    return server
