"""The live page's data: the report's figures, bounded in time and memory, and safe to show."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.metrics import definitions
from analysis.metrics.definitions import Window as ReportWindow
from configs.live_facts import LiveFacts
from configs.slo import Slo
from locustfiles.master.live_page import LiveState, add_live_state
from locustfiles.master.live_series import FIELDS, POINTS, LiveSeries, interval_seconds
from locustfiles.master.live_state import step_state, worker_states
from locustfiles.master.step_tally import StepTally, tokens_inside
from locustfiles.master.worker_state import WorkerState
from locustfiles.messages import MeasureWindow
from runfolder.layout import STATUS
from runfolder.records import Request, StepRow, WorkerReport
from tests.locustfiles.fake import Play
from tests.locustfiles.runs import experiment
from tests.locustfiles.test_tally import answers, frame

SLO = Slo.model_validate({"ttft_p50": "100ms", "e2e_mean": "1s", "ttft_p95": "300ms"})


def row(at: float, ttft_ms: float = 50.0, **values: Any) -> Request:
    """An ok answer that ends at ``at``."""
    defaults = {"e2e_ms": 100.0, "elapsed_ms": 100.0, "ttft_ms": ttft_ms, "completion_tokens": 10}
    return Request("r", "s", "w0", "p", at - 0.1, **{**defaults, **values})


def points_of(live: LiveSeries) -> list[dict[str, Any]]:
    points, _, more = live.points(0, POINTS + 1)
    assert not more
    return sorted((dict(zip(FIELDS, point, strict=True)) for point in points), key=lambda each: each["at"])


def closed(live: LiveSeries, until: float) -> list[dict[str, Any]]:
    live.close_until(until, until, target=4, in_flight=3)
    return points_of(live)


@settings(max_examples=40)
@given(rows=st.lists(answers(), min_size=1, max_size=10))
def test_tokens_over_time_are_those_of_the_report(rows: list[Request]) -> None:
    live = LiveSeries()
    for each in rows:
        live.add(each, 100.0)
    table = frame(rows)
    for point in closed(live, 60.0):
        window = MeasureWindow(point["at"], point["at"] + 1)
        expected = sum(tokens_inside(r, r.started_at + (r.e2e_ms or 0) / 1000, window) for r in rows)
        assert point["tokens_per_s"] == pytest.approx(expected, abs=0.01)
        assert point["tokens_per_s"] == pytest.approx(
            definitions.completion_tokens_in(table, ReportWindow(*window)), abs=0.01
        )


@settings(max_examples=40)
@given(rows=st.lists(answers(), min_size=1, max_size=30))
def test_figures_of_a_step_are_those_of_the_report(rows: list[Request]) -> None:
    window = MeasureWindow(10.0, 20.0)
    tally = StepTally(window=window)
    for each in rows:
        tally.add_ok(each, each.started_at + (each.e2e_ms or 0) / 1000)
    state = step_state(StepRow("s", "x", 1, 4), tally, SLO, 30.0)
    started = definitions.started_in(frame(rows), ReportWindow(*window))
    assert state["measured_ok"] == len(started)
    e2e_ms = definitions.e2e_ms(started)
    median = np.median(e2e_ms) if len(started) >= 10 else None
    assert state["e2e_p50_ms"] == (None if median is None else pytest.approx(median))
    assert state["e2e_p95_ms"] is None, "the report shows no p95 of thirty answers either"
    mean = e2e_ms.mean() if len(started) else math.nan
    if mean != pytest.approx(1000):  # at the limit, the last digit depends on the order of the sum
        expected = "unmeasured" if math.isnan(mean) else "met" if mean <= 1000 else "missed"
        assert state["checks"][1]["status"] == expected


def test_the_slo_is_missed_open_or_met() -> None:
    tally = StepTally(window=MeasureWindow(0.0, 1000.0))

    def verdict() -> tuple[str | None, list[str]]:
        state = step_state(StepRow("s", "x", 1, 4), tally, SLO, 1000.0)
        return state["slo"], [check["status"] for check in state["checks"]]

    assert verdict() == ("unmeasured", ["unmeasured"] * 3)
    for number in range(20):
        tally.add_ok(row(number + 1.0), number + 1.0)
    assert verdict() == ("open", ["met", "met", "open"])
    for number in range(80):
        tally.add_ok(row(number + 100.0), number + 100.0)
    assert verdict() == ("met", ["met", "met", "met"])
    for number in range(6):
        failed = Request("r", "s", "w0", "p", number + 200.0, outcome="failed", error_class="throttled")
        tally.add_failed(failed)
    assert verdict() == ("missed", ["met", "met", "met"]), "6 of 106 failed, and 5% is the limit"


def test_a_point_has_the_latencies_of_the_last_ten_seconds() -> None:
    live = LiveSeries()
    for second in range(30):
        live.add(row(second + 0.5, ttft_ms=float(second)), 100.0)
    points = closed(live, 30.0)
    assert [point["at"] for point in points] == list(range(30))
    assert points[-1] == {
        "at": 29.0, "target": 4, "in_flight": 3, "completed_per_s": 1.0, "failed_per_s": 0.0,
        "tokens_per_s": 10.0, "ttft_p50_ms": 24.5, "ttft_p95_ms": 28.55, "tpot_p50_ms": None,
        "tpot_p95_ms": None, "e2e_p50_ms": 100.0, "e2e_p95_ms": 100.0,
    }  # fmt: skip
    assert points[3]["ttft_p50_ms"] == 1.5


def test_a_page_gets_each_point_once_and_again_when_it_changes() -> None:
    live = LiveSeries()
    for second in range(10):
        live.add(row(second + 0.5), 100.0)
    live.close_until(10.0, 10.0, target=None, in_flight=None)
    first, version, more = live.points(0, 6)
    rest, version, last_more = live.points(version, 6)
    assert (len(first), more, len(rest), last_more) == (6, True, 4, False)
    assert live.points(version, 6) == ([], version, False)
    slow = row(11.5, ttft_ms=0.0, e2e_ms=4000.0)  # its tokens came from 11.4 to 15.4
    live.add(slow, 100.0)
    live.add(row(8.5), 100.0)  # a report that came late
    assert [point[0] for point in live.points(version, 6)[0]] == [8.0]
    live.close_until(16.0, 16.0, target=None, in_flight=None)
    assert sorted(point[0] for point in live.points(version, 20)[0] if point[0]) == [
        8,
        10,
        11,
        12,
        13,
        14,
        15,
    ]


def test_memory_is_bounded_however_long_the_run_and_whatever_the_times() -> None:
    live = LiveSeries()
    live.add(row(3.0), 1e9)  # a clock that was wrong
    for second in range(0, 20_000, 7):
        live.add(row(1e9 + second), 1e9 + second)
        live.close_until(1e9 + second, 1e9 + second, target=1, in_flight=1)
    assert len(live._intervals) <= POINTS + 8
    with_latencies = [interval for interval in live._intervals.values() if interval.values is not None]
    assert len(with_latencies) < 20
    assert len(points_of(live)) <= POINTS
    live.close_until(2e9, 2e9, target=1, in_flight=1)  # the machine slept for years
    assert len(live._intervals) <= POINTS


def test_an_interval_waits_for_a_silent_worker_but_not_forever() -> None:
    live = LiveSeries()
    live.add(row(5.5), 6.0)
    live.close_until(3.0, 20.0, target=1, in_flight=1)
    assert points_of(live) == []
    live.close_until(3.0, 40.0, target=1, in_flight=1)
    assert [point["at"] for point in points_of(live)] == [5.0, 6.0, 7.0, 8.0, 9.0]


def test_errors_are_kept_by_class_with_one_example() -> None:
    live = LiveSeries()
    for number in range(1000):
        detail = f"no. {number} " + "x" * 1000
        live.add(row(1.0, outcome="failed", error_class="throttled", error_detail=detail), 9.0)
    assert {name: (error.count, error.example[:5]) for name, error in live.errors.items()} == {
        "throttled": (1000, "no. 0")
    }
    assert len(live.errors["throttled"].example) == 300
    assert closed(live, 3.0)[0]["failed_per_s"] == 1000.0


@pytest.mark.parametrize(
    ("changes", "lost", "health"),
    [
        ({}, set(), "ok"),
        ({"cpu_percent": 97.0}, set(), "busy"),
        ({"clock_lag_p99_ms": 80.0}, set(), "late"),
        ({}, {"c"}, "silent"),
    ],
)
def test_a_load_generator_that_is_not_well_is_named(
    changes: dict[str, float], lost: set[str], health: str
) -> None:
    live = LiveSeries()
    values: dict[str, Any] = {"users": 1, "in_flight": 1, "cpu_percent": 20.0, "memory_mb": 80.0, **changes}
    live.workers["w0"] = WorkerReport("w0", "h", 100.0, "s", **values)
    workers = {"c": WorkerState("w0", "h", reported_at=100.0)}
    states = worker_states(workers, lost, live, 101.0)
    assert [state["health"] for state in states] == [health]
    assert worker_states(workers, set(), live, 120.0)[0]["health"] == "silent" or changes


def test_points_cover_the_planned_time(tmp_path: Path) -> None:
    assert interval_seconds(experiment(tmp_path)) == 1.0
    long = experiment(tmp_path, concurrency=(1, 2), load={"warm_up": 60.0, "measure": 3600.0})
    assert 2 * 3660 < POINTS * interval_seconds(long) < 3 * 3660


@pytest.fixture
def played(play: Play) -> Play:
    facts = LiveFacts(
        plan="p", slo=SLO, usd_per_hour=3.6, spent_usd=1.0, spent_at=play.clock.time(), max_spend_usd=5
    )
    play.experiment = play.experiment.model_copy(update={"live": facts})
    return play


def test_the_state_follows_a_run(played: Play) -> None:
    live = LiveState(played.experiment, played.sequence.board, played.collector, played.clock)
    played.sequence.board.live = live.state
    seen: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"load": "", "version": 0}

    def look() -> None:
        played.sequence.board.refresh()
        seen.append(json.loads(live.answer(asked["load"], asked["version"])))
        status = json.loads((played.experiment.run_folder / STATUS).read_text())
        assert status["live"].items() <= seen[-1].items(), "the terminal shows what the page shows"
        asked.update({key: seen[-1]["series"][key] for key in asked})
        played.clock.at(1.0, look)

    played.clock.at(1.0, look)
    began = played.clock.time()
    assert played() == 0
    played.clock.stall(1.0)
    look()
    assert {state["phase"] for state in seen} >= {"warm_up", "measure", "done"}
    assert {(state["ordinal"], state["steps_total"]) for state in seen} >= {(1, 2), (2, 2)}
    assert [state["target"] for state in seen if state["phase"] == "measure"][:1] == [2]
    spent = [state["cost"]["spent_usd"] for state in seen]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(1.0 + (played.clock.time() - began) * 0.001)
    assert (seen[-1]["exit_code"], seen[-1]["cost"]["max_spend_usd"]) == (0, 5)
    at = [point[0] for state in seen for point in state["series"]["points"]]
    assert len(set(at)) > 40
    last = {step["step"]: step for step in seen[-1]["steps"]}
    for step in played.steps():
        shown = last[step["step"]]
        assert [shown[key] for key in ("ok", "failed", "withheld")] == [
            int(step[key]) for key in ("ok", "failed", "withheld")
        ]
        assert shown["ttft_p50_ms"] == played.collector.steps[step["step"]].percentile("ttft_ms", 50)
        assert shown["state"] == "complete"


def test_with_a_login_of_locust_nothing_is_told_before_it() -> None:
    def ask(*, login: bool) -> Any:
        app = Flask(__name__)

        def guard(view: Callable[..., Any]) -> Callable[..., Any]:
            return (lambda *_, **__: ("log in", 401)) if login else view

        answer = SimpleNamespace(app=app, auth_required_if_enabled=guard)
        add_live_state(answer, lambda load, since: json.dumps([load, since]))
        return app.test_client().get("/live/state?load=a&since=7")

    assert ask(login=False).json == ["a", 7]
    assert ask(login=True).status_code == 401


def test_old_experiment_files_have_no_live_facts(tmp_path: Path) -> None:
    old = experiment(tmp_path).model_dump(mode="json")
    del old["live"]
    assert type(experiment(tmp_path)).model_validate(old).live == LiveFacts()
