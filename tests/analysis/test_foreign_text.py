"""Text of a model server, a payload file or a price list: it never becomes a tag, a link or a formula."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import make_report
from common.markdown import escape_markdown
from runfolder import layout
from runfolder.appending import read_rows, replace_rows
from runfolder.cells import guard_cell, unguard_cell
from runfolder.manifest import read_manifest
from runfolder.reading import read_table
from runfolder.records import STEP_COLUMNS, StepRow
from tests.support.synthetic_run import Deployed, write_run

EVIL = "<script>alert(1)</script> [click](https://evil.test) ![x](http://evil.test/p.png) <img src=x> `"


@pytest.mark.e2e
def test_no_text_from_outside_is_markup_in_the_markdown(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(4,), instance_label=EVIL),), notices=(EVIL,))
    manifest = read_manifest(tmp_path)
    manifest.error = manifest.experiments[0].error = EVIL
    manifest.experiments[0].price.source = EVIL
    manifest.versions = {EVIL: EVIL}
    manifest.save(tmp_path)
    rows = pd.read_csv(tmp_path / layout.REQUESTS)
    rows["finish_reason"] = EVIL
    rows["error_class"] = rows["outcome"].where(rows.index % 9 > 0, EVIL).replace("ok", "")
    rows["outcome"] = rows["outcome"].where(rows.index % 9 > 0, "failed")
    rows.to_csv(tmp_path / layout.REQUESTS, index=False)
    make_report(tmp_path)
    page = re.sub(r"!\[[^]]*\]\(\w+\.png\)", "", (tmp_path / "report.md").read_text())
    outside = re.sub(r"`[^`\n]*`", "", page)
    assert "alert(1)" in outside
    assert not re.findall(r"<(?:script|img)|\]\((?!<)|https?://evil", outside)
    assert [line for line in page.splitlines() if line.count("`") % 2] == []


@given(st.text(alphabet="<>[]()!`\\&;#a/:.w \n", max_size=60))
def test_escaped_text_holds_no_tag_and_no_link(text: str) -> None:
    escaped = re.sub(r"(?<!`)`[^`]+`(?!`)", "", escape_markdown(text))
    assert not set(escaped) & set("<>[]`")
    assert "://" not in escaped


def test_our_own_code_spans_stay() -> None:
    assert escape_markdown("use `a<b>` here") == "use `a<b>` here"


@pytest.mark.parametrize("text", ["=cmd|'/C calc'!A0", "+1", "-x", "@SUM(A1)", "'=x", "\t=x"])
def test_a_cell_that_begins_like_a_formula_is_guarded_and_read_back(tmp_path: Path, text: str) -> None:
    path = tmp_path / "steps.csv"
    replace_rows(path, STEP_COLUMNS, [StepRow("e/c1", "e", 1, 1, reasons=text)])
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reasons"] == f"'{text}"
    assert read_rows(path, StepRow)[0].reasons == text
    assert read_table(path, STEP_COLUMNS, [])["reasons"].tolist() == [text]


@given(st.text(alphabet="'=+-@\ta1", max_size=8))
def test_the_guard_is_undone_exactly(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text
    assert guard_cell(text)[:1] not in {"=", "+", "-", "@", "\t"}


@pytest.mark.e2e
def test_the_summary_holds_no_formula(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(payload="=1+1", measure_s=60, concurrency=(4,)),))
    make_report(tmp_path)
    with (tmp_path / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["payload"] == "'=1+1"
