"""The master's book: rows, counts and clocks of the workers, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest

from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.step_checks import client_limits
from locustfiles.messages import Counts, MeasureWindow, ReportMessage
from locustfiles.worker import gap_histogram
from runfolder.records import REQUEST_COLUMNS, Request
from tests.locustfiles.runs import rows_of


def request(number: int, *, step: str = "s", started_at: float = 100.0, **values: Any) -> Request:
    return Request(f"w0-{number}", step, "w0", "p1", started_at, **values)


def report(rows: list[Request], counts: tuple[int, int, int, int], **values: Any) -> ReportMessage:
    defaults: dict[str, Any] = {
        "worker": "w0",
        "client_id": "client",
        "number": 1,
        "host": "h",
        "sent_at": 110.0,
        "step": "s",
        "users": 1,
        "in_flight": 0,
        "oldest_start": None,
        "first_row": 1,
        "rows": [[getattr(row, column) for column in REQUEST_COLUMNS] for row in rows],
        "gaps": [],
        "samples": [],
        "counts": {"s": counts},
        "health": None,
    }
    return ReportMessage(**{**defaults, **values})


@pytest.fixture
def collector(tmp_path: Path) -> ReportCollector:
    return ReportCollector(tmp_path, frozenset({"s"}))


def test_rows_that_did_not_arrive_and_requests_without_an_end_are_named(collector: ReportCollector) -> None:
    collector.handle_report(report([request(1, e2e_ms=5.0)], (4, 2, 0, 1)))
    assert collector.count_mismatches("s") == [
        ("requests_without_end", "w0: 1 requests never ended"),
        ("rows_missing", "w0: 2 rows did not arrive"),
    ]
    assert collector.counts("s") == Counts(4, 2, 0, 1)


def test_times_of_a_worker_whose_clock_is_ahead_are_put_right(
    collector: ReportCollector, tmp_path: Path
) -> None:
    collector.offsets["client"] = 30.0
    collector.handle_report(
        report([request(1, started_at=130.0)], (1, 1, 0, 0), oldest_start=140.0, sent_at=145.0)
    )
    assert float(rows_of(tmp_path / "requests.csv")[0]["started_at"]) == 100.0
    assert not collector.all_ended_before(111.0, {"client"})
    assert collector.all_ended_before(110.0, {"client"})


def test_a_lost_worker_is_not_waited_for(collector: ReportCollector) -> None:
    collector.handle_report(report([], (1, 0, 0, 0), oldest_start=90.0, in_flight=1))
    assert not collector.all_ended_before(100.0, {"client"})
    collector.lost.add("client")
    assert collector.all_ended_before(100.0, set()), (
        "a lost worker is not one of the step's workers, nor is one that joined too late"
    )
    assert collector.in_flight == 0


def test_a_client_that_was_the_bottleneck_is_named(collector: ReportCollector) -> None:
    health = {
        "cpu_percent": 97.0,
        "memory_mb": 90.0,
        "lag_p50_ms": 1.0,
        "lag_p99_ms": 90.0,
        "clock_lag_p50_ms": 1.0,
        "clock_lag_p99_ms": 80.0,
        "clock_step_ms": 0.0,
    }
    collector.handle_report(report([], (0, 0, 0, 0), health=health))
    degrading, informational = client_limits(collector.healths, MeasureWindow(100.0, 120.0))
    assert degrading == [("client_limited", "client-limited: w0 used 97% of its core")]
    assert informational == [("late_reading", "w0 read answers up to 80 ms late (p99)")]
    assert client_limits(collector.healths, MeasureWindow(0.0, 50.0)) == ([], [])


def test_a_clock_that_was_set_is_noticed(collector: ReportCollector) -> None:
    health = {
        "cpu_percent": 1.0,
        "memory_mb": 90.0,
        "lag_p50_ms": None,
        "lag_p99_ms": None,
        "clock_lag_p50_ms": None,
        "clock_lag_p99_ms": None,
        "clock_step_ms": -4000.0,
    }
    collector.handle_report(report([], (0, 0, 0, 0), health=health))
    assert collector.clock_steps == [(110.0, "the clock of w0 was set by -4000 ms")]


def test_gap_rows_of_other_experiments_are_kept(tmp_path: Path) -> None:
    for step in ("s", "t"):
        one = ReportCollector(tmp_path, frozenset({step}))
        one.handle_report(report([], (0, 0, 0, 0), gaps=[(step, gap_histogram.bucket_of(50.0), 7)]))
        one.close()
    assert [(row["step"], row["count"]) for row in rows_of(tmp_path / "gaps.csv")] == [("s", "7"), ("t", "7")]
