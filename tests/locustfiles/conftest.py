import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.calibration.probe import truth_server
from bench.calibration.truth import AnswerSchedule
from tests.locustfiles.fake import Play
from tests.locustfiles.runs import QUICK, Run, experiment
from tests.locustfiles.support import ScriptedServer, serving


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """One experiment, played against fakes."""
    return Play(tmp_path)


@pytest.fixture
def truth(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """A run against the truth server, with a profile."""
    servers = []
    runs: list[Run] = []

    def make(profile: AnswerSchedule = QUICK, **changes: Any) -> Run:
        server = truth_server(tmp_path, profile, None)
        url, _ = server.__enter__()
        servers.append(server)
        runs.append(Run(tmp_path, url, experiment(tmp_path, **changes)))
        return runs[-1]

    yield make
    for run in runs:
        run.end()
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., tuple[Run, ScriptedServer]]]:
    """A run against a scripted server."""
    made: list[tuple[Run, Any]] = []

    def make(*scripts: Any, **changes: Any) -> tuple[Run, ScriptedServer]:
        manager = serving(*scripts)
        server = manager.__enter__()
        run = Run(tmp_path, f"http://127.0.0.1:{server.port}", experiment(tmp_path, **changes))
        made.append((run, manager))
        return run, server

    yield make
    for run, manager in made:
        run.end()
        manager.__exit__(None, None, None)
