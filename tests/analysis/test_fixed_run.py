"""A run folder that never changes gives the same figures, to the last digit, whatever is rebuilt around them.

`python -m tests.analysis.test_fixed_run` writes the figures anew. One that changes, changes in every report.
"""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import make_report

_FOLDER = Path(__file__).with_name("fixed_run")
_FIGURES = Path(__file__).with_name("fixed_run_figures.json")


def _figures(content: Any, path: str = "") -> Iterator[tuple[str, int | float | None]]:
    """Every number of a summary, and every one that is absent, with the path to it."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _figures(value, f"{path}.{key}" if path else key)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _figures(value, f"{path}[{index}]")
    elif content is None or (isinstance(content, int | float) and not isinstance(content, bool)):
        yield path, content


def _reported(out: Path) -> dict[str, int | float | None]:
    folder = shutil.copytree(_FOLDER, out / "fixed_run")
    make_report(folder)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del summary["format"]
    return dict(_figures(summary))


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_fixed_run_gives_the_same_figures_to_the_last_digit(tmp_path: Path) -> None:
    stored = json.loads(_FIGURES.read_text(encoding="utf-8"))
    reported = _reported(tmp_path)
    assert len(stored) > 300
    assert set(stored) <= set(reported)
    changed = {
        key: (value, reported[key]) for key, value in stored.items() if not _same(value, reported[key])
    }
    assert changed == {}


def _same(before: float | None, after: float | None) -> bool:
    """Equal; figures that are sums may differ in the last bits, which depend on the processor."""
    if before is None or after is None:
        return before is after
    return math.isclose(before, after, rel_tol=1e-13)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        _FIGURES.write_text(json.dumps(_reported(Path(scratch)), indent=1) + "\n", encoding="utf-8")
