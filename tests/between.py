"""What stands between this machine and AWS: forwards every call, and answers chosen ones in AWS's place."""

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def http_answer(
    body: bytes, status: str = "200 OK", content_type: str = "text/html", claimed: int = 0
) -> bytes:
    """An HTTP/1.1 answer that closes the connection; ``claimed`` is added to its length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) + claimed}\r\n\r\n".encode() + body


JSON = "application/x-amz-json-1.1"
HTML = b"<!doctype html><html><body>Please accept the terms of this network.</body></html>"
RESET = b""
"""Instead of an answer: the connection is reset."""
FOREIGN = {
    "html with 200": http_answer(HTML),
    "a list with 200": http_answer(b"[]", content_type=JSON),
    "a text with 200": http_answer(b'"ok"', content_type=JSON),
    "null with 200": http_answer(b"null", content_type=JSON),
    "nothing with 200": http_answer(b"", content_type=JSON),
    "an empty object with 200": http_answer(b"{}", content_type=JSON),
    "members of another type": http_answer(
        b'{"EndpointStatus": {}, "Endpoints": 1, "Tags": "x", "EndpointArn": [], "CreationTime": []}',
        content_type=JSON,
    ),
    "half an object": http_answer(b'{"EndpointArn": "arn:aws:sage', content_type=JSON),
    "bytes that are no text": http_answer(b"\xff\xfe\x00", content_type=JSON),
    "a body that is cut off": http_answer(b'{"EndpointArn"', claimed=500),
    "a redirect": http_answer(HTML, "302 Found\r\nLocation: http://127.0.0.1:9/login"),
    "html with 503": http_answer(HTML, "503 Service Unavailable"),
    "html with 403": http_answer(HTML, "403 Forbidden"),
    "html with 407": http_answer(HTML, "407 Proxy Authentication Required"),
    "html with 511": http_answer(HTML, "511 Network Authentication Required"),
    "a reset": RESET,
}  # fmt: skip


class Between(ThreadingHTTPServer):
    """A reverse proxy of ``target``; ``answers`` maps an operation, or ``*``, to raw bytes."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.answers: dict[str, bytes] = {}
        self.met: list[str] = []
        """Operations that were answered here."""
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def _operation(self, body: bytes) -> str:
        if target := self.headers.get("X-Amz-Target"):
            return target.rpartition(".")[2]
        if b"Action=" in body:
            return body.partition(b"Action=")[2].partition(b"&")[0].decode()
        return f"{self.command} {self.path.split('/')[1]}"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self._operation(body)
        answers = self.server.answers
        if (raw := answers.get(operation, answers.get("*"))) is not None:
            self.server.met.append(operation)
            self.close_connection = True
            if raw == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.wfile.write(raw)
            return
        link = http.client.HTTPConnection(self.server.target.hostname or "", self.server.target.port)
        link.request(self.command, self.path, body, dict(self.headers))
        answer = link.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        link.close()

    do_GET = do_DELETE = do_PUT = do_POST  # noqa: N815 - the library's names


@contextmanager
def between(target: str) -> Iterator[Between]:
    """Serve one for the length of the block."""
    with Between(target) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
