"""Reading a container's answer to its end, or noticing that it never came."""

import contextlib
import http.client
import socket
import threading

import pytest

from emulator.exchange import Exchange, read_chunks
from emulator.hosting import ContainerProcess
from emulator.http import HttpRequest
from emulator.invocations import Invocation


def answer(raw: bytes) -> http.client.HTTPResponse:
    """What http.client makes of ``raw`` from a server that then closes."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n" + raw)
    response = http.client.HTTPResponse(ours, method="POST")
    response.begin()
    ours.close()
    return response


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Length: 6\r\n\r\nabcdef",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n",
        b"\r\nabcdef",
    ],
)
def test_a_whole_answer_is_read(raw: bytes) -> None:
    assert b"".join(read_chunks(answer(raw))) == b"abcdef"


def test_an_empty_body_is_a_whole_answer() -> None:
    assert list(read_chunks(answer(b"Content-Length: 0\r\n\r\n"))) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Length: 10\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    ],
)
def test_an_answer_that_ends_too_early_is_an_error(raw: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        list(read_chunks(answer(raw)))


def test_a_client_that_leaves_while_the_container_is_connected_is_noticed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_whatever_comes() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # it may be hung up before it is answered
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    container = ContainerProcess(None, listener.getsockname()[1], "image")  # type: ignore[arg-type]  # never stopped
    client, connection = socket.socketpair()
    request = HttpRequest("POST", "/", "", {}, b"{}", connection)
    exchange = Exchange(request, container, Invocation(0.0, "e", "v", None, streamed=False), 60.0, 60.0)
    thread = threading.Thread(target=answer_whatever_comes)
    thread.start()
    client.close()
    exchange._on_disconnect()
    with connection, pytest.raises(ConnectionResetError):
        exchange.send({})
    exchange.close()
    thread.join()
    listener.close()
    assert container.outstanding == 0
