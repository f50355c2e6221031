"""The protocol of the steps under every fault that can be scripted, in milliseconds."""

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

from locustfiles.interrupts import Interrupts
from locustfiles.master.circuit_breaker import MIN_FAILURES, MIN_SECONDS
from runfolder.appending import RowAppender
from tests.locustfiles.fake import FakeWorker, Play
from tests.locustfiles.runs import rows_of


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def floats(row: dict[str, str], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def test_a_run_without_a_fault_is_complete_and_has_no_reasons(play: Play) -> None:
    assert play() == 0
    assert play.states() == ["complete", "complete"]
    assert [play.codes(n) for n in (1, 2)] == [[], []]
    assert play.link.asked_to_finish == ["drain"]
    for step in play.steps():
        phases = ("announced_at", "ramped_at", "measure_started_at", "measure_ended_at", "tail_ended_at")
        moments = floats(step, *phases)
        assert moments == sorted(moments)
        start, planned, end = floats(step, "measure_started_at", "measure_planned_end_at", "measure_ended_at")
        assert planned - start == pytest.approx(20.0)
        assert end - start == pytest.approx(20.0, abs=0.1)


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
    for worker in play.link.workers:
        play.during("tail", lambda: None)
        play.during("measure", partial(stick, worker))
        play.during("tail", partial(setattr, worker, "stuck_since", None), after=3.0)
    assert play() == 0
    assert ends[0] == ""
    assert ends[1] != ""


@pytest.mark.parametrize("phase", ["ramp", "warm_up", "measure", "tail"])
def test_a_worker_that_is_lost_is_a_code_of_its_step_and_the_next_has_fewer(play: Play, phase: str) -> None:
    lost = play.link.workers[0]
    stuck = play.link.workers[1]  # so that there is a tail
    play.during("measure", lambda: setattr(stuck, "stuck_since", play.clock.time()))
    play.during("tail", lambda: setattr(stuck, "stuck_since", None), after=2.0)
    play.during(phase, lambda: setattr(lost, "live", False))
    assert play() == 3
    assert play.codes(1)[0] == "worker_lost"
    assert "its rows of the last half second may be missing" in play.steps()[0]["reasons"]
    assert "fewer_workers" in play.codes(2)
    assert [step["workers"] for step in play.steps()] == ["2", "1"]
    assert play.states() == ["degraded", "degraded"]


def test_a_worker_that_joins_is_named_once_it_has_said_its_name(play: Play) -> None:
    def join() -> None:
        play.link.workers.append(late)
        play.link.report(late)

    late = FakeWorker("host_4711", "host_4711")  # Locust's raw id, until its hello comes
    play.during("measure", join)
    play.during("measure", lambda: setattr(late, "name", "w2 on far"), after=1.0)
    assert play() == 3
    assert play.codes(1) == ["worker_joined"]
    assert "w2 on far joined" in play.steps()[0]["reasons"]
    assert play.codes(2) == [], "from the next step on it is one of the workers"


def test_a_worker_that_comes_back_under_its_id_was_lost_and_joined(play: Play) -> None:
    worker = play.link.workers[0]
    play.during("measure", lambda: setattr(worker, "live", False))

    def back() -> None:
        worker.live = True
        play.link.report(worker)

    play.during("measure", back, after=5.0)
    assert play() == 3
    assert play.codes(1) == ["worker_lost", "worker_joined", "worker_silent"]
    assert play.codes(2) == []


def test_a_worker_that_freezes_inside_the_window_was_silent(play: Play) -> None:
    worker = play.link.workers[1]
    play.during("measure", lambda: setattr(worker, "frozen", True), after=5.0)
    play.during("measure", lambda: setattr(worker, "frozen", False), after=8.0)
    assert play() == 3
    assert play.codes(1) == ["worker_silent"]
    assert "w1 did not report for" in play.steps()[0]["reasons"]
    assert play.codes(2) == []


def test_a_short_pause_between_reports_is_nothing(play: Play) -> None:
    worker = play.link.workers[1]
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
    play.link.workers[1].acknowledges = False
    assert play() == 3
    assert play.codes(1) == ["unacknowledged"]
    assert "w1 did not acknowledge" in play.steps()[0]["reasons"]


def test_a_request_that_never_ends_holds_the_tail_no_longer_than_it_may_take(play: Play) -> None:
    play.during("measure", lambda: setattr(play.link.workers[0], "stuck_since", play.clock.time()))
    assert play() == 3
    assert play.codes(1) == ["unfinished_requests"]
    end, tail = floats(play.steps()[0], "measure_ended_at", "tail_ended_at")
    assert tail - end == pytest.approx(32.0, abs=1)


def test_users_that_do_not_come_are_counted(play: Play) -> None:
    class Short(type(play.link)):  # type: ignore[misc]  # the class of a fixture
        user_count = 1

    play.link.__class__ = Short
    assert play() == 3
    assert "too_few_users" in play.codes(1)


# How a run ends


def test_an_exception_inside_the_steps_is_no_success(play: Play) -> None:
    play.during("tail", lambda: play.link.breaks.update(announce=MemoryError("no room")), after=0.0)
    play.during("measure", lambda: play.link.breaks.update(announce=MemoryError("no room")))
    assert play() == 1
    assert play.sequence.status.exit_code == 1
    assert "MemoryError: no room" in play.sequence.status.message
    assert play.states() == ["complete", "interrupted"]
    assert play.codes(2) == ["failed"]


def test_the_steps_that_are_left_say_why_they_were_not_played(tmp_path: Path) -> None:
    play = Play(tmp_path, (1, 2, 4))
    play.link.breaks["announce"] = RuntimeError("a bug")
    assert play() == 1
    assert play.states() == ["interrupted", "planned", "planned"]
    assert [play.codes(n) for n in (2, 3)] == [["not_played"], ["not_played"]]
    assert "RuntimeError: a bug" in play.steps()[2]["reasons"]


@pytest.mark.parametrize("method", ["send_window", "finish", "locust_counts"])
def test_wherever_an_exception_comes_from_the_run_has_failed_and_ends(play: Play, method: str) -> None:
    play.link.breaks[method] = RuntimeError("a bug")
    assert play() == 1
    assert (play.sequence.status.phase, play.sequence.status.exit_code) == ("done", 1)
    assert "a bug" in play.sequence.status.message


def test_a_failure_beside_the_steps_ends_them(play: Play) -> None:
    play.during("measure", lambda: play.sequence.fail(ZeroDivisionError("beside")))
    assert play() == 1
    assert play.states() == ["interrupted", "planned"]
    assert "ZeroDivisionError: beside" in play.sequence.status.message


@pytest.mark.parametrize("phase", ["ramp", "warm_up", "measure"])
def test_an_interrupt_ends_the_step_in_order(play: Play, phase: str) -> None:
    play.during(phase, lambda: setattr(play.interrupts, "count", 1))
    assert play() == 130
    assert play.states() == ["interrupted", "planned"]
    assert play.codes(1) == ["interrupted"]
    assert play.link.asked_to_finish == ["abort"]
    assert bool(play.steps()[0]["measure_ended_at"]) == (phase == "measure")


def test_a_second_interrupt_waits_for_nobody(play: Play) -> None:
    for worker in play.link.workers:
        worker.finishes = False
    play.during("measure", lambda: setattr(play.interrupts, "count", 1))
    play.during("drain", lambda: setattr(play.interrupts, "count", 2))
    began = play.clock.monotonic()
    assert play() == 130
    assert play.clock.monotonic() - began < 10


def test_an_interrupt_while_the_last_requests_drain_cuts_them_off(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    for worker in play.link.workers:
        worker.finishes = False
    play.during("drain", lambda: setattr(play.interrupts, "count", 1))
    for worker in play.link.workers:
        play.during("drain", partial(vars(worker).update, finishes=True), after=1)
    play()
    assert play.link.asked_to_finish == ["drain", "abort"]


def test_a_worker_that_is_lost_while_it_drains_is_not_waited_for(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    play.link.workers[0].finishes = False
    ended: list[float] = []
    play.during("drain", lambda: ended.append(play.clock.monotonic()), after=0.0)
    play.during("drain", lambda: setattr(play.link.workers[0], "live", False), after=1.0)
    play()
    assert play.clock.monotonic() - ended[0] < 3


def test_locust_that_stops_the_test_is_no_success(play: Play) -> None:
    def stop() -> None:
        raise gevent.GreenletExit

    play.during("measure", stop)
    with pytest.raises(gevent.GreenletExit):
        play()
    assert play.sequence.exit_code == 130
    assert "stopped by hand" in play.steps()[0]["reasons"]


def test_a_worker_that_cannot_take_part_ends_the_run_before_its_first_step(play: Play) -> None:
    play.link.unready = {"w1 on far": "there are no AWS credentials"}
    assert play() == 1
    assert "worker w1 on far cannot take part: there are no AWS credentials" in play.sequence.status.message
    assert play.states() == ["planned", "planned"]
    assert play.codes(1) == ["not_played"]


def test_a_worker_that_never_answers_is_waited_for_a_minute(play: Play) -> None:
    play.link.unready = {"w1": None}
    began = play.clock.monotonic()
    assert play() == 1
    assert play.clock.monotonic() - began == pytest.approx(60, abs=5)


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RowAppender, "append", full)
    monkeypatch.setattr("locustfiles.master.step_table.replace_rows", full)


def test_a_disk_that_is_full_in_an_open_window_leaves_its_planned_end(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play.during("measure", lambda: fill_disk(monkeypatch), after=5.0)
    assert play() == 1
    assert "the disk is full" in play.sequence.status.message
    step = play.steps()[0]
    assert (step["state"], step["measure_ended_at"]) == ("running", "")
    assert float(step["measure_planned_end_at"]) > float(step["measure_started_at"])
    assert rows_of(play.folder / "requests.csv")


def test_locusts_count_that_differs_is_a_code(play: Play) -> None:
    play.link.invents = 7
    assert play() == 3
    assert play.codes(1) == ["locust_count_differs"]


# An endpoint that answers no more


def fail_all(play: Play, **values: object) -> Callable[[], None]:
    def do() -> None:
        for worker in play.link.workers:
            for name, value in values.items():
                setattr(worker, name, value)

    return do


def test_an_endpoint_that_dies_after_it_has_answered_ends_the_run(tmp_path: Path) -> None:
    play = Play(tmp_path, (2, 4, 8), measure=120.0)
    play.during("measure", fail_all(play, failing="model_5xx", detail="the container died"), after=10.0)
    assert play() == 4
    assert play.states() == ["interrupted", "planned", "planned"]
    assert play.codes(1) == ["refused"]
    assert play.codes(2) == ["not_played"]
    assert "the container died" in play.sequence.status.message
    start, end = floats(play.steps()[0], "measure_started_at", "measure_ended_at")
    assert end - start < 10 + MIN_SECONDS + 5


def test_a_short_burst_of_failures_ends_nothing(play: Play) -> None:
    play.during("measure", fail_all(play, failing="throttled"), after=2.0)
    play.during("measure", fail_all(play, failing=None), after=2.0 + MIN_SECONDS / 2)
    assert play() == 0


def test_throttling_that_lets_some_requests_through_ends_nothing(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,), measure=200.0)
    for second in range(0, 200, 20):
        play.during("measure", fail_all(play, failing="throttled"), after=second)
        play.during("measure", fail_all(play, failing=None), after=second + 19)
    assert play() == 0


def test_one_worker_that_still_gets_answers_keeps_the_run_alive(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,), measure=100.0)
    play.during("measure", lambda: setattr(play.link.workers[0], "failing", "connection"))
    assert play() == 0
    assert play.collector.steps["x/c2"].failed > MIN_FAILURES


def test_nothing_that_works_from_the_start_is_not_played(play: Play) -> None:
    fail_all(play, failing="connection")()
    assert play() == 4
    assert "none of the first" in play.sequence.status.message


# Reports that come twice, or late


def test_a_report_that_comes_twice_counts_once(play: Play) -> None:
    def again() -> None:
        worker = play.link.workers[0]
        report = play.link.report_of(worker)
        play.collector.handle_report(report)
        play.collector.handle_report(report)

    play.during("measure", again)
    assert play() == 0
    rows = rows_of(play.folder / "requests.csv")
    assert len({row["request_id"] for row in rows}) == len(rows)
    assert play.collector.dropped["arrived twice"] == 1


def test_reports_out_of_order_keep_their_rows_and_the_newest_state(play: Play) -> None:
    def swap() -> None:
        worker = play.link.workers[0]
        first, second = play.link.report_of(worker), play.link.report_of(worker)
        first.in_flight, second.in_flight = 7, 3
        play.collector.handle_report(second)
        play.collector.handle_report(first)
        assert play.collector.workers[worker.client].in_flight == 3

    play.during("measure", swap)
    assert play() == 0
    assert play.codes(1) == []


def test_rows_of_a_step_that_is_none_of_ours_are_dropped(play: Play) -> None:
    def forge() -> None:
        report = play.link.report_of(play.link.workers[0])
        rows: list[list[Any]] = report.rows
        for row in rows:
            row[1] = "y/c1"
        play.collector.handle_report(report)

    play.during("measure", forge)
    play()
    assert {row["step"] for row in rows_of(play.folder / "requests.csv")} == {"x/c2", "x/c4"}
    assert play.collector.dropped["row of an unknown step"] == 2


def test_a_burst_of_signals_is_one_request_to_end() -> None:
    moments = iter([0.0, 0.001, 0.002, 0.9, 1.5])
    interrupts = Interrupts(lambda: next(moments))
    assert [interrupts.record() for _ in range(5)] == [True, False, False, False, True]
    assert interrupts.count == 2


def test_a_worker_that_never_reports_is_no_worker_that_has_settled(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    play.link.workers[1].frozen = True
    assert play() == 3
    assert play.codes(1) == ["unfinished_requests", "worker_silent"]


def test_an_endpoint_that_scales_from_zero_is_waited_for_and_warmed_up(play: Play) -> None:
    fail_all(play, failing="not_ready", detail="no capacity yet")()
    play.during("warm_up", fail_all(play, failing=None), after=200.0)
    assert play() == 0
    assert play.states() == ["complete", "complete"]
    row = play.steps()[0]
    began, opened = floats(row, "ramped_at", "measure_started_at")
    assert opened - began > 200.0


def test_an_endpoint_that_never_becomes_ready_ends_the_run_with_its_own_words(play: Play) -> None:
    fail_all(play, failing="not_ready", detail="no capacity yet")()
    assert play() == 4
    assert play.sequence.status.message == "the endpoint was not ready within 15 min: no capacity yet"
