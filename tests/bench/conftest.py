"""Every test of the line ends with a look for processes that it left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.harness import Bench
from tests.support.network import unavailable
from tests.support.polling import eventually


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    left = eventually(lambda: made.processes() == [])
    assert left, f"still running: {made.processes()}"


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where this machine allows no network namespaces."""
    if reason := unavailable():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def lossy_links(namespaces: None) -> None:
    """Skip where this machine allows no links with delay and loss."""
    if reason := unavailable(links=True):
        pytest.skip(reason)
