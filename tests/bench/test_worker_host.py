"""``make worker`` by itself: it stops at once on a signal, and never waits for a master that is gone."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.distributed.handshake import AnnouncedState, Hello
from bench.distributed.run_announcer import RunAnnouncer
from bench.distributed.worker_host import _Generator
from common.code_version import code_version
from emulator.process import LocalSageMaker
from tests.bench.harness import SIMULATED, TOKEN, Bench, neighbouring_ports
from tests.support.polling import HANG_S, eventually

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.e2e


@pytest.fixture
def port() -> int:
    return neighbouring_ports()


def worker(bench: Bench, port: int, *options: str, **environment: str) -> "subprocess.Popen[str]":
    return bench.start(
        "worker", "--master", "127.0.0.1", "--port", str(port), *options, environment=environment
    )


def lines_with(process: "subprocess.Popen[str]", text: str) -> Iterator[str]:
    assert process.stderr is not None
    return (line for line in process.stderr if text in line)


def test_an_interrupt_ends_a_worker_that_still_looks_for_its_master(bench: Bench, port: int) -> None:
    process = worker(bench, port)
    next(lines_with(process, "connecting to the master"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_an_interrupt_amid_a_load_leaves_no_process(bench: Bench, port: int) -> None:
    with (
        RunAnnouncer("run", ("127.0.0.1", port + 1), lambda: 0, token=TOKEN) as announcer,
        announcer.announce_load(),
    ):
        process = worker(bench, port, "--processes", "2")
        next(lines_with(process, "Starting Locust"))
        assert eventually(lambda: sum("locustfile" in line for line in bench.processes()) == 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == 130, err
        assert "is killed" not in err, "all of it was asked to end, and did"
        assert bench.processes() == []


def test_a_master_that_is_gone_is_told_and_ends_the_worker(bench: Bench, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)) as master:
        process = worker(bench, port)
        link, _ = master.accept()
        hello = Hello.from_line(link.makefile("rb").readline())
        assert hello is not None
        assert hello.is_proved(TOKEN)
        link.sendall(AnnouncedState("r").line(TOKEN, hello.nonce))
        next(lines_with(process, "connected to the master of r"))
        link.close()
        master.close()
        _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 1
    assert "retrying for" in err
    assert "disappeared before its run was over" in err


def answer_as_master(port: int, state: AnnouncedState, seen: Callable[[], object] = lambda: None) -> None:
    """Serve one connection of a worker host with one state, and take the link away."""
    with socket.create_server(("127.0.0.1", port + 1)) as master:
        link, _ = master.accept()
        with contextlib.closing(link):
            hello = Hello.from_line(link.makefile("rb").readline())
            assert hello is not None
            link.sendall(state.line(TOKEN, hello.nonce))
            seen()
            link.shutdown(socket.SHUT_RDWR)


def test_a_link_that_was_down_is_found_again_and_the_load_goes_on(bench: Bench, port: int) -> None:
    process = worker(bench, port)
    answer_as_master(
        port, AnnouncedState("r"), lambda: next(lines_with(process, "connected to the master of r"))
    )
    answer_as_master(port, AnnouncedState("r", phase="over", code=0))
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert "reconnected to the master" in err
    assert "the run is over (the master's exit code is 0)" in err


def test_another_run_behind_the_same_port_is_not_served(bench: Bench, port: int) -> None:
    process = worker(bench, port)
    answer_as_master(
        port, AnnouncedState("r"), lambda: next(lines_with(process, "connected to the master of r"))
    )
    answer_as_master(port, AnnouncedState("another", phase="load", load=1))
    _, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, "disappeared before its run was over" in err) == (1, True)
    assert "load 1 starts" not in err


def test_a_worker_with_another_token_is_sent_home_and_says_so(bench: Bench, port: int) -> None:
    with RunAnnouncer(
        "run", ("127.0.0.1", port + 1), lambda: 0, token="of the run", expected_workers=1
    ) as announcer:
        process = worker(bench, port)
        _, err = process.communicate(timeout=HANG_S)
        assert announcer.shortage(0.0) == "only 0 of 1 workers are connected"
    assert process.returncode == 2
    assert "have different tokens" in err


def test_a_master_without_the_token_is_not_obeyed(bench: Bench, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)) as other:
        process = worker(bench, port)
        link, _ = other.accept()
        with contextlib.closing(link):
            hello = Hello.from_line(link.makefile("rb").readline())
            assert hello is not None
            assert TOKEN not in repr(hello)
            link.sendall(AnnouncedState("r", phase="load", load=1).line("guessed", hello.nonce))
            _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 2
    assert "have different tokens" in err
    assert "load 1 starts" not in err


def test_a_worker_of_another_version_is_refused_by_name(
    bench: Bench, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.distributed.run_announcer.code_version", lambda: "0.3.0 (code 89abcdef)")
    with RunAnnouncer(
        "run", ("127.0.0.1", port + 1), lambda: 0, token=TOKEN, expected_workers=1
    ) as announcer:
        process = worker(bench, port)
        _, err = process.communicate(timeout=HANG_S)
        assert announcer.shortage(0.0) == "only 0 of 1 workers are connected"
    assert process.returncode == 2
    assert f"this host runs version {code_version()}, and the master version 0.3.0 (code 89abcdef)" in err
    told = capsys.readouterr().err
    assert f"it runs version {code_version()}, and this master version 0.3.0 (code 89abcdef)" in told


def test_a_worker_without_a_token_says_where_to_get_one(bench: Bench, port: int) -> None:
    process = worker(bench, port, BENCH_TOKEN="")
    _, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, "the token of the run is missing" in err) == (2, True)


def test_what_is_no_master_is_refused(bench: Bench, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)) as other:
        process = worker(bench, port)
        link, _ = other.accept()
        with contextlib.closing(link):
            link.sendall(b"SSH-2.0-OpenSSH_9.2\n")
            _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 2
    assert "does not come from a master of this version" in err


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
        url = {"AWS_ENDPOINT_URL": local.environment["AWS_ENDPOINT_URL"]}
        poor = worker(bench, port, AWS_CONFIG_FILE=os.devnull, **nothing, **url)
        options = ("--workers", "1", "--port", str(port), "--bind", "127.0.0.1", "--results", bench.results)
        done = bench.run("master", "--plan", bench.plan(plan), *options, environment=local.environment)
        _, err = poor.communicate(timeout=HANG_S)
    assert done.returncode == 1, done.stderr
    assert "cannot take part: there are no AWS credentials" in done.stderr
    assert "refused" not in done.stderr
    assert (poor.returncode, "there are no AWS credentials" in err) == (1, True)
    assert "served 0 loads" in err
    created = [line for path in bench.ledger_files() for line in path.read_text().splitlines()]
    assert sum('"kind": "endpoint"' in line and '"creating"' in line for line in created) == 1
    assert bench.left_open() == []


def test_nothing_is_deployed_before_the_workers_are_there(bench: Bench, port: int) -> None:
    """Waiting for workers costs nothing, is reported, and can be interrupted."""
    process = bench.start(
        "master", "--plan", bench.plan(SIMULATED), "--workers", "3", "--port", str(port),
        "--bind", "127.0.0.1", "--results", bench.results,
    )  # fmt: skip
    next(lines_with(process, "make worker MASTER="))
    next(lines_with(process, "0 of 3 workers are connected"))
    two = worker(bench, port, "--processes", "2")
    next(lines_with(process, "2 of 3 workers are connected"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "before anything was created" in err
    _, output = two.communicate(timeout=HANG_S)
    assert (two.returncode, "the run is over" in output) == (0, True)
    assert not bench.ledger_files()
    assert not bench.results.exists() or not list(bench.results.iterdir())


def test_a_host_that_went_away_is_missed_before_the_next_deploy(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.distributed.run_announcer.SIGN_OF_LIFE_S", 0.05)
    with RunAnnouncer(
        "run", ("127.0.0.1", port + 1), lambda: 0, token=TOKEN, expected_workers=2
    ) as announcer:
        with socket.create_connection(("127.0.0.1", port + 1)) as link:
            link.sendall(Hello.of(2, TOKEN).line())
            announcer.wait_for_workers("make worker")
            assert announcer.shortage(0.0) is None
        assert eventually(lambda: announcer.shortage(0.0) == "only 0 of 2 workers are connected")


KILLED = "import os; os.kill(os.getpid(), 9)"
REFUSED = "raise SystemExit(2)"
SERVED = ""


@pytest.mark.parametrize(
    ("programs", "starts", "code"),
    [
        ([SERVED], 1, 0),
        ([KILLED, SERVED], 2, 1),
        ([KILLED] * 9, 4, 1),
        ([REFUSED, SERVED], 1, 1),
    ],
)
def test_a_load_generator_that_was_killed_starts_again_a_few_times(
    tmp_path: Path, programs: list[str], starts: int, code: int
) -> None:
    for number, program in enumerate(programs):
        (tmp_path / f"{number}.py").write_text(program)
    count = tmp_path / "count"
    count.write_text("")
    script = (
        f"count = open({str(count)!r}, 'r+'); number = len(count.read()); count.write('x'); count.close();"
        f" exec(open({str(tmp_path)!r} + f'/{{number}}.py').read())"
    )
    generator = _Generator([sys.executable, "-S", "-c", script], TOKEN)
    load = AnnouncedState("r", phase="load", load=1)
    for _ in range(starts):
        generator.sync_to(load)
        assert generator._child is not None
        generator._child.wait(HANG_S)
    generator.sync_to(load)
    assert generator._child is None
    assert (len(count.read_text()), generator.code) == (starts, code)
