"""What MLflow is to show of a report: the figures of summary.csv over the load, and what they are worth."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.render.mlflow_runs import LoggedReport, logged_report
from analysis.render.summary_json import summary_frame
from analysis.report import measure_and_judge
from runfolder.manifest import read_manifest
from tests.analysis.runs import SLO, summary_of
from tests.support.open_loop_run import make_open_loop
from tests.support.search_run import make_search
from tests.support.synthetic_run import Deployed, write_run


def logged(folder: Path) -> LoggedReport:
    return logged_report(summary_of(measure_and_judge(folder)), read_manifest(folder))


def test_figures_are_those_of_summary_csv_with_users_as_the_x_axis(run_folder: Path) -> None:
    table = summary_frame(measure_and_judge(run_folder))
    children = {child.name: child for child in logged(run_folder).children}
    assert list(children) == list(table["experiment"].unique())
    for name, child in children.items():
        own = table[table["experiment"] == name].set_index("concurrency", drop=False)
        assert {point.level for point in child.points} == {1, 4, 8}
        assert {point.key for point in child.points} >= {
            "ttft_ms_p95",
            "requests_per_minute",
            "usd_per_request",
        }
        for point in child.points:
            assert point.value == pytest.approx(own.loc[point.level, point.key]), point
        assert own["ttft_ms_p99"].isna().all()
        assert "ttft_ms_p99" not in {point.key for point in child.points}


def test_the_parent_has_the_figures_of_the_recommended_step(run_folder: Path) -> None:
    data = summary_of(measure_and_judge(run_folder))
    best = data["choices"][0]["best"]
    [step] = [s for e in data["experiments"] for s in e["steps"] if s["id"] == best["step"]]
    found = {point.key: (point.value, point.level) for point in logged(run_folder).parent.points}
    assert found["usd_per_request"] == (best["usd_per_request"], best["concurrency"])
    assert found["ttft_ms_p95"] == (step["ttft_ms"]["p95"], best["concurrency"])


def test_each_payload_has_its_own_recommendation(tmp_path: Path) -> None:
    one = Deployed(measure_s=120, concurrency=(2,))
    write_run(tmp_path, (one, replace(one, payload="en_500-1000")))
    found = {point.key.rpartition("/")[0] for point in logged(tmp_path).parent.points}
    assert found == {"en_1-500", "en_500-1000"}


def test_a_void_step_has_no_point_and_a_tag_that_says_why(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(2, 4)),), slo=SLO)
    steps = pd.read_csv(tmp_path / "steps.csv", dtype={"state": object})
    steps.loc[1, "state"] = "interrupted"
    steps.to_csv(tmp_path / "steps.csv", index=False)
    [child] = logged(tmp_path).children
    assert {point.level for point in child.points} == {2}
    assert child.tags["trust.c4"].startswith("void interrupted")
    assert child.tags["trust"] == logged(tmp_path).parent.tags["trust"] == "void"


def test_rates_and_users_share_no_axis(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(2, 4, 8, 2)),), slo=SLO)
    make_search(tmp_path, confirmations=1)
    by_users, by_rate = logged(tmp_path).children
    assert (by_users.tags["x_axis"], by_rate.tags["x_axis"]) == ("users", "arrivals per minute")
    rates = [point for point in by_rate.points if point.key == "rate"]
    assert [point.level for point in rates] == [round(60 * point.value) for point in rates]
    assert {point.level for point in by_users.points} == {2, 4, 8}


def test_every_run_says_that_it_is_a_rehearsal(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(2,)),), rehearsal=True)
    report = logged(tmp_path)
    for run in (report.parent, *report.children):
        assert run.tags["rehearsal"] == "true"
        assert "None of these figures is from AWS" in run.tags["mlflow.note.content"]


def test_another_figure_is_another_report_of_the_same_run(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(2,)),))
    before = logged(tmp_path)
    make_open_loop(tmp_path)
    after = logged(tmp_path)
    assert (before.key, logged(tmp_path).digest) == (after.key, after.digest)
    assert before.digest != after.digest
