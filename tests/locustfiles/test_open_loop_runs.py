"""Whole open-loop runs: real Locust processes against a server that knows what it did."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.locustfiles.runs import LONG, Run
from tests.support.polling import eventually

pytestmark = pytest.mark.e2e


def open_loop(truth: Callable[..., Run], *profile: Any, **load: Any) -> Run:
    return truth(*profile, concurrency=None, load={"warm_up": 0.5, "measure": 3.0} | load)


def check_arrivals(run: Run) -> None:
    """Every arrival up to the last one has one row, and what was sent is what the server served."""
    run.check_counts()
    rows = run.requests()
    numbers = sorted(int(row["arrival"]) for row in rows)
    assert numbers == list(range(1, len(rows) + 1))
    in_turn = sorted(rows, key=lambda row: int(row["arrival"]))
    arrived = [float(row["started_at"]) - float(row["schedule_delay_ms"]) / 1000 for row in in_turn]
    assert arrived == sorted(arrived)


def test_a_local_run_sends_each_arrival_once(truth: Callable[..., Run]) -> None:
    run = open_loop(truth, rate=(10.0, 30.0))
    assert run.play() == 0, run.log()
    check_arrivals(run)
    assert [step["state"] for step in run.steps()] == ["complete", "complete"]
    assert {row["outcome"] for row in run.requests()} == {"ok"}
    assert [step["concurrency"] for step in run.steps()] == ["", ""]


def test_users_give_way_to_arrivals(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=(3,), load={"warm_up": 0.5, "measure": 2.0, "rate": (20.0,)})
    assert run.play() == 0, run.log()
    run.check_counts()
    assert [step["state"] for step in run.steps()] == ["complete", "complete"]
    closed, opened = run.steps()
    last = max(float(r["started_at"]) for r in run.requests() if r["step"] == closed["step"])
    assert last < float(opened["announced_at"])
    assert {row["outcome"] for row in run.requests()} == {"ok"}


def test_a_master_and_two_workers_send_each_arrival_once(truth: Callable[..., Run], free_port: int) -> None:
    run = open_loop(truth, rate=(30.0,))
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert master.wait(60) == 0, run.log()
    assert [worker.wait(30) for worker in workers] == [0, 0]
    check_arrivals(run)
    odd = {row["worker"] for row in run.requests() if int(row["arrival"]) % 2}
    even = {row["worker"] for row in run.requests() if int(row["arrival"]) % 2 == 0}
    assert {len(odd), len(even)} == {1}
    assert odd | even == {"w0", "w1"}


def test_what_the_limit_withholds_is_a_row_and_a_failure_for_locust(truth: Callable[..., Run]) -> None:
    run = open_loop(truth, LONG, rate=(20.0, 40.0), max_in_flight=4)
    assert run.play() == 0, run.log()
    check_arrivals(run)
    first, second = run.steps()
    assert first["reason_codes"] == "saturated"
    assert (second["state"], second["reason_codes"]) == ("planned", "not_played")
    withheld = [row for row in run.requests() if row["outcome"] == "withheld"]
    assert len(withheld) == int(first["withheld"]) > 0
    assert {row["error_detail"] for row in withheld} == {"load.max_in_flight was reached"}
    assert "withheld" in (run.folder / "locust_failures.csv").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_row_for_every_arrival(
    truth: Callable[..., Run], number: signal.Signals
) -> None:
    run = open_loop(truth, LONG, rate=(20.0,), measure=60.0)
    process = run.start()
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    assert eventually(lambda: run.status()["in_flight"] > 5), run.log()
    process.send_signal(number)
    assert process.wait(30) == 130, run.log()
    run.check_counts()
    numbers = sorted(int(row["arrival"]) for row in run.requests())
    assert numbers == list(range(1, len(numbers) + 1))
    assert any(row["outcome"] == "censored" for row in run.requests())


def test_the_arrivals_of_a_lost_worker_end_as_rows(truth: Callable[..., Run], free_port: int) -> None:
    run = open_loop(truth, LONG, rate=(20.0,), measure=12.0)
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    os.killpg(workers[0].pid, signal.SIGKILL)
    assert master.wait(90) == 3, run.log()
    numbers = sorted(int(row["arrival"]) for row in run.requests())
    assert numbers == list(range(1, len(numbers) + 1))
    lost = [row for row in run.requests() if row["error_detail"] == "its worker was lost"]
    assert lost
    assert {row["outcome"] for row in lost} == {"censored"}
    assert "worker_lost" in run.steps()[0]["reason_codes"]
