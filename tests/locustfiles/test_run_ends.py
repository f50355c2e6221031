"""How a run ends: after interrupts, faults on this side, and an endpoint that stops answering."""

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gevent
import pytest

from locustfiles.interrupts import Interrupts
from locustfiles.master.circuit_breaker import MIN_FAILURES, MIN_SECONDS
from runfolder.appending import RowAppender
from tests.locustfiles.fake import Play, floats
from tests.locustfiles.runs import rows_of


def test_an_exception_inside_the_steps_is_no_success(play: Play) -> None:
    play.during("tail", lambda: play.group.breaks.update(announce=MemoryError("no room")), after=0.0)
    play.during("measure", lambda: play.group.breaks.update(announce=MemoryError("no room")))
    assert play() == 1
    assert play.sequence.status.exit_code == 1
    assert "MemoryError: no room" in play.sequence.status.message
    assert play.states() == ["complete", "interrupted"]
    assert play.codes(2) == ["failed"]


def test_the_steps_that_are_left_say_why_they_were_not_played(tmp_path: Path) -> None:
    play = Play(tmp_path, (1, 2, 4))
    play.group.breaks["announce"] = RuntimeError("a bug")
    assert play() == 1
    assert play.states() == ["interrupted", "planned", "planned"]
    assert [play.codes(n) for n in (2, 3)] == [["not_played"], ["not_played"]]
    assert "RuntimeError: a bug" in play.steps()[2]["reasons"]


@pytest.mark.parametrize("method", ["send_window", "finish", "locust_counts"])
def test_wherever_an_exception_comes_from_the_run_has_failed_and_ends(play: Play, method: str) -> None:
    play.group.breaks[method] = RuntimeError("a bug")
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
    assert play.group.asked_to_finish == ["abort"]
    assert bool(play.steps()[0]["measure_ended_at"]) == (phase == "measure")


def test_a_second_interrupt_waits_for_nobody(play: Play) -> None:
    for worker in play.group.workers:
        worker.finishes = False
    play.during("measure", lambda: setattr(play.interrupts, "count", 1))
    play.during("drain", lambda: setattr(play.interrupts, "count", 2))
    began = play.clock.monotonic()
    assert play() == 130
    assert play.clock.monotonic() - began < 10


def test_an_interrupt_while_the_last_requests_drain_cuts_them_off(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    for worker in play.group.workers:
        worker.finishes = False
    play.during("drain", lambda: setattr(play.interrupts, "count", 1))
    for worker in play.group.workers:
        play.during("drain", partial(vars(worker).update, finishes=True), after=1)
    play()
    assert play.group.asked_to_finish == ["drain", "abort"]


def test_a_worker_that_is_lost_while_it_drains_is_not_waited_for(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,))
    play.group.workers[0].finishes = False
    ended: list[float] = []
    play.during("drain", lambda: ended.append(play.clock.monotonic()), after=0.0)
    play.during("drain", lambda: setattr(play.group.workers[0], "live", False), after=1.0)
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
    play.group.unready = {"w1 on far": "there are no AWS credentials"}
    assert play() == 1
    assert "worker w1 on far cannot take part: there are no AWS credentials" in play.sequence.status.message
    assert play.states() == ["planned", "planned"]
    assert play.codes(1) == ["not_played"]


def test_a_worker_that_never_answers_is_waited_for_a_minute(play: Play) -> None:
    play.group.unready = {"w1": None}
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
    play.group.invents = 7
    assert play() == 3
    assert play.codes(1) == ["locust_count_differs"]


# An endpoint that answers no more


def fail_all(play: Play, **values: object) -> Callable[[], None]:
    def do() -> None:
        for worker in play.group.workers:
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
    play.during("measure", lambda: setattr(play.group.workers[0], "failing", "connection"))
    assert play() == 0
    assert play.collector.steps["x/c2"].failed > MIN_FAILURES


def test_nothing_that_works_from_the_start_is_not_played(play: Play) -> None:
    fail_all(play, failing="connection")()
    assert play() == 4
    assert "none of the first" in play.sequence.status.message


def test_a_burst_of_signals_is_one_request_to_end() -> None:
    moments = iter([0.0, 0.001, 0.002, 0.9, 1.5])
    interrupts = Interrupts(lambda: next(moments))
    assert [interrupts.record() for _ in range(5)] == [True, False, False, False, True]
    assert interrupts.count == 2


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
