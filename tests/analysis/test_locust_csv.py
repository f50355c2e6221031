"""Locust's own CSV files: what can be known, what cannot, and how ours compare."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis import make_report
from analysis.locust_csv import load_locust
from analysis.prices import Prices
from analysis.report import load_result, reconcile_run, write_report
from bench.benchmarks.synthetic_run import Deployed, Server, write_run
from configs.errors import UserError

_PERCENTILES = ["50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"]
_SIZES = ["Min Response Time", "Max Response Time", "Average Content Size"]
STATS = ["Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time"]
STATS += [*_SIZES, "Requests/s", "Failures/s", *_PERCENTILES]
HISTORY = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", *_PERCENTILES]
HISTORY += ["Total Request Count", "Total Failure Count", "Total Median Response Time"]
HISTORY += ["Total Average Response Time", *(f"Total {name}" for name in _SIZES)]


def write(path: Path, columns: list[str], *rows: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="N/A")
        writer.writeheader()
        writer.writerows(rows)


def stats_row(name: str, count: int, failures: int, mean: float) -> dict[str, Any]:
    percentiles = {"50%": 900, "90%": 1500, "95%": 1900, "99%": 2300, "100%": 2500}
    return {"Type": "POST", "Name": name, "Request Count": count, "Failure Count": failures,
            "Average Response Time": mean, "Min Response Time": 300.5, "Max Response Time": 2512.0,
            "Requests/s": 3.2} | percentiles  # fmt: skip


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """120 requests of one name in a minute at 5 users, 6 of them failed."""
    write(
        tmp_path / "run_stats.csv",
        STATS,
        stats_row("/chat", 120, 6, 950.0),
        stats_row("Aggregated", 120, 6, 950.0),
    )
    points = [
        {"Timestamp": 1000 + s, "User Count": min(5, s), "Name": name, "Total Request Count": 2 * s,
         "Total Failure Count": s // 10}
        for s in range(61)
        for name in ("/chat", "Aggregated")
    ]  # fmt: skip
    write(tmp_path / "run_stats_history.csv", HISTORY, *points)
    columns = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
    write(tmp_path / "run_failures.csv", columns, {"Name": "/chat", "Error": "HTTP 429", "Occurrences": 6})
    return tmp_path / "run"


def test_what_locust_knows_is_read(prefix: Path):
    (step,) = load_locust(prefix, Prices(1.2)).steps
    assert (step.window_ok, step.window_failed, step.concurrency) == (114, 6, 5)
    assert step.error_rate == 0.05
    assert step.error_classes == {"HTTP 429": 6}
    assert step.shown("e2e", "p95") == 1900
    assert step.shown("e2e", "p99") is None
    assert step.latency["e2e"].bucketed
    assert step.per_minute == pytest.approx(60 * (110 - 6) / 55)


def test_with_a_price_the_cheapest_is_recommended(prefix: Path, tmp_path: Path):
    write(prefix.with_name("run_stats.csv"), STATS, stats_row("/chat", 120, 0, 950.0))
    points = [
        {"Timestamp": 1000 + s, "User Count": min(5, s), "Name": "/chat", "Type": "POST",
         "Total Request Count": 2 * s, "Total Failure Count": 0}
        for s in range(61)
    ]  # fmt: skip
    write(prefix.with_name("run_stats_history.csv"), HISTORY, *points)
    made = write_report(load_locust(prefix, Prices(1.2)), tmp_path / "out")
    assert made.answer.startswith("Use run at concurrency 5: it is the cheapest choice")
    assert made.summary["experiments"][0]["steps"][0]["usd_per_request"] == pytest.approx(1.2 / 60 / 120)


def test_levels_under_one_name_are_of_no_concurrency_and_void(prefix: Path, tmp_path: Path):
    write(prefix.with_name("run_stats.csv"), STATS, stats_row("/chat", 6660, 0, 950.0))
    points, total = [], 0
    for second in range(181):
        users = (1, 10, 100)[min(2, second // 60)]
        points.append({"Timestamp": 1000 + second, "User Count": users, "Name": "/chat", "Type": "POST",
                       "Total Request Count": total, "Total Failure Count": 0})  # fmt: skip
        total += users
    write(prefix.with_name("run_stats_history.csv"), HISTORY, *points)
    result = load_locust(prefix, Prices(1.2))
    (step,) = result.steps
    assert step.concurrency is None
    assert step.verdict.level == "void"
    made = write_report(result, tmp_path / "out")
    assert made.answer.startswith("No step can be trusted")
    assert "users varied (1 to 100)" in made.answer


def test_a_request_may_be_called_na(prefix: Path):
    write(prefix.with_name("run_stats.csv"), STATS, stats_row("NA", 120, 6, 950.0))
    assert [step.id for step in load_locust(prefix).steps] == ["NA"]


def test_what_locust_does_not_know_stays_unknown_and_is_said(prefix: Path, tmp_path: Path):
    result = load_locust(prefix)
    (step,) = result.steps
    assert step.completion_tokens_per_s is None
    assert "ttft" not in step.latency
    made = write_report(result, tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "percentiles come from rounded buckets" in page
    assert made.summary["experiments"][0]["steps"][0]["ttft_ms"]["p50"] is None


def test_without_history_throughput_is_unknown(prefix: Path):
    prefix.with_name("run_stats_history.csv").unlink()
    result = load_locust(prefix)
    assert result.steps[0].per_minute is None
    assert any("throughput is unknown" in p for p in result.problems)


def test_several_names_without_full_history_have_no_throughput_of_their_own(prefix: Path):
    write(
        prefix.with_name("run_stats.csv"),
        STATS,
        stats_row("a/c1", 60, 0, 900.0),
        stats_row("a/c2", 60, 0, 950.0),
    )
    result = load_locust(prefix)
    assert [s.concurrency for s in result.steps] == [1, 2]
    assert [s.per_minute for s in result.steps] == [None, None]
    assert any("--csv-full-history" in p for p in result.problems)


def test_no_file_and_another_file_are_clear_errors(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        load_locust(tmp_path / "nothing")
    (tmp_path / "x_stats.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not one of Locust's"):
        load_locust(tmp_path / "x")


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


def test_slow_failures_are_in_both_means(tmp_path: Path):
    folder = reconcilable(tmp_path, Server(failing=0.05, time_out_s=20))
    (one,) = reconcile_run(load_result(folder), folder)
    assert one.agrees


def test_a_record_without_the_time_of_failures_has_no_mean_to_compare(tmp_path: Path):
    folder = reconcilable(tmp_path, Server(failing=0.05, time_out_s=20))
    path = folder / "requests.csv"
    path.write_text(path.read_text().replace("elapsed_ms", "unknown_to_an_older_version", 1))
    (one,) = reconcile_run(load_result(folder), folder)
    assert (one.agrees, one.mean) == (True, "–")


def test_rows_and_locust_agree(reconciled: Path):
    made = make_report(reconciled)
    assert "| yes |" in (reconciled / "report.md").read_text()
    assert made.summary["experiments"][0]["steps"][0]["trust"]["level"] == "pass"


@pytest.mark.parametrize(("column", "factor"), [("Request Count", 2), ("Average Response Time", 1.1)])
def test_a_disagreement_reaches_the_verdict(reconciled: Path, column: str, factor: float):
    path = reconciled / "locust_stats.csv"
    with path.open() as file:
        (row,) = csv.DictReader(file)
    row[column] = str(int(float(row[column]) * factor))
    write(path, STATS, row)
    result = load_result(reconciled)
    (one,) = reconcile_run(result, reconciled)
    assert not one.agrees
    assert result.steps[0].verdict.level == "warn"
    assert "Locust's CSV says" in result.steps[0].verdict.reasons[-1].text


def test_a_real_locust_run_is_read(tmp_path: Path):
    """Locust itself is the oracle: a short real run against a port where nobody listens."""
    lines = ("from locust import HttpUser, task", "class U(HttpUser):", "    @task", "    def t(self):")
    (tmp_path / "file.py").write_text("\n".join([*lines, "        self.client.get('/x')"]))
    load = ["-u", "2", "-r", "2", "-t", "3s"]
    command = [sys.executable, "-m", "locust", "-f", "file.py", "--headless", *load]
    options = ["--host", "http://127.0.0.1:9", "--csv", "real", "--csv-full-history", "--only-summary"]
    subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    result = load_locust(tmp_path / "real")
    (step,) = result.steps
    assert step.error_rate == 1.0
    assert step.window_failed > 0
    assert step.concurrency == 2
    write_report(result, tmp_path / "out")
