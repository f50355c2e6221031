"""``make worker`` by itself: it ends at once when told to, and never waits for a master that is gone."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from bench.beacon import Beacon
from tests.line.harness import Bench, eventually, neighbouring_ports

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.e2e


@pytest.fixture
def port() -> int:
    return neighbouring_ports()


def worker(bench: Bench, port: int, *options: str) -> "subprocess.Popen[str]":
    return bench.start("worker", "--master", "127.0.0.1", "--port", str(port), *options)


def said(process: "subprocess.Popen[str]", words: str) -> Iterator[str]:
    assert process.stderr is not None
    return (line for line in process.stderr if words in line)


def test_an_interrupt_ends_a_worker_that_still_looks_for_its_master(bench: Bench, port: int) -> None:
    process = worker(bench, port)
    next(said(process, "looking for a master"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_an_interrupt_amid_a_load_leaves_no_process(bench: Bench, port: int) -> None:
    with Beacon("run", ("127.0.0.1", port + 1), lambda: 0) as beacon, beacon.load():
        process = worker(bench, port, "--processes", "2")
        next(said(process, "Starting Locust"))
        assert eventually(lambda: sum("locustfile" in line for line in bench.processes()) == 3, 30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "is killed" not in err, "all of it was asked to end, and did"
        assert bench.processes() == []


def test_a_master_that_is_gone_is_told_and_ends_the_worker(bench: Bench, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)) as master:
        process = worker(bench, port)
        link, _ = master.accept()
        link.sendall(b'{"run": "r", "phase": "wait", "load": 0, "code": null}\n')
        next(said(process, "found the master of r"))
        link.close()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "gone before its run was over" in err


def test_what_is_no_master_is_refused(bench: Bench, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)) as other:
        process = worker(bench, port)
        link, _ = other.accept()
        with contextlib.closing(link):
            link.sendall(b"SSH-2.0-OpenSSH_9.2\n")
            _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "no master of this version" in err
