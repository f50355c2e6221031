"""A server that does exactly what a test scripts, on a real socket, and what is needed to invoke it."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gevent

from configs.load import Timeouts
from emulator.eventstream import encode_payload_part
from locustfiles.client.address import Proxy
from locustfiles.client.invocation import Invoker
from locustfiles.client.invocation_url import InvocationTarget
from locustfiles.client.request_bodies import Body
from locustfiles.client.response import InvocationResult
from locustfiles.client.transport import Connection
from runfolder.records import Request

Script = Callable[[socket.socket], None]
"""Answers one request, which has been read, on its connection."""

HANG_S = 20.0
BODY = Body("p1", 4, b'{"inputs":"hello"}', "0" * 64)


def tgi_events(words: Sequence[str]) -> list[bytes]:
    events = []
    for index, word in enumerate(words):
        last = index == len(words) - 1
        details = {"finish_reason": "length", "generated_tokens": len(words), "input_length": 4}
        event = {
            "token": {"id": index, "text": word, "special": False},
            "generated_text": "".join(words) if last else None,
            "details": details if last else None,
        }
        events.append(b"data:" + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")
    return events


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def stream(words: Sequence[str] = ("a", " b", " c")) -> list[bytes]:
    """A whole good answer, piece by piece: head, one chunk per token, end."""
    return [STREAM_HEAD, *(chunk(encode_payload_part(event)) for event in tgi_events(words)), END]


def response(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return head.encode() + b"\r\n" + body


def sends(*pieces: bytes, close: bool = False, reset: bool = False) -> Script:
    def script(sock: socket.socket) -> None:
        for piece in pieces:
            sock.sendall(piece)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        if close or reset:
            sock.close()

    return script


class ScriptedServer:
    """Serves connections in threads; request n gets script n, and the last one for ever."""

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, serve: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=serve, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        # Shut down first and close last: a thread still reading would read from whoever gets the number next.
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            while request := _read_request(sock):
                number = len(self.requests)
                self.requests.append(request)
                self._scripts[min(number, len(self._scripts) - 1)](sock)
        except OSError:
            pass


def _read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65_536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += sock.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(*scripts: Script, context: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    server = ScriptedServer(*scripts, context=context)
    try:
        yield server
    finally:
        server.close()


class ConnectProxy:
    """A proxy that opens tunnels on this machine, or answers ``refusal`` instead."""

    def __init__(self, refusal: bytes = b"") -> None:
        self._refusal = refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[str] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # As in `ScriptedServer.close`: the thread must not accept for the next listener with this number.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open(near)

    def _open(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = near.recv(4096)
            if not part:
                return
            head += part
        self.heads.append(head.decode())
        if self._refusal:
            near.sendall(self._refusal)
            near.close()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        far = socket.create_connection((host, int(port)))
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def target(
    port: int, *, host: str = "127.0.0.1", scheme: str = "http", event_stream: bool = True
) -> InvocationTarget:
    return InvocationTarget(
        scheme=scheme,
        host=host,
        port=port,
        path="/endpoints/e/invocations-response-stream",
        headers={"Content-Type": "application/json"},
        region="us-east-1",
        bearer=False,
        event_stream=event_stream,
    )


class Client:
    """One user's invoker, called from a test."""

    def __init__(
        self,
        where: InvocationTarget,
        *,
        timeouts: Timeouts | None = None,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        authorize: Any = lambda _hash, _now, _own: [("Authorization", "test")],
    ) -> None:
        self.lags: list[float] = []
        self.connection = Connection(where.address, context, proxy)
        # Longer than a busy machine may stop this process for; tests of the limits set their own.
        limits = timeouts or Timeouts(connect=10.0, first_byte=10.0, total=15.0)
        self._invoker = Invoker(where, authorize, self.connection, limits, self.lags.append)

    def invoke(self, body: Body = BODY, *, stream: bool = True) -> InvocationResult:
        return self._invoker.invoke(body, Request("r1", "s", "w0", "p1", 0.0), stream=stream)


def invoke(
    *scripts: Script, times: int = 1, streamed: bool = True, **options: object
) -> list[InvocationResult]:
    with serving(*scripts) as server, gevent.Timeout(HANG_S):
        client = Client(target(server.port, event_stream=streamed), **options)  # type: ignore[arg-type]
        return [client.invoke(stream=streamed) for _ in range(times)]


def failure(*scripts: Script, **options: object) -> tuple[str | None, int | None]:
    request = invoke(*scripts, **options)[0].request  # type: ignore[arg-type]
    assert request.outcome == "failed"
    assert request.e2e_ms is None
    assert request.elapsed_ms is not None
    assert 0 < request.elapsed_ms < 1000 * HANG_S
    assert request.error_detail
    print(request.error_detail)  # pytest shows it if the class is not the expected one
    return request.error_class, request.http_status
