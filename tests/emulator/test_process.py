"""The process: one line when ready, an orderly end, and no container left behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from bench.calibration.certificates import make_certificates
from common.errors import UserError
from common.paths import PROJECT
from emulator.process import LocalSageMaker
from tests.support.polling import poll

from .local_support import FAST, OPENAI, OPTIONS, TGI, Local
from .test_runtime import sse, stream, tgi_body

pytestmark = pytest.mark.e2e
HOLDER = """
import sys, time
from emulator.process import LocalSageMaker
with LocalSageMaker({options!r}, detach={detach}) as local:
    print(local.pid, flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def with_container(process: LocalSageMaker) -> tuple[Local, int]:
    """A local SageMaker with one endpoint; the container's process id."""
    local = Local(process)
    name = local.endpoint(OPENAI, FAST)
    return local, local.containers(name)[0]["pid"]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_container_outlives_the_server(sig: signal.Signals) -> None:
    with LocalSageMaker(OPTIONS) as process:
        _, container = with_container(process)
        assert alive(container)
        os.kill(process.pid, sig)
        poll(lambda: not alive(container))
        process.stop()


def test_an_orderly_end_returns_0_and_ends_containers_that_are_still_starting() -> None:
    with LocalSageMaker(OPTIONS) as process:
        local = Local(process)
        name = local.create(OPENAI, {"SIMULATED_BOOT_SECONDS": "600"})
        container = poll(lambda: local.containers(name))[0]["pid"]
    assert not alive(container)
    assert not alive(process.pid)


def start_holder(*, detach: bool) -> tuple["subprocess.Popen[str]", int]:
    source = HOLDER.format(options=list(OPTIONS), detach=detach)
    holder = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def test_it_ends_with_the_process_that_started_it() -> None:
    holder, server = start_holder(detach=False)
    holder.kill()
    holder.wait()
    poll(lambda: not alive(server))


def test_detached_it_outlives_the_process_that_started_it() -> None:
    holder, server = start_holder(detach=True)
    holder.kill()
    holder.wait()
    try:
        assert alive(server)
    finally:
        os.kill(server, signal.SIGTERM)
        poll(lambda: not alive(server))


def run(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", **environment}
    env = {k: v for k, v in {**os.environ, **keys}.items() if v}
    command = [sys.executable, "-m", "emulator", *options]
    return subprocess.run(
        command, env=env, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False
    )


def test_a_taken_port_is_one_sentence_and_exit_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port))
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            done.stderr == f"127.0.0.1:{port} is in use by another process; "
            "choose another --port, or 0 for any\n"
        )
        with (
            pytest.raises(UserError, match="is in use by another process"),
            LocalSageMaker(["--port", str(port)]),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        ([], {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY are not set"),
        (["--tls-cert", __file__], {}, "only one of --tls-cert and --tls-key is given"),
        (["--tls-cert", __file__, "--tls-key", __file__], {}, "cannot be used for TLS"),
        (["--faults", "/nowhere.yml"], {}, "/nowhere.yml cannot be read: No such file"),
        (["--port", "many"], {}, "invalid value for '--port': 'many' is not a valid port number; see"),
        (["--pieces", "3"], {}, "no such option '--pieces'; see `python -m emulator --help`"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    options: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = run(*options, **environment)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_fault_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "faults.yml"
    file.write_text("- {call: CreateModel, fault: sneeze}\n")
    done = run("--faults", str(file))
    assert done.returncode == 2
    assert "fault 0.fault" in done.stderr


def test_its_environment_is_all_that_boto3_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with LocalSageMaker(OPTIONS) as process:
        for name, value in process.environment.items():
            monkeypatch.setenv(name, value)
        session = boto3.session.Session()
        for service in ("sagemaker", "sagemaker-runtime", "sts", "pricing", "cloudwatch", "iam", "scheduler"):
            assert session.client(service).meta.endpoint_url == process.url
        assert session.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_it_serves_tls(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    with LocalSageMaker(
        [*OPTIONS, "--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
    ) as process:
        assert process.url.startswith("https://")
        local = Local(process, made.authority)
        endpoint = local.endpoint(TGI)
        assert len(sse(b"".join(stream(local, endpoint, tgi_body(20, stream=True))))) == 20
        parts = stream(local, endpoint, tgi_body(2000, stream=True))
        next(parts)
        parts.close()
        poll(lambda: local.containers(endpoint)[0]["outstanding"] == 0)


def test_the_ready_line_is_json_with_url_and_pid() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator"],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["pid"], ready["url"][:17]) == (process.pid, "http://127.0.0.1:")
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
