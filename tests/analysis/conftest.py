from pathlib import Path

import pytest

from analysis import Report, make_report
from bench.benchmarks.synthetic_run import Deployed, Server, write_run

SLO = {
    "objectives": [
        {"metric": "ttft", "statistic": "p95", "limit_ms": 250.0},
        {"metric": "e2e", "statistic": "p95", "limit_ms": 6000.0},
    ],
    "error_rate": 0.01,
}
G5 = Deployed(measure_s=120, concurrency=(1, 4, 8))
G6 = Deployed(
    instance_type="ml.g6.xlarge",
    usd_per_hour=0.9,
    server=Server(tpot_ms=24),
    measure_s=120,
    concurrency=(1, 4, 8),
)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two instances; the cheaper one is nearly as fast. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "two-instances"
    write_run(folder, (G5, G6), slo=SLO)
    return folder


@pytest.fixture(scope="session")
def report(run_folder: Path) -> Report:
    return make_report(run_folder)
