"""Who may say what on the master's port, and whom a worker obeys."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest
import zmq

from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from locustfiles.client.invocation_url import check_target
from locustfiles.encrypted_sockets import protect
from locustfiles.message_seal import MessageSeal
from locustfiles.messages import (
    HELLO,
    REPORT,
)
from tests.locustfiles.runs import Run
from tests.locustfiles.support import target
from tests.locustfiles.test_messages import report_content
from tests.support.polling import eventually

SEAL = MessageSeal("of the run")


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_USE_FIPS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


@pytest.mark.parametrize(
    ("host", "scheme", "port"),
    [
        ("evil.example", "https", 443),
        ("runtime.sagemaker.us-east-1.amazonaws.com", "http", 80),
        ("runtime.sagemaker.us-east-1.amazonaws.com", "http", 443),
        ("runtime.sagemaker.us-east-1.amazonaws.com.evil.example", "https", 443),
        ("runtime.sagemaker.eu-west-1.amazonaws.com", "https", 443),
        ("127.0.0.1", "http", 8080),
    ],
)
def test_a_worker_refuses_a_target_that_is_not_its_own(
    region: None, host: str, scheme: str, port: int
) -> None:
    with pytest.raises(UserError, match="AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"):
        check_target(target(port, host=host, scheme=scheme))


def test_a_worker_takes_its_own_regions_runtime(region: None) -> None:
    check_target(target(443, host="runtime.sagemaker.us-east-1.amazonaws.com", scheme="https"))


def test_a_worker_takes_the_url_of_its_own_environment(region: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:8080")
    check_target(target(8080))
    with pytest.raises(UserError):
        check_target(target(8081))


# What a stranger can do to the master's port


class Stranger:
    """Speaks to a master's port as it likes; with a token, under its keys."""

    def __init__(self, port: int, name: str = "stranger", token: str | None = None) -> None:
        self.name = name
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._events = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        if token is not None:
            protect(self._socket, token)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def send(self, kind: object, data: object, node: object = None) -> None:
        self.send_raw(msgpack.packb([kind, data, self.name if node is None else node]))

    def send_raw(self, *parts: bytes) -> None:
        with contextlib.suppress(zmq.Again):  # the master has closed the connection
            self._socket.send_multipart(parts, zmq.DONTWAIT)

    def heard(self, seconds: float) -> list[str]:
        kinds = []
        while self._socket.poll(round(seconds * 1000)):
            kinds.append(msgpack.unpackb(self._socket.recv())[0])
        return kinds

    def was_sent_away(self) -> bool:
        """Wait until the master has ended the handshake."""
        return bool(self._events.poll(60_000))

    def close(self) -> None:
        self._socket.disable_monitor()
        self._context.destroy(linger=0)


@dataclass
class Port:
    """A port of a master under the token of the run."""

    number: int
    socket: Any

    def next_sender(self) -> str:
        """The sender of the next message, which is one of this run's worker."""
        worker = Stranger(self.number, "of this run", "of the run")
        worker.send("client_ready", "2.47.0")
        sender: bytes = self.socket.recv_multipart()[0]
        worker.close()
        return sender.decode()


@pytest.fixture
def port() -> Iterator[Port]:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    protect(router, "of the run")
    router.setsockopt(zmq.HANDSHAKE_IVL, 0)  # closed for what it said, not for how long it took
    yield Port(router.bind_to_random_port("tcp://127.0.0.1"), router)
    context.destroy(linger=0)


@pytest.mark.parametrize("token", [None, "guessed", ""])
def test_the_master_gets_no_message_of_a_stranger(port: Port, token: str | None) -> None:
    stranger = Stranger(port.number, token=token)
    stranger.send("quit", None)
    assert stranger.was_sent_away()
    assert port.next_sender() == "of this run"
    stranger.close()


ZMTP = b"\xff" + bytes(8) + b"\x7f\x03\x00"
HUGE = b"\x02" + (1 << 30).to_bytes(8, "big")


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n" + bytes(60),
        ZMTP + b"NULL".ljust(20, b"\0") + bytes(32),
        ZMTP + b"CURVE".ljust(20, b"\0") + bytes(32) + HUGE,
        ZMTP + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x04\xc8\x05HELLO" + bytes(194),
    ],
)  # fmt: skip
def test_what_is_no_handshake_under_the_token_ends_its_connection(port: Port, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port.number), 60) as stranger:
        stranger.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass
    assert port.next_sender() == "of this run"


def test_a_worker_tells_nothing_to_a_master_without_the_token(port: Port) -> None:
    worker = Stranger(port.number, "w", "of another run")
    worker.send("client_ready", "2.47.0")
    assert worker.was_sent_away()
    assert not port.socket.poll(0)
    worker.close()


FILTERED = """
from locust.rpc.zmqrpc import Server
from locustfiles.master.message_filter import MessageFilter

server = Server("127.0.0.1", 0)
print(server.port, flush=True)
passes = MessageFilter(server, {"victim"}.__contains__, lambda reason: print("dropped:", reason))
while (message := passes.recv_from_client()[1]).data != "the last":
    print("passed:", message.node_id, message.type)
"""


@pytest.mark.e2e
def test_the_filter_alone_lets_nothing_forged_or_unreadable_through() -> None:
    command = [sys.executable, "-c", FILTERED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as filtered:
        assert filtered.stdout is not None
        stranger = Stranger(int(filtered.stdout.readline()))
        pester(stranger, "victim")
        stranger.send("client_ready", "the last")
        said = set(filtered.stdout.read().splitlines())
        stranger.close()
    assert {line for line in said if line.startswith("passed")} == {f"passed: stranger {HELLO}"}, "unsealed"
    assert "dropped: not a Locust message (RPCReceiveError)" in said
    assert "dropped: sender id of another client" in said


# A whole run with strangers on its port


def pester(stranger: Stranger, victim: str) -> None:
    """Everything that has ended a run, or forged one."""
    for junk in (
        b"\xc1",
        b"",
        b"\x01\x02",
        b"GET / HTTP/1.1\r\n\r\n",
        msgpack.packb(5),
        msgpack.packb([1]),
        b"\x93\xc1",
    ):
        stranger.send_raw(junk)
    stranger.send_raw(b"a", b"b", b"c")
    for data in (None, 5, {}, {"state": 5}, {"state": "running", "current_cpu_usage": "much"}):
        stranger.send("heartbeat", data)
        stranger.send("heartbeat", data, victim)
        stranger.send("client_ready", 5)
        stranger.send("spawning_complete", data, victim)
    forged = report_content()
    forged["rows"][0][REPORT_OUTCOME] = "failed"
    for token in ("", "guessed"):
        hello = {"client_id": stranger.name, "worker": "w0", "host": "h"}
        stranger.send(HELLO, MessageSeal(token).wrap(HELLO, hello))
        stranger.send(REPORT, MessageSeal(token).wrap(REPORT, forged))
        stranger.send(REPORT, MessageSeal(token).wrap(REPORT, forged), victim)
    stranger.send(HELLO, {"client_id": stranger.name, "worker": "w0", "host": "h"})
    stranger.send(REPORT, forged)
    stranger.send("stats", {"stats": [], "stats_total": 5, "errors": {}})
    stranger.send("quit", None, victim)
    stranger.send("client_stopped", None, victim)
    stranger.send("exception", {"msg": "m", "traceback": "t"})
    stranger.send("locustfile", {"version": "2.47.0"})
    stranger.send(REPORT, {"body": bytes(50_000_000), "mac": b"\0" * 32})


REPORT_OUTCOME = next(i for i, value in enumerate(report_content()["rows"][0]) if value == "ok")


@pytest.mark.e2e
def test_strangers_end_no_run_forge_no_row_and_learn_nothing(
    truth: Callable[..., Run],
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "of the run")
    run = truth(concurrency=(2,), load={"warm_up": 0.2, "measure": 8.0})
    assert run.environment[TOKEN_VARIABLE] == "of the run"
    master = run.start(mode="master", expect_workers=1, master_port=free_port)
    first = Stranger(free_port, "first")
    first.send_raw(b"\xc1")  # before anybody else: also the first packet of all harms nothing
    worker = run.start(mode="worker", master_port=free_port)
    assert eventually(lambda: run.status().get("phase") in ("warm_up", "measure")), run.log()
    victim = re.search(r"(\S+_[0-9a-f]{32}) \(index 0\) reported as ready", run.log())
    assert victim
    strangers = [Stranger(free_port), Stranger(free_port, "guessing", "guessed")]
    silent = [socket.create_connection(("127.0.0.1", free_port)) for _ in range(500)]
    for stranger in strangers:
        pester(stranger, victim[1])
    assert all(stranger.was_sent_away() for stranger in (first, *strangers))
    heard = [kind for stranger in strangers for kind in stranger.heard(1.0)]
    assert master.wait(60) == 0, run.log()
    assert worker.wait(20) == 0, run.log()
    run.check_counts()
    assert heard == [], "not even an answer"
    assert {row["worker"] for row in run.requests()} == {"w0"}
    assert {row["outcome"] for row in run.requests()} == {"ok"}
    assert "Traceback" not in run.log()
    for closed in (*strangers, first):
        closed.close()
    for link in silent:
        link.close()


@pytest.mark.e2e
def test_a_mute_worker_is_sent_home_and_the_run_goes_on(
    truth: Callable[..., Run],
    free_port: int,
) -> None:
    run = truth(concurrency=(2,), load={"warm_up": 0.2, "measure": 1.0})
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    stranger = Stranger(free_port)
    stranger.send("client_ready", "2.47.0")
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    beats = 0
    while master.poll() is None and beats < 600:
        beats += 1
        stranger.send("heartbeat", {"state": "ready", "current_cpu_usage": 1})
        stranger.heard(0.1)
    assert master.wait(60) == 0, run.log()
    assert [worker.wait(20) for worker in workers] == [0, 0]
    run.check_counts()
    assert "was disconnected" in run.log()
    stranger.close()
