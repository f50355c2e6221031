"""Every test of the line ends with a look for processes that it left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.harness import Bench
from tests.support.polling import eventually


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    left = eventually(lambda: made.processes() == [])
    assert left, f"still running: {made.processes()}"
