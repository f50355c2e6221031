"""``make worker`` by itself: it ends at once when told to, and never waits for a master that is gone."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from bench.beacon import Beacon, Hello
from deploy.local.process import LocalSageMaker
from tests.line.harness import SIMULATED, Bench, eventually, neighbouring_ports

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.e2e


@pytest.fixture
def port() -> int:
    return neighbouring_ports()


def worker(bench: Bench, port: int, *options: str, **environment: str) -> "subprocess.Popen[str]":
    return bench.start("worker", "--master", "127.0.0.1", "--port", str(port), *options, **environment)


def said(process: "subprocess.Popen[str]", words: str) -> Iterator[str]:
    assert process.stderr is not None
    return (line for line in process.stderr if words in line)


def test_an_interrupt_ends_a_worker_that_still_looks_for_its_master(bench: Bench, port: int) -> None:
    process = worker(bench, port)
    next(said(process, "looking for a master"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_an_interrupt_amid_a_load_leaves_no_process(bench: Bench, port: int) -> None:
    with Beacon("run", ("127.0.0.1", port + 1), lambda: 0) as beacon, beacon.load():
        process = worker(bench, port, "--processes", "2")
        next(said(process, "Starting Locust"))
        assert eventually(lambda: sum("locustfile" in line for line in bench.processes()) == 3, 30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
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


def test_a_worker_without_credentials_is_named_and_no_second_endpoint_is_deployed(
    bench: Bench, port: int
) -> None:
    kinds = {"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"], "role": "local-sagemaker"}
    plan = SIMULATED | {
        "model": {"name": "Simulated", "source": "image", "image": "simulated-vllm:1"},
        "endpoint": SIMULATED["endpoint"] | kinds,
    }
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with LocalSageMaker(["--create-seconds", "0", "--delete-seconds", "0"]) as local:
        poor = worker(bench, port, AWS_CONFIG_FILE=os.devnull, **nothing)
        options = ("--workers", "1", "--port", str(port), "--bind", "127.0.0.1", "--results", bench.results)
        done = bench.run("master", "--plan", bench.plan(plan), *options, **local.environment)
        _, err = poor.communicate(timeout=30)
    assert done.returncode == 1, done.stderr
    assert "cannot take part: there are no AWS credentials" in done.stderr
    assert "refused" not in done.stderr
    assert (poor.returncode, "there are no AWS credentials" in err) == (1, True)
    assert "served 0 loads" in err
    created = [line for path in bench.ledger.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum('"kind": "endpoint"' in line and '"creating"' in line for line in created) == 1
    assert bench.left_open() == []


def test_nothing_is_deployed_before_the_workers_are_there(bench: Bench, port: int) -> None:
    """A worker that never comes costs no GPU its hours; whoever waits is told, and may stop waiting."""
    process = bench.start(
        "master", "--plan", bench.plan(SIMULATED), "--workers", "3", "--port", str(port),
        "--bind", "127.0.0.1", "--results", bench.results,
    )  # fmt: skip
    next(said(process, "make worker MASTER="))
    next(said(process, "0 of 3 workers are there"))
    two = worker(bench, port, "--processes", "2")
    next(said(process, "2 of 3 workers are there"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "before anything was created" in err
    _, told = two.communicate(timeout=30)
    assert (two.returncode, "the run is over" in told) == (0, True)
    assert not list(bench.ledger.glob("*.jsonl"))
    assert not bench.results.exists() or not list(bench.results.iterdir())


def test_a_host_that_went_away_is_missed_before_the_next_deploy(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.beacon.SIGN_OF_LIFE_S", 0.05)
    with Beacon("run", ("127.0.0.1", port + 1), lambda: 0, wanted=2) as beacon:
        with socket.create_connection(("127.0.0.1", port + 1)) as link:
            link.sendall(Hello(2).line())
            beacon.gather("make worker")
            assert beacon.too_few() is None
        assert eventually(lambda: beacon.too_few() == "0 of 2 workers are left", 20)
