"""Containers as child processes that speak SageMaker's hosting contract.

A container gets its port in ``SAGEMAKER_BIND_TO_PORT`` and the model's environment, answers ``GET /ping``
when it is ready and ``POST /invocations``. It is tied to this process (`common.parent_process`) and ends with
it.
"""

import contextlib
import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gevent

ROOT = Path(__file__).resolve().parents[1]
PING_SECONDS = 2.0
_PORTS = (20_000, 32_000)
GRACE_SECONDS = 5.0
_running: list["ContainerProcess"] = []
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")


@dataclass
class ContainerProcess:
    """One running container. ``outstanding`` counts the invocations under way, for routing."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    port: int
    image: str
    outstanding: int = 0

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None


def module_for(image: str) -> str:
    """Which container stands in for an image: llama.cpp for AWS's llama.cpp image, else the simulated."""
    repository = image.rsplit("/", 1)[-1].partition(":")[0]
    name = "llama" if "llama-cpp" in repository or "llamacpp" in repository else "simulated"
    return f"emulator.containers.{name}"


def start(image: str, instance_type: str, environment: Mapping[str, str]) -> ContainerProcess:
    """Start the container that stands in for ``image``; it is not yet healthy."""
    port = _free_port()
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env |= {
        **environment,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "LOCAL_SAGEMAKER_PARENT": str(os.getpid()),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", module_for(image), "--image", image, "--instance-type", instance_type],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )
    container = ContainerProcess(process, port, image)
    _running.append(container)
    return container


def wait_until_healthy(container: ContainerProcess, timeout: float) -> bool:
    """Poll ``/ping`` until it answers 200; False when the process ends or the time-out passes first."""
    deadline = time.monotonic() + timeout
    while container.alive and time.monotonic() < deadline:
        if _ping(container.port):
            return True
        gevent.sleep(0.05)
    return False


def stop(containers: list[ContainerProcess], grace: float = GRACE_SECONDS) -> None:
    """End containers as SageMaker does: SIGTERM, a grace, SIGKILL. Returns when all are gone."""
    for container in containers:
        if container.alive:
            container.process.terminate()
    deadline = time.monotonic() + grace
    for container in containers:
        try:
            container.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            container.process.kill()
            container.process.wait()
        if container in _running:
            _running.remove(container)


def stop_all() -> None:
    """End every container that this process has started."""
    stop(list(_running))


def _ping(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PING_SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    """A free port below those of outgoing connections, one of which could take it meanwhile."""
    while True:
        port = random.randrange(*_PORTS)  # noqa: S311 - spread, not secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
