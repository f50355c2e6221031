"""What holds for every test: a state folder of its own, and no process without the mark e2e."""

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from common.paths import HOME_VARIABLE
from tests.support.state import make_state_folder

# A busy machine is slow; what is tested here is right or wrong.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

E2E_FIXTURES = frozenset({"server", "local", "bench", "browser", "report", "fresh", "other"})
"""Fixtures that start a process or write a whole report: their tests are end-to-end tests."""
UNIT_PROGRAMS = frozenset({"git", "make", "uname"})
"""Programs that answer within milliseconds: a unit test may run them."""
LONG_FILES = (
    "tests/bench/",
    "tests/locustfiles/test_run",
    "tests/deploy/test_interruptions",
    "tests/deploy/test_f",
)
"""They come first, so that no worker is left with one of them at the end."""


class ProcessGuard:
    """Refuses processes to a test without the mark e2e, so that `make test-fast` stays fast."""

    def __init__(self) -> None:
        self.unit_test = ""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.unit_test or event not in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
            return
        if event == "subprocess.Popen" and Path(str(arguments[0])).name in UNIT_PROGRAMS:
            return
        raise RuntimeError(f"{self.unit_test} starts a process ({event} {arguments[:2]}); mark it e2e")


_guard = ProcessGuard()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_FILES))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _guard.unit_test = "" if item.get_closest_marker("e2e") else item.nodeid
    try:
        return (yield)
    finally:
        _guard.unit_test = ""


@pytest.fixture(autouse=True, scope="session")
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(make_state_folder(tmp_path_factory.mktemp("state")))
    yield
    if before is None:
        del os.environ[HOME_VARIABLE]
    else:
        os.environ[HOME_VARIABLE] = before
