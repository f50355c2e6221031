"""CloudWatch beside the client: units, windows, counts."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis.decide.cloudwatch import cloudwatch_latencies, further_invocations
from analysis.measure.results import RunResult
from analysis.render.plots.cloudwatch import where_time_goes
from analysis.report import measure_and_judge
from runfolder.appending import RowAppender
from runfolder.layout import CLOUDWATCH
from runfolder.records import CLOUDWATCH_COLUMNS, CloudWatchPoint
from tests.analysis.records import records

EXPERIMENT = "ml.g5.xlarge/en_1-500"


def with_points(run_folder: Path, tmp_path: Path, *points: tuple[str, str, float, float]) -> RunResult:
    """The run with CloudWatch points: metric, statistic, seconds into the first window, value."""
    folder = shutil.copytree(run_folder, tmp_path / "run", ignore=shutil.ignore_patterns("*.png", "report*"))
    window = measure_and_judge(folder).steps[0].window
    assert window is not None
    appender: RowAppender[CloudWatchPoint] = RowAppender(folder / CLOUDWATCH, CLOUDWATCH_COLUMNS)
    appender.append(
        CloudWatchPoint(EXPERIMENT, metric, statistic, "Microseconds", window.start + at, value)
        for metric, statistic, at, value in points
    )
    appender.close()
    return measure_and_judge(folder)


def test_microseconds_become_milliseconds_of_whole_periods_inside_the_window(
    run_folder: Path, tmp_path: Path
) -> None:
    result = with_points(
        run_folder,
        tmp_path,
        ("ModelLatency", "Average", -30, 9e9),  # begins before the window
        ("ModelLatency", "Average", 0, 1_500_000),
        ("ModelLatency", "Average", 30, 1_600_000),
        ("ModelLatency", "Average", 100, 9e9),  # ends after the window of 120 s
        ("ModelLatency", "p90", 30, 9e9),
        ("OverheadLatency", "Average", 0, 20_000),
        ("OverheadLatency", "Average", 30, 20_000),
    )
    (latency,) = cloudwatch_latencies(result)
    assert latency.model_ms == pytest.approx(1550)
    assert latency.overhead_ms == pytest.approx(20)
    assert latency.rest_ms == pytest.approx(latency.client_ms - 1570)
    drawn = where_time_goes(result)
    assert drawn is not None
    assert drawn.name == "where_time_goes"


def test_both_means_are_of_the_requests_that_ended_in_the_same_periods(
    run_folder: Path, tmp_path: Path
) -> None:
    result = with_points(
        run_folder,
        tmp_path,
        ("ModelLatency", "Average", 30, 1_000_000),
        ("ModelLatency", "Average", 60, 4_000_000),
        ("Invocations", "Sum", 30, 30.0),
        ("Invocations", "Sum", 60, 10.0),
    )
    (latency,) = cloudwatch_latencies(result)
    assert latency.model_ms == pytest.approx((30 * 1000 + 10 * 4000) / 40), (
        "a mean of means, each by its count"
    )
    window = latency.step.window
    assert window is not None
    rows = result.rows[result.rows["step"] == latency.step.id]
    ended = rows["started_at"] + rows["e2e_ms"] / 1000 - window.start
    assert latency.client_ms == pytest.approx(rows["e2e_ms"][ended.between(30, 90)].mean())
    assert latency.client_ms != pytest.approx(latency.step.latency["e2e"].mean, rel=1e-6)


def test_a_count_that_differs_from_cloudwatchs_becomes_a_trust_reason(
    run_folder: Path, tmp_path: Path
) -> None:
    result = with_points(run_folder, tmp_path, ("Invocations", "Sum", 0, 10.0))
    mine, other = result.experiments
    assert all("CloudWatch counted 10" in "; ".join(s.trust.texts) for s in mine.steps)
    assert not any("CloudWatch" in "; ".join(s.trust.texts) for s in other.steps)


def test_an_equal_count_raises_no_alarm(run_folder: Path, tmp_path: Path) -> None:
    rows = sum(s.step_counts.ended for s in measure_and_judge(run_folder).experiments[0].steps)
    result = with_points(run_folder, tmp_path, ("Invocations", "Sum", 0, float(rows)))
    assert not any("CloudWatch" in "; ".join(s.trust.texts) for s in result.steps)


def test_what_opened_and_closed_sessions_is_counted_and_what_was_not_sent_is_not() -> None:
    lost: dict[str, Any] = {"outcome": "failed", "error_class": "session", "elapsed_ms": 7.0}
    opened: dict[str, Any] = {"session_id": "a-1", "session_open_ms": 5.0}
    invocations: list[tuple[int, dict[str, Any]]] = [
        (2, opened),
        (2, {"session_close_ms": 5.0}),
        (3, opened | {"session_close_ms": 5.0}),
        (0, {"outcome": "censored", "elapsed_ms": 0.0}),
        (1, {"outcome": "censored", "elapsed_ms": 90.0}),
        (0, {"outcome": "withheld"}),
        (1, lost | {"session_open_ms": 5.0}),  # the session could not be opened
        (1, {"outcome": "censored", "elapsed_ms": 90.0, "session_open_ms": 90.0}),  # cut off while opening it
        (1, {"outcome": "failed", "error_class": "auth", "session_open_ms": 5.0}),
        (0, lost),  # it had expired
        (1, lost | {"http_status": 424}),  # the endpoint said so
    ]
    for count, row in invocations:
        assert 1 + further_invocations(records(row)) == count
    assert further_invocations(records(*(row for _, row in invocations))) == 12 - len(invocations)


def test_without_points_there_is_no_picture(run_folder: Path) -> None:
    assert cloudwatch_latencies(measure_and_judge(run_folder)) == []
    assert where_time_goes(measure_and_judge(run_folder)) is None
