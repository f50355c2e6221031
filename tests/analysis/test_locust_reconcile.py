"""Our rows beside Locust's own statistics: what agrees, and what becomes a trust reason."""

import csv
from pathlib import Path

import pytest

from analysis import make_report
from analysis.report import measure_and_judge
from tests.analysis.locust_csvs import STATS, stats_row, write
from tests.support.synthetic_run import Deployed, Server, write_run


def reconcilable(folder: Path, server: Server) -> Path:
    """A run and Locust's own row of it: every request's time is in its mean, failed or not."""
    write_run(folder, (Deployed(server=server, measure_s=60, concurrency=(4,)),))
    with (folder / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    mean = sum(float(row["elapsed_ms"]) for row in rows) / len(rows)
    failed = sum(row["outcome"] == "failed" for row in rows)
    write(folder / "locust_stats.csv", STATS, stats_row("ml.g5.xlarge/en_1-500/c4", len(rows), failed, mean))
    return folder


@pytest.fixture
def reconciled(tmp_path: Path) -> Path:
    return reconcilable(tmp_path / "run", Server())


def test_slow_failures_are_in_both_means(tmp_path: Path) -> None:
    folder = reconcilable(tmp_path, Server(failing=0.05, time_out_s=20))
    (compared,) = measure_and_judge(folder).reconciled
    assert compared.agrees


def test_a_turn_that_was_cut_off_unsent_is_in_no_mean(tmp_path: Path) -> None:
    folder = reconcilable(tmp_path, Server())
    with (folder / "locust_stats.csv").open() as file:
        [stats] = csv.DictReader(file)
    with (folder / "requests.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    unsent = last | {
        "request_id": "cut",
        "outcome": "censored",
        "elapsed_ms": "0.0",
        "e2e_ms": "",
        "turn": "2",
    }
    with (folder / "requests.csv").open("a", newline="") as file:
        csv.DictWriter(file, list(last)).writerow(unsent)
    counts = {name: str(int(stats[name]) + 1) for name in ("Request Count", "Failure Count")}
    write(folder / "locust_stats.csv", STATS, stats | counts)
    (compared,) = measure_and_judge(folder).reconciled
    assert compared.agrees
    assert compared.mean_ms == pytest.approx(float(stats["Average Response Time"]))


def test_a_record_without_the_time_of_failures_has_no_mean_to_compare(tmp_path: Path) -> None:
    folder = reconcilable(tmp_path, Server(failing=0.05, time_out_s=20))
    path = folder / "requests.csv"
    path.write_text(path.read_text().replace("elapsed_ms", "unknown_to_an_older_version", 1))
    (compared,) = measure_and_judge(folder).reconciled
    assert (compared.agrees, compared.mean_ms) == (True, None)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_rows_and_locust_agree(reconciled: Path) -> None:
    made = make_report(reconciled)
    assert "| yes |" in (reconciled / "report.md").read_text()
    assert made.summary["experiments"][0]["steps"][0]["trust"]["level"] == "pass"


@pytest.mark.parametrize(("column", "factor"), [("Request Count", 1.02), ("Average Response Time", 1.1)])
def test_a_disagreement_becomes_a_trust_reason(reconciled: Path, column: str, factor: float) -> None:
    path = reconciled / "locust_stats.csv"
    with path.open() as file:
        (row,) = csv.DictReader(file)
    row[column] = str(int(float(row[column]) * factor))
    write(path, STATS, row)
    result = measure_and_judge(reconciled)
    (compared,) = result.reconciled
    assert not compared.agrees
    assert result.steps[0].trust.level == "warn"
    assert "Locust's CSV says" in result.steps[0].trust.reasons[-1].text


def test_counts_that_differ_grossly_void_the_step(reconciled: Path) -> None:
    """More rows than Locust ever counted cannot be of this load."""
    path = reconciled / "locust_stats.csv"
    with path.open() as file:
        (row,) = csv.DictReader(file)
    write(path, STATS, row | {"Request Count": str(int(row["Request Count"]) // 2)})
    (step,) = measure_and_judge(reconciled).steps
    assert step.trust.level == "void"
    (reason,) = step.trust.reasons
    assert (reason.code, reason.values["rows"]) == ("locust_csv_differs", step.step_counts.ok)
