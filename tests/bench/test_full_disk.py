"""A disk that fills up amid a run costs neither the endpoint's deletion nor the rows that are there."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.harness import SIMULATED, Bench, requests_of
from tests.bench.test_signals import phase_is
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    bench.results.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(bench.results)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk takes the right to mount one")
    yield bench.results
    subprocess.run(["umount", "-l", str(bench.results)], check=True)


def test_a_disk_that_is_full_is_told_and_the_endpoint_is_deleted(bench: Bench, small_disk: Path) -> None:
    plan = SIMULATED | {
        "endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"], "region": "us-east-1"},
        "load": {"concurrency": [2, 4], "warm_up": "500ms", "measure": "60s"},
    }
    process = bench.start("run", "--plan", bench.plan(plan), "--results", small_disk)
    assert eventually(lambda: phase_is(bench, "measure") or process.poll() is not None)
    for size in (1_000_000, 1):
        with (small_disk / f"filler{size}").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(size)):
                pass
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode in (1, 2), err
    assert "the disk is full" in err
    assert "requests.csv cannot be written" in err
    assert "Traceback" not in err
    assert bench.left_open() == []
    assert sum(path.read_text().count('"creating"') for path in bench.ledger_files()) == 3
    assert len(requests_of(bench.latest())) > 0
