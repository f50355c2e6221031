from pathlib import Path

import pytest

from analysis import Report, make_report
from tests.analysis.runs import G5, G6, SLO
from tests.support.synthetic_run import write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two instances; the cheaper one is nearly as fast. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "two-instances"
    write_run(folder, (G5, G6), slo=SLO)
    return folder


@pytest.fixture(scope="session")
def report(run_folder: Path) -> Report:
    return make_report(run_folder)
