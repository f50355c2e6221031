"""Workers, clocks and reports: the protocol of the steps under every fault that can be scripted."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.measure.step_window import describe
from analysis.metrics.definitions import Window, started_in
from runfolder import layout
from runfolder.reading import read_table, usable_requests
from runfolder.records import REQUEST_COLUMNS
from tests.locustfiles.fake import FakeWorker, Play, floats
from tests.locustfiles.runs import rows_of


def test_a_run_without_a_fault_is_complete_and_has_no_reasons(play: Play) -> None:
    assert play() == 0
    assert play.states() == ["complete", "complete"]
    assert [play.codes(n) for n in (1, 2)] == [[], []]
    assert play.group.asked_to_finish == ["drain"]
    for step in play.steps():
        phases = ("announced_at", "ramped_at", "measure_started_at", "measure_ended_at", "tail_ended_at")
        moments = floats(step, *phases)
        assert moments == sorted(moments)
        start, planned, end = floats(step, "measure_started_at", "measure_planned_end_at", "measure_ended_at")
        assert planned - start == pytest.approx(20.0)
        assert end - start == pytest.approx(20.0, abs=0.1)


def test_screen_web_page_and_report_show_the_same_median(tmp_path: Path) -> None:
    play = Play(tmp_path, (4,))
    assert play() == 0
    screen = json.loads((tmp_path / layout.STATUS).read_text(encoding="utf-8"))
    page = play.sequence.board.step_rows()[-1]
    requests = usable_requests(read_table(tmp_path / layout.REQUESTS, REQUEST_COLUMNS, []), [])
    window = Window(*floats(play.steps()[0], "measure_started_at", "measure_ended_at"))
    report = describe(started_in(requests, window), "ttft_ms", window)
    assert report is not None
    assert report.percentiles[50] == 21.5, "each worker's first tokens take 20, 21, 22 and 23 ms"
    assert screen["ttft_p50_ms"] == page["ttft_p50_ms"] == report.percentiles[50]


def test_a_step_that_has_enough_requests_ends_before_its_planned_end(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,), min_requests=20)
    assert play() == 0
    start, planned, end = floats(
        play.steps()[0], "measure_started_at", "measure_planned_end_at", "measure_ended_at"
    )
    assert end - start < 10 < planned - start


def test_the_end_of_a_window_is_on_record_before_its_tail(play: Play) -> None:
    def stick(worker: FakeWorker) -> None:
        worker.stuck_since = play.clock.time()

    ends: list[str] = []
    play.during("measure", lambda: ends.append(play.steps()[0]["measure_ended_at"]))
    play.during("tail", lambda: ends.append(play.steps()[0]["measure_ended_at"]), after=0.0)
    for worker in play.group.workers:
        play.during("tail", lambda: None)
        play.during("measure", partial(stick, worker))
        play.during("tail", partial(setattr, worker, "stuck_since", None), after=3.0)
    assert play() == 0
    assert ends[0] == ""
    assert ends[1] != ""


@pytest.mark.parametrize("phase", ["ramp", "warm_up", "measure", "tail"])
def test_a_worker_that_is_lost_is_a_code_of_its_step_and_the_next_has_fewer(play: Play, phase: str) -> None:
    lost = play.group.workers[0]
    stuck = play.group.workers[1]  # so that there is a tail
    play.during("measure", lambda: setattr(stuck, "stuck_since", play.clock.time()))
    play.during("tail", lambda: setattr(stuck, "stuck_since", None), after=2.0)
    play.during(phase, lambda: setattr(lost, "live", False))
    assert play() == 3
    assert play.codes(1)[0] == "worker_lost"
    assert "rows that it has not delivered are on its disk" in play.steps()[0]["reasons"]
    assert "fewer_workers" in play.codes(2)
    assert [step["workers"] for step in play.steps()] == ["2", "1"]
    assert play.states() == ["degraded", "degraded"]


def test_a_worker_that_joins_is_named_once_it_has_said_its_name(play: Play) -> None:
    def join() -> None:
        play.group.workers.append(late)
        play.group.report(late)

    late = FakeWorker("host_4711", "host_4711")  # Locust's raw id, until its hello comes
    play.during("measure", join)
    play.during("measure", lambda: setattr(late, "name", "w2 on far"), after=1.0)
    assert play() == 3
    assert play.codes(1) == ["worker_joined"]
    assert "w2 on far joined" in play.steps()[0]["reasons"]
    assert play.codes(2) == [], "from the next step on it is one of the workers"


def test_a_worker_that_comes_back_under_its_id_was_lost_and_joined(play: Play) -> None:
    worker = play.group.workers[0]
    play.during("measure", lambda: setattr(worker, "live", False))

    def back() -> None:
        worker.live = True
        play.group.report(worker)

    play.during("measure", back, after=5.0)
    assert play() == 3
    assert play.codes(1) == ["worker_lost", "worker_joined", "worker_silent"]
    assert play.codes(2) == []


def test_a_worker_that_freezes_inside_the_window_was_silent(play: Play) -> None:
    worker = play.group.workers[1]
    play.during("measure", lambda: setattr(worker, "frozen", True), after=5.0)
    play.during("measure", lambda: setattr(worker, "frozen", False), after=8.0)
    assert play() == 3
    assert play.codes(1) == ["worker_silent"]
    assert "w1 did not report for" in play.steps()[0]["reasons"]
    assert play.codes(2) == []


def test_a_short_pause_between_reports_is_nothing(play: Play) -> None:
    worker = play.group.workers[1]
    play.during("measure", lambda: setattr(worker, "frozen", True), after=5.0)
    play.during("measure", lambda: setattr(worker, "frozen", False), after=5.7)
    assert play() == 0
    assert play.codes(1) == []


@pytest.mark.parametrize("after", [5.0, 18.0], ids=["amid the window", "the window closes at wake-up"])
def test_a_process_that_was_stopped_voids_its_step(play: Play, after: float) -> None:
    play.during("measure", lambda: play.clock.stall(30.0), after=after)
    assert play() == 3
    assert "worker_silent" in play.codes(1)
    assert play.codes(2) == []


@pytest.mark.parametrize("after", [5.0, 19.9])
def test_a_machine_that_slept_is_a_gap_of_the_load_and_no_clock_that_was_set(
    play: Play, after: float
) -> None:
    play.during("measure", lambda: play.clock.suspend(30.0), after=after)
    assert play() == 3
    assert "load_gap" in play.codes(1)
    assert "clock_set" not in play.codes(1)
    assert "suspended for 30.0 s" in play.steps()[0]["reasons"]


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0, 0.2])
def test_a_clock_that_is_set_is_a_code(play: Play, seconds: float) -> None:
    play.during("measure", lambda: play.clock.set_by(seconds), after=5.0)
    assert play() == 3
    assert "clock_set" in play.codes(1)
    assert play.codes(2) == []


def test_a_worker_that_does_not_acknowledge_is_named(play: Play) -> None:
    play.group.workers[1].acknowledges = False
    assert play() == 3
    assert play.codes(1) == ["unacknowledged"]
    assert "w1 did not acknowledge" in play.steps()[0]["reasons"]


def test_a_request_that_never_ends_holds_the_tail_no_longer_than_it_may_take(play: Play) -> None:
    play.during("measure", lambda: setattr(play.group.workers[0], "stuck_since", play.clock.time()))
    assert play() == 3
    assert play.codes(1) == ["unfinished_requests"]
    end, tail = floats(play.steps()[0], "measure_ended_at", "tail_ended_at")
    assert tail - end == pytest.approx(32.0, abs=1)


def test_users_that_do_not_come_are_counted(play: Play) -> None:
    class Short(type(play.group)):  # type: ignore[misc]  # the class of a fixture
        user_count = 1

    play.group.__class__ = Short
    assert play() == 3
    assert "too_few_users" in play.codes(1)


# Reports that come twice, or late


def test_a_report_that_comes_twice_counts_once(play: Play) -> None:
    def again() -> None:
        worker = play.group.workers[0]
        report = play.group.report_of(worker)
        play.collector.handle_report(report)
        play.collector.handle_report(report)

    play.during("measure", again)
    assert play() == 0
    rows = rows_of(play.folder / "requests.csv")
    assert len({row["request_id"] for row in rows}) == len(rows)
    assert play.collector.dropped["arrived twice"] == 1


def test_reports_out_of_order_keep_their_rows_and_the_newest_state(play: Play) -> None:
    def swap() -> None:
        worker = play.group.workers[0]
        first, second = play.group.report_of(worker), play.group.report_of(worker)
        first.in_flight, second.in_flight = 7, 3
        play.collector.handle_report(second)
        play.collector.handle_report(first)
        assert play.collector.workers[worker.client].in_flight == 3

    play.during("measure", swap)
    assert play() == 0
    assert play.codes(1) == []


def test_rows_of_a_step_that_is_none_of_ours_are_dropped(play: Play) -> None:
    def forge() -> None:
        report = play.group.report_of(play.group.workers[0])
        rows: list[list[Any]] = report.rows
        for row in rows:
            row[1] = "y/c1"
        play.collector.handle_report(report)

    play.during("measure", forge)
    play()
    assert {row["step"] for row in rows_of(play.folder / "requests.csv")} == {"x/c2", "x/c4"}
    assert play.collector.dropped["row of an unknown step"] == 2


def test_a_worker_that_never_reports_is_no_worker_that_has_settled(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    play.group.workers[1].frozen = True
    assert play() == 3
    assert play.codes(1) == ["unfinished_requests", "worker_silent"]
