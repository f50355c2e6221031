"""Whole runs of conversations: no turn overtakes its predecessor, and every turn ends as one row."""

import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.calibration.truth import AnswerSchedule
from runfolder.replayed_trace import TraceRow, write_trace
from tests.locustfiles.runs import Run
from tests.support.polling import eventually

pytestmark = pytest.mark.e2e

SLOW = AnswerSchedule(ttft=0.1, gap=0.05, tokens=8)  # 0.45 s
THINK_S = 0.2


def talks(truth: Callable[..., Run], profile: AnswerSchedule, turns: int = 3, **load: Any) -> Run:
    run = truth(
        profile, concurrency=load.pop("concurrency", None), load={"warm_up": 0.5, "measure": 1.5} | load
    )
    say = [{"prompt": f"turn {n}", "think_time": THINK_S} for n in range(1, turns + 1)]
    lines = "".join(json.dumps({"payload_id": f"p{n}", "turns": say}) + "\n" for n in range(3))
    Path(run.experiment.payload).write_text(lines, encoding="utf-8")
    return run


def by_session(run: Run) -> dict[tuple[str, str], list[dict[str, str]]]:
    """The rows of each conversation in the order of their turns: of a closed loop by worker and session."""
    found = defaultdict(list)
    for row in run.requests():
        if not row["session"]:
            continue
        found[row["worker"] if not row["arrival"] else "", row["session"]].append(row)
    return {key: sorted(rows, key=lambda row: int(row["turn"])) for key, rows in found.items()}


def check_turns(run: Run, turns: int, think_s: float = THINK_S) -> None:
    """Each conversation has a row of every turn, on one worker, and no turn overtakes its predecessor."""
    for rows in by_session(run).values():
        assert [int(row["turn"]) for row in rows] == list(range(1, turns + 1))
        assert len({row["worker"] for row in rows if row["worker"]}) <= 1
        cut = [row["outcome"] for row in rows].count("ok")
        assert [row["outcome"] for row in rows[:cut]] == ["ok"] * cut
        for before, after in pairwise(rows[:cut]):
            answered = float(before["started_at"]) + float(before["e2e_ms"]) / 1000
            assert float(after["started_at"]) >= answered + think_s - 1e-5


def test_no_turn_overtakes_its_predecessor_on_two_workers(truth: Callable[..., Run], free_port: int) -> None:
    run = talks(truth, SLOW, concurrency=(3,), rate=(8.0,), warm_up=0.3)
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert master.wait(60) == 0, run.log()
    assert [worker.wait(30) for worker in workers] == [0, 0]
    run.check_counts()
    check_turns(run, 3)
    ended = {row["error_detail"] for row in run.requests() if row["outcome"] != "ok"}
    assert ended <= {"the run ended before this turn", "its user was stopped before this turn"}
    for step in ("x/c3", "x/r8"):
        whole = [rows for rows in by_session(run).values() if rows[-1]["outcome"] == "ok"]
        assert {row["worker"] for rows in whole for row in rows if row["step"] == step} == {"w0", "w1"}


def test_a_lost_worker_and_an_interrupt_leave_a_row_of_every_turn(
    truth: Callable[..., Run], free_port: int
) -> None:
    run = talks(truth, SLOW, rate=(10.0,), measure=60.0)
    master = run.start(mode="master", expect_workers=2, master_port=free_port)
    workers = [run.start(mode="worker", master_port=free_port) for _ in range(2)]
    assert eventually(lambda: run.status().get("phase") == "measure"), run.log()
    os.killpg(workers[0].pid, signal.SIGKILL)
    assert eventually(lambda: "was lost" in run.log())
    assert eventually(lambda: run.status()["in_flight"] > 2), run.log()
    os.kill(master.pid, signal.SIGINT)
    assert master.wait(30) == 130, run.log()
    check_turns(run, 3)
    numbers = sorted(int(rows[0]["arrival"]) for rows in by_session(run).values())
    assert numbers == list(range(1, len(numbers) + 1))
    details = {row["error_detail"] for row in run.requests()}
    assert {"its worker was lost", "the run ended before this turn"} <= details


def test_a_turn_of_a_trace_waits_for_the_answer_before_it(truth: Callable[..., Run]) -> None:
    run = truth(SLOW, concurrency=None, load={"warm_up": 0.3, "trace": {"file": "t.csv", "speed": [2.5]}})
    rows = [TraceRow(n / 2, 6, 5, f"s{n % 4}" if n % 5 else None) for n in range(25)]
    write_trace(run.folder, sorted([*rows, TraceRow(4.1, 6, 5, "s0")], key=lambda row: row.at_s))
    assert run.play() == 0, run.log()
    run.check_counts()
    assert {row["outcome"] for row in run.requests()} == {"ok"}
    sessions = by_session(run).values()
    assert sorted(len(rows) for rows in sessions) == [5, 5, 5, 6]
    for turns in sessions:
        for before, after in pairwise(turns):
            answered = float(before["started_at"]) + float(before["e2e_ms"]) / 1000
            assert float(after["started_at"]) >= answered - 1e-5
    assert max(float(row["schedule_delay_ms"]) for rows in sessions for row in rows) > 100
