"""Whole runs: real Locust processes against a server that knows what it did."""

import json
import os
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.locustfiles.runs import LONG, Run, rows_of
from tests.support.polling import eventually

pytestmark = pytest.mark.e2e


def served(run: Run) -> int:
    """Answers that the server finished, by its own log (complete once it has ended)."""
    return len(rows_of(run.folder / "truth.csv"))


def idle_times(rows: list[dict[str, str]], start: float, end: float) -> list[float]:
    """Seconds without any request in flight, stretch by stretch, between two moments."""
    spans = sorted((float(row["started_at"]), float(row["elapsed_ms"]) / 1000) for row in rows)
    idle, busy_until = [], start
    for began, seconds in spans:
        idle.append(min(began, end) - busy_until)
        busy_until = max(busy_until, began + seconds)
    return [*idle, end - busy_until]


def test_a_local_run_leaves_everything_that_the_contract_names(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=(1, 3))
    assert run.play() == 0, run.log()
    run.check_counts()
    assert [step["state"] for step in run.steps()] == ["complete", "complete"]
    assert {row["outcome"] for row in run.requests()} == {"ok"}
    assert run.status()["phase"] == "done"
    assert rows_of(run.folder / "gaps.csv")
    assert rows_of(run.folder / "workers.csv")
    samples = [json.loads(line) for line in (run.folder / "samples.jsonl").read_text().splitlines()]
    assert {sample["step"] for sample in samples} == {"x/c1", "x/c3"}
    assert "sea" in samples[0]["prompt"]
    assert ("TTFT", "x/c3") in run.locust()


def test_the_phases_of_a_step_follow_each_other_and_load_never_drops(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=(2, 4))
    assert run.play() == 0, run.log()
    phases = ("announced_at", "ramped_at", "measure_started_at", "measure_ended_at", "tail_ended_at")
    moments = [float(step[phase]) for step in run.steps() for phase in phases]
    assert moments == sorted(moments)
    longest = max(float(row["e2e_ms"]) for row in run.requests()) / 1000
    assert max(idle_times(run.requests(), moments[1], moments[-1])) < longest  # somebody always sends


def test_a_step_ends_early_at_min_requests_and_never_before(truth: Callable[..., Run]) -> None:
    run = truth(load={"measure": 30.0, "min_requests": 20})
    assert run.play() == 0, run.log()
    step = run.steps()[0]
    start, end = float(step["measure_started_at"]), float(step["measure_ended_at"])
    inside = [
        row for row in run.requests() if start <= float(row["started_at"]) < end and row["outcome"] == "ok"
    ]
    assert len(inside) >= 20
    assert end - start < 30


@pytest.mark.parametrize("concurrency", [(4, 2)])
def test_a_lower_step_after_a_higher_one(truth: Callable[..., Run], concurrency: tuple[int, ...]) -> None:
    run = truth(concurrency=concurrency)
    assert run.play() == 0, run.log()
    run.check_counts()


def test_workers_forked_on_this_machine_lose_nothing(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(LONG, concurrency=(4,), load={"warm_up": 0.2, "measure": 1.0})
    assert run.play(processes=2, master_port=free_port) == 0, run.log()
    run.check_counts()
    assert {row["worker"] for row in run.requests()} == {"w0", "w1"}


def test_a_master_and_two_workers_lose_nothing(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(LONG, concurrency=(4,), load={"warm_up": 0.2, "measure": 1.0})
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert master.wait(60) == 0, run.log()
    assert [worker.wait(20) for worker in workers] == [0, 0]
    run.check_counts()
    assert {row["worker"] for row in run.requests()} == {"w0", "w1"}
    assert float(run.steps()[0]["master_cpu_percent"]) > 0
    for report in rows_of(run.folder / "workers.csv"):  # all clocks are this machine's
        assert float(report["clock_error_ms"]) > 0
        assert abs(float(report["clock_offset_ms"])) <= float(report["clock_error_ms"])
        assert 0 < float(report["rtt_ms"] or 1) < 100
    assert {row["outcome"] for row in run.requests()} == {"ok"}


def test_a_lost_worker_degrades_the_run(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(concurrency=(4,), load={"warm_up": 0.2, "measure": 9.0})
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    os.killpg(workers[0].pid, signal.SIGKILL)
    assert master.wait(60) == 3, run.log()
    assert run.steps()[0]["state"] == "degraded"
    assert "was lost" in run.steps()[0]["reasons"]
    assert run.requests()


def test_a_run_outlasts_the_absence_of_its_only_worker(truth: Callable[..., Run], free_port: int) -> None:
    run = truth(concurrency=(2, 4), load={"warm_up": 0.2, "measure": 6.0})
    master = run.start(mode="master", expect_workers=1, master_port=free_port)
    worker = run.start(mode="worker", master_port=free_port)
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    os.kill(worker.pid, signal.SIGSTOP)
    assert eventually(lambda: "was lost" in run.log()), run.log()
    os.kill(worker.pid, signal.SIGCONT)
    assert master.wait(90) == 3, run.log()
    assert worker.wait(20) == 0, run.log()
    assert [step["state"] for step in run.steps()] == ["degraded", "complete"]
    assert "was lost" in run.steps()[0]["reasons"]
    assert "the run waits for one" in run.log()
    run.check_counts()
    assert "Traceback" not in run.log()


def test_a_worker_that_joins_late_degrades_the_step_and_stops_no_tail(
    truth: Callable[..., Run], free_port: int
) -> None:
    run = truth(concurrency=(4,), load={"warm_up": 0.2, "measure": 25.0})
    master = run.start(mode="master", expect_workers=1, master_port=free_port)
    run.start(mode="worker", master_port=free_port)
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    late = run.start(mode="worker", master_port=free_port)
    assert eventually(lambda: "joined during the step" in run.steps()[0]["reasons"] or "joined" in run.log())
    os.killpg(late.pid, signal.SIGKILL)
    assert master.wait(150) == 3, run.log()
    assert "joined during the step" in run.steps()[0]["reasons"]
    assert "not every measured request ended" not in run.steps()[0]["reasons"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("processes", [None, 2])
def test_an_interrupt_writes_what_there_is(
    truth: Callable[..., Run], number: signal.Signals, processes: int | None, free_port: int
) -> None:
    run = truth(LONG, concurrency=(4, 8), load={"measure": 60.0})
    process = run.start(processes=processes, master_port=free_port)
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    assert eventually(lambda: run.status()["in_flight"] == 4), run.log()
    process.send_signal(number)
    assert process.wait(30) == 130, run.log()
    run.check_counts()
    assert [step["state"] for step in run.steps()] == ["interrupted", "planned"]
    censored = sum(row["outcome"] == "censored" for row in run.requests())
    assert 1 <= censored <= 4  # a user may be between two requests
    assert run.status()["message"] == "interrupted"
    assert run.status()["exit_code"] == 130


def test_signals_in_a_burst_are_one_and_lose_no_row(truth: Callable[..., Run], free_port: int) -> None:
    """The kernel tells of a parent's death once for each of its threads."""
    run = truth(LONG, concurrency=(4,), load={"measure": 60.0})
    process = run.start(processes=2, master_port=free_port)
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    assert eventually(lambda: run.status()["in_flight"] == 4), run.log()
    for _ in range(5):
        process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130, run.log()
    run.check_counts()
    assert sum(row["outcome"] == "censored" for row in run.requests()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_leave_loses_no_row(
    truth: Callable[..., Run], free_port: int, number: signal.Signals
) -> None:
    run = truth(concurrency=(4,), load={"warm_up": 0.2, "measure": 6.0})
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    workers[0].send_signal(number)
    assert workers[0].wait(30) == 0, run.log()
    assert master.wait(60) == 3, run.log()
    run.check_counts()
    assert "worker_lost" in run.steps()[0]["reason_codes"]


def test_an_interrupt_before_the_first_step(truth: Callable[..., Run], free_port: int) -> None:
    run = truth()
    master = run.start(mode="master", expect_workers=1, master_port=free_port)
    assert eventually(lambda: run.status().get("phase") == "start"), run.log()
    master.send_signal(signal.SIGINT)
    assert master.wait(30) == 130, run.log()


def test_rows_of_an_earlier_experiment_are_kept(truth: Callable[..., Run]) -> None:
    run = truth(concurrency=(1,))
    assert run.play() == 0, run.log()
    before = len(run.requests())
    second = run.experiment.model_copy(
        update={
            "name": "y",
            "steps": tuple(step.model_copy(update={"id": "y/c1"}) for step in run.experiment.steps),
        }
    )
    again = Run(run.folder, run.url, second)
    assert again.play() == 0, again.log()
    assert [step["experiment"] for step in again.steps()] == ["x", "y"]
    assert len(again.requests()) > before
    assert {row["step"] for row in rows_of(run.folder / "gaps.csv")} == {"x/c1", "y/c1"}


def test_no_process_is_left(truth: Callable[..., Run], free_port: int) -> None:
    run = truth()
    process = run.start(processes=2, master_port=free_port)
    assert eventually(lambda: len(psutil.Process(process.pid).children()) == 2)
    children = psutil.Process(process.pid).children()
    assert process.wait(60) == 0, run.log()
    assert eventually(lambda: not any(child.is_running() for child in children))
