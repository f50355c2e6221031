import base64
from pathlib import Path
from typing import IO, cast

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from analysis import Report, make_report
from tests.analysis.runs import G5, G6, SLO
from tests.support.synthetic_run import write_run

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two instances; the cheaper one is nearly as fast. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "two-instances"
    write_run(folder, (G5, G6), slo=SLO)
    return folder


@pytest.fixture(scope="session")
def report(run_folder: Path) -> Report:
    return make_report(run_folder)


@pytest.fixture
def placeholder_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw every picture, but neither lay it out nor render it, which is most of a report's time.

    For tests of a report's texts and tables.
    """

    def save(self: Figure, file: IO[bytes] | IO[str], *, format: str, **_: object) -> None:  # noqa: A002 - matplotlib's name
        if format == "svg":
            cast("IO[str]", file).write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
        else:
            cast("IO[bytes]", file).write(PIXEL)

    monkeypatch.setattr(Figure, "savefig", save)
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
