"""The page's "what if" box says what the answer says: its own script, run by Node on the page's own data."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.decide.recommendation import choose
from analysis.render.no_recommendation_text import place
from analysis.report import measure_and_judge, write_report
from bench.benchmarks.synthetic_run import Deployed, Server, write_run

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node: apt-get install nodejs")

# As much of a browser as the script asks for. A field is its name and its value, as the page has them.
STAND_IN = """
const fields = JSON.parse(process.argv[2]);
const elements = Object.fromEntries(Object.entries(fields.form).map(([name, value]) => [name, {value}]));
const byId = {
  "points": {textContent: fields.points},
  "what-if": {elements, addEventListener: () => {}},
  "what-if-answer": {},
  "what-if-box": {},
};
globalThis.document = {getElementById: (id) => byId[id]};
"""


class Fields(HTMLParser):
    """The form's fields and the text of the page's scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.form: dict[str, str] = {}
        self.scripts: list[str] = []
        self._select = self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._inside = tag
        if tag == "input":
            self.form[str(found["name"])] = found.get("value") or ""
        elif tag == "select":
            self._select = str(found["name"])
        elif tag == "option" and "selected" in found:
            self._inside = "selected"

    def handle_data(self, data: str) -> None:
        if self._inside == "selected":
            self.form[self._select] = data
        elif self._inside == "script":
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._inside = ""


def said(page: str, **changed: str) -> str:
    """What the box of a page says, with some of its fields changed."""
    fields = Fields()
    fields.feed(page)
    points, script = fields.scripts
    assert not changed.keys() - fields.form.keys()
    tail = 'console.log(byId["what-if-answer"].textContent);'
    given = json.dumps({"form": fields.form | changed, "points": points})
    done = subprocess.run(
        [NODE or "", "-", given],
        input=f"{STAND_IN}{script}{tail}",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def page_of(folder: Path, *deployed: Deployed, slo: dict[str, Any] | None = None) -> tuple[str, str]:
    """The page of a run, and where its answer sends the reader."""
    write_run(folder, deployed, slo=slo)
    return page_again(folder)


def page_again(folder: Path) -> tuple[str, str]:
    result = measure_and_judge(folder)
    (choice,) = choose(result)
    write_report(result, folder)
    assert choice.best is not None
    return (folder / "report.html").read_text(), place(choice.best)


def limits(*objectives: tuple[str, str, float], **more: float) -> dict[str, Any]:
    return {"objectives": [{"metric": m, "statistic": s, "limit_ms": v} for m, s, v in objectives]} | more


def test_few_samples_that_are_certain_pass_in_both(tmp_path: Path):
    one = Deployed(measure_s=150, concurrency=(1,))
    page, best = page_of(tmp_path, one, slo=limits(("ttft", "p95", 1000)))
    assert said(page).startswith(f"{best}:")
    assert said(page, **{"limit-0": "1500"}).startswith(f"{best}:"), "met at 1 s, so at 1.5 s"
    assert "1 of 1 steps lack the samples" in said(page, **{"limit-0": "900"})


def test_two_limits_on_one_metric_both_count(tmp_path: Path):
    both = limits(("ttft", "p50", 190), ("ttft", "p95", 400))
    page, best = page_of(tmp_path, Deployed(measure_s=200, concurrency=(1, 4, 8)), slo=both)
    assert best.endswith("concurrency 4")
    assert said(page).startswith(f"{best}:")
    assert said(page, **{"limit-0": ""}).startswith("ml.g5.xlarge at concurrency 8:")
    assert said(page, **{"limit-1": "180"}).startswith("ml.g5.xlarge at concurrency 1:")


def test_what_has_no_price_is_not_compared_with_dollars(tmp_path: Path):
    priced = Deployed(measure_s=120, concurrency=(4,))
    free = Deployed(
        "ml.new.xlarge", usd_per_hour=None, measure_s=120, concurrency=(4,), server=Server(tpot_ms=1)
    )
    page, best = page_of(tmp_path, priced, free, slo=limits(("e2e", "p50", 60_000)))
    assert best == "ml.g5.xlarge at concurrency 4"
    assert said(page).startswith(f"{best}:")
    assert "ml.new" not in said(page)


def test_throughput_counts_per_instance(tmp_path: Path):
    two = Deployed("ml.two.xlarge", usd_per_hour=None, measure_s=120, concurrency=(8,), instance_count=2)
    one = Deployed("ml.one.xlarge", usd_per_hour=None, measure_s=120, concurrency=(6,))
    page, best = page_of(tmp_path, two, one)
    assert best == "ml.one.xlarge at concurrency 6"
    assert said(page).startswith(f"{best}:")


def test_an_error_limit_of_the_plan_means_the_same_in_both(tmp_path: Path):
    write_run(tmp_path, (Deployed(measure_s=200, concurrency=(1, 4)),), slo=limits(error_rate=0.07))
    rows = pd.read_csv(tmp_path / "requests.csv")
    some = rows.index[rows["step"].str.endswith("/c4")][::20]
    rows.loc[some, "outcome"] = "failed"
    rows.to_csv(tmp_path / "requests.csv", index=False)
    page, best = page_again(tmp_path)
    assert best.endswith("concurrency 4")
    assert said(page).startswith(f"{best}:")
    assert said(page, errors="1").startswith("ml.g5.xlarge at concurrency 1:")
