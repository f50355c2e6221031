"""docs/metrics.md and the functions that compute the figures say the same."""

import inspect
from pathlib import Path

from analysis.metrics_doc import SECTIONS, document

ROOT = Path(__file__).parents[2]


def test_the_document_is_what_the_docstrings_say() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == document(), "run: python -m analysis.metrics_doc > docs/metrics.md"


def test_every_metric_gives_its_formula_unit_and_source() -> None:
    for title, functions in SECTIONS[:4]:
        for function in functions:
            text = inspect.getdoc(function) or ""
            assert [w for w in ("Formula:", "Unit:", "Source:") if w not in text] == [], (
                title,
                function.__name__,
            )
