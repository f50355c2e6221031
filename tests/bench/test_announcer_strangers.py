"""What a stranger can do to the port on which a master announces its run: nothing that matters."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.distributed.handshake import AnnouncedState, Hello
from bench.distributed.run_announcer import RunAnnouncer, _StateHandler
from bench.distributed.worker_host import _states
from common.errors import UserError
from tests.bench.harness import TOKEN, neighbouring_ports
from tests.support.polling import poll

WAIT_S = 30.0


@contextmanager
def announced() -> Iterator[tuple[RunAnnouncer, int]]:
    port = neighbouring_ports()
    with RunAnnouncer("run", ("127.0.0.1", port), lambda: 0, token=TOKEN, expected_workers=1) as announcer:
        yield announcer, port


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time-out: a stranger sends a byte now and then."""
    monkeypatch.setattr(_StateHandler, "timeout", None)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), WAIT_S)


def answer_to(port: int, line: bytes) -> bytes:
    """The first line of the answer; empty if the connection is closed without one."""
    with connect(port) as link:
        link.sendall(line)
        return link.makefile("rb").readline()


@pytest.mark.parametrize(
    "line",
    [
        b"\n", b"GET / HTTP/1.1\r\n", b"[" * 1024, b'{"a":' * 200 + b"\n", b"\xff\xfe\n", b"x" * 5000,
        json.dumps({"generators": 1, "version": "v", "nonce": "n", "proof": "é"}).encode() + b"\n",
        json.dumps({"generators": 10**6, "version": "v", "nonce": "n", "proof": "p"}).encode() + b"\n",
        Hello.of(1, "guessed").line(),
        Hello.of(1, "").line(),
    ],
)  # fmt: skip
def test_what_has_no_proof_is_no_worker_and_learns_no_state(
    line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with announced() as (announcer, port):
        answer = answer_to(port, line)
        assert announcer.connected_workers == 0
    assert b"state" not in answer
    assert "Traceback" not in capsys.readouterr().err


def test_a_recorded_hello_is_worth_nothing() -> None:
    hello = Hello.of(1, TOKEN)
    with announced() as (announcer, port), connect(port) as worker:
        worker.sendall(hello.line())
        poll(lambda: announcer.connected_workers == 1)
        assert json.loads(answer_to(port, hello.line())) == {"refused": "token"}
        assert announcer.connected_workers == 1


def test_silent_connections_keep_no_worker_away(patient: None) -> None:
    with announced() as (announcer, port):
        silent = [connect(port) for _ in range(150)]
        assert silent[0].recv(1) == b"", "the oldest was closed"
        hello = Hello.of(1, TOKEN)
        with connect(port) as worker:
            worker.sendall(hello.line())
            first = worker.makefile("rb").readline()
            assert AnnouncedState.from_line(first, TOKEN, hello.nonce).run == "run"
            assert announcer.connected_workers == 1
        for link in silent:
            link.close()


def test_a_run_does_not_wait_for_a_stranger_to_end(patient: None) -> None:
    entered, leave = threading.Event(), threading.Event()
    ports: list[int] = []

    def run() -> None:
        with announced() as (_, port):
            ports.append(port)
            entered.set()
            leave.wait(WAIT_S)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert entered.wait(WAIT_S)
    with connect(ports[0]) as stranger:
        stranger.sendall(b"{")
        answer_to(ports[0], b"\n")  # so the stranger's connection is being served, too
        leave.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_a_flood_of_wrong_tokens_fills_no_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with announced() as (_, port):
        for _ in range(30):
            answer_to(port, Hello.of(1, "guessed").line())
    assert capsys.readouterr().err.count("refused a worker at 127.0.0.1: it has another token") == 1


def test_a_master_that_never_ends_its_line_is_left() -> None:
    ours, other = socket.socketpair()
    with ours, other:
        other.sendall(b"{" * 20_000)
        with pytest.raises(UserError, match="does not come from a master of this version"):
            list(_states(ours, TOKEN, "nonce"))
