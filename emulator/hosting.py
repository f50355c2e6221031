"""Containers as child processes that implement SageMaker's hosting contract.

A container receives its port in ``SAGEMAKER_BIND_TO_PORT`` and the model's environment. It responds to
``GET /ping`` when it is ready, and to ``POST /invocations``. It ends with this process
(`common.parent_process`).
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

import gevent

from common.parent_process import PARENT_VARIABLE
from common.paths import PROJECT
from emulator.containers.profile import SIMULATION_VARIABLE, simulation_to_json
from emulator.simulation import choose_simulation

PING_SECONDS = 2.0
_PORTS = (20_000, 32_000)
GRACE_SECONDS = 5.0
LLAMA = "emulator.containers.llama"
SIMULATED = "emulator.containers.simulated"
_running: list["ContainerProcess"] = []
_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")


@dataclass
class ContainerProcess:
    """One container. ``outstanding`` counts its invocations in flight, for routing."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    port: int
    image: str
    outstanding: int = 0
    sessions: set[str] = field(default_factory=set, repr=False)
    """Ids of the stateful sessions that it has opened and not closed."""

    @property
    def alive(self) -> bool:
        """Whether its process is running."""
        return self.process.poll() is None


def module_for(image: str) -> str:
    """The module that stands in for an image: `llama` for AWS's llama.cpp image, else `simulated`.

    `configs.containers.family_of` does not decide here: an image named after a Llama model is not llama.cpp.
    """
    repository = image.rsplit("/", 1)[-1].partition(":")[0]
    return LLAMA if "llama-cpp" in repository or "llamacpp" in repository else SIMULATED


def start(image: str, instance_type: str, environment: Mapping[str, str]) -> ContainerProcess:
    """Start the container that stands in for ``image``, without waiting for it.

    Raises:
        OSError: the process cannot be started.
        UserError: a variable of a simulated container is invalid.
    """
    module = module_for(image)
    port = _free_port()
    env = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    env |= {
        **environment,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        PARENT_VARIABLE: str(os.getpid()),
    }
    if module == SIMULATED:
        env[SIMULATION_VARIABLE] = simulation_to_json(choose_simulation(instance_type, image, environment))
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=PROJECT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )
    container = ContainerProcess(process, port, image)
    _running.append(container)
    return container


def wait_until_healthy(container: ContainerProcess, timeout: float) -> bool:
    """Poll ``/ping`` until it returns 200; False if the process ends or ``timeout`` seconds pass first."""
    deadline = time.monotonic() + timeout
    while container.alive and time.monotonic() < deadline:
        if _ping(container.port):
            return True
        gevent.sleep(0.05)
    return False


def stop(containers: list[ContainerProcess], grace: float = GRACE_SECONDS) -> None:
    """End containers as SageMaker does: SIGTERM, ``grace`` seconds, SIGKILL. Return when all have ended."""
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
    """A free port below the range of outgoing connections, which could take it before the container does."""
    while True:
        port = random.randrange(*_PORTS)  # noqa: S311 - not secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
