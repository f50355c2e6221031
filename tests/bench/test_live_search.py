"""A live search against the real protocol of the steps, with workers and a clock of the test's own."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.decide.search.course import Course
from analysis.decide.search.method import End
from bench.live_search import LiveSearch
from configs.plan import Plan
from locustfiles.master.live_page import LiveState
from locustfiles.messages import ReportMessage
from runfolder.load_commands import LOAD_COMMAND, LoadCommand, read_load_command
from runfolder.manifest import ExperimentEntry, Manifest, Rival
from runfolder.records import REQUEST_COLUMNS
from runfolder.search_path import read_search_path
from tests.locustfiles.fake import FakeWorker, Play

KNEE = 5


class SearchPlay:
    """A search of 4 to 16 users with an endpoint that meets its SLO up to `KNEE`."""

    def __init__(
        self,
        folder: Path,
        *,
        confirm: bool = False,
        limit: str = "494ms",
        rival: Rival | None = None,
        **search: Any,
    ) -> None:
        found = {"over": "concurrency", "from": 4, "to": 16} | search
        load = {"search": found, "confirm": confirm, "warm_up": 2.0, "measure": 60.0}
        self.play = Play(folder, None, workers=1, **load)
        self.play.group.answer_ms = lambda users: 490.0 if users <= KNEE else 498.0
        plan = Plan.model_validate({
            "name": "search",
            "model": {"name": "fake", "source": "local"},
            "workload": {"payload": "en_50-100"},
            "load": load,
            "slo": {"e2e_p95": limit, "error_rate": 0.01},
        })  # fmt: skip
        manifest = Manifest(run_id="r", plan=plan.model_dump(mode="json", by_alias=True), started_at=0.0)
        entry = ExperimentEntry(
            name="x", model="fake", instance_type="ml.g5.xlarge", payload="p", payload_file="p.jsonl",
            rival=rival,
        )  # fmt: skip
        self.lines: list[str] = []
        self.search = LiveSearch(
            plan, manifest, entry, folder, say=self.lines.append, now=self.play.clock.time
        )
        self.search.begin()
        self._tick()

    def _tick(self) -> None:
        self.search.tick({"settled_until": self.play.collector.settled_until})
        self.play.clock.at(0.25, self._tick)

    def __call__(self) -> int:
        return self.play()

    @property
    def course(self) -> Course:
        return self.search.course

    @property
    def levels(self) -> list[float]:
        return [probe.level for probe in self.course.probes]

    def when(self, condition: Callable[[], bool], action: Callable[[], object]) -> None:
        """Do something once, as soon as a condition holds."""
        if condition():
            action()
        else:
            self.play.clock.at(0.2, lambda: self.when(condition, action))

    def probing(self, level: int, phase: str = "measure") -> bool:
        status = self.play.sequence.status
        return status.target == level and status.phase == phase


def idle_report(report: ReportMessage) -> ReportMessage:
    """The same report of a worker that sent nothing."""
    return replace(report, rows=[], counts={}, oldest_start=None)


@pytest.fixture
def made(tmp_path: Path) -> SearchPlay:
    return SearchPlay(tmp_path)


def test_it_finds_the_knee_and_never_takes_the_load_off(made: SearchPlay) -> None:
    users: list[int] = []

    def watch() -> None:
        if made.play.sequence.status.phase not in ("start", "drain", "done"):
            users.append(made.play.group.users)
        made.play.clock.at(0.25, watch)

    watch()
    assert made() == 0
    assert made.levels == [4, 8, 6, 5]
    bracket = made.course.bracket
    assert (bracket.sure_low, bracket.sure_high) == (5, 6)
    assert made.course.is_sure
    assert made.play.group.asked_to_finish == ["drain"]
    assert made.lines[-1].endswith(": the bracket is closed; met at 5, missed at 6")
    assert min(users[users.index(4) :]) == 4


def test_the_path_so_far_is_data_for_the_live_page(made: SearchPlay) -> None:
    """Each probe from its ramp on: running, when it is looked at next, its verdict and what it measured."""
    seen: list[dict[str, Any]] = []
    play = made.play
    live = LiveState(play.experiment, play.sequence.board, play.collector, play.clock)

    def watch() -> None:
        seen.append(json.loads(live.answer("", 0))["search_path"])
        play.clock.at(0.5, watch)

    play.clock.at(1.0, watch)
    made()
    last_probes = [path["probes"][-1] for path in seen if path["probes"]]
    running = [(p["step"], p["verdict"]) for p in last_probes if p["running"]]
    assert list(dict.fromkeys(running))[:4] == [
        ("x/c4", None), ("x/c4", "met"), ("x/c8", None), ("x/c8", "missed"),
    ]  # fmt: skip
    ahead = [p["looks_at"] for p in last_probes if p["step"] == "x/c4" and p["looks_at"] is not None]
    assert ahead
    opened_at = float(play.steps()[0]["measure_started_at"])
    assert ahead == [pytest.approx(opened_at + 20, abs=0.001)] * len(ahead), "the first look is after 20 s"
    last = read_search_path(play.folder)
    assert last is not None
    assert [(p.level, p.verdict, p.running) for p in last.probes] == [
        (4, "met", False), (8, "missed", False), (6, "missed", False), (5, "met", False),
    ]  # fmt: skip
    assert (last.met, last.missed, last.met_surely, last.missed_surely, last.end) == (
        5,
        6,
        True,
        True,
        "found",
    )
    assert all(p.measured_s >= 20 and p.requests > 0 for p in last.probes)
    assert last.spent_s == pytest.approx(made.course.spent_s)
    assert [c.name for c in last.probes[0].criteria] == ["E2E p95 ≤ 494 ms", "errors"]


def test_a_probe_with_a_lost_worker_is_void_and_repeated(tmp_path: Path) -> None:
    made = SearchPlay(tmp_path)
    group = made.play.group
    idle = FakeWorker("c1", "w1")  # makes no load of its own
    group.workers.append(idle)
    report_of = group.report_of

    def report(worker: FakeWorker) -> ReportMessage:
        return idle_report(report_of(worker)) if worker is idle else report_of(worker)

    group.report_of = report  # type: ignore[method-assign]
    group.report(idle)

    def lose() -> None:
        idle.live = False
        group.users = 4  # Locust does not move the users of a lost worker by itself

    made.when(lambda: made.probing(8), lose)
    assert made() == 3, "a step is degraded"
    assert [(probe.level, probe.outcome) for probe in made.course.probes[:3]] == [
        (4, "measured"),
        (8, "void"),
        (8, "measured"),
    ]
    assert made.course.bracket.low is not None
    assert made.course.bracket.low.level == 5


def test_an_endpoint_that_dies_leaves_the_bracket_so_far(made: SearchPlay) -> None:
    worker = made.play.group.workers[0]
    made.when(lambda: made.probing(8), partial(setattr, worker, "failing", "connection"))
    assert made() == 4
    assert made.course.bracket.low is not None
    assert made.course.bracket.low.level == 4
    assert made.course.bracket.sure_high == 8, "every request failed there"
    assert not made.course.ended


def test_an_interrupt_leaves_the_bracket_so_far(made: SearchPlay) -> None:
    made.when(lambda: made.probing(6), made.play.interrupts.record)
    assert made() == 130
    assert made.levels == [4, 8]
    low, high = made.course.bracket.low, made.course.bracket.high
    assert (low and low.level, high and high.level) == (4, 8)


def test_a_type_that_cannot_have_the_best_price_is_left(tmp_path: Path) -> None:
    """16 users at two requests a second each: it would need 100 a second, and plays one probe."""
    rival = Rival(experiment="y", usd_per_request=0.001, spent_s=300.0, must_beat=100.0)
    made = SearchPlay(tmp_path, confirm=True, rival=rival)
    assert made() == 0
    assert made.levels == [4]
    assert made.course.confirmations == ()
    assert ": another instance type has a better price; met at 4" in made.lines[-1]
    path = read_search_path(made.play.folder)
    assert path is not None
    assert path.end == "beaten"


def test_its_time_limit_ends_it_in_order(tmp_path: Path) -> None:
    made = SearchPlay(tmp_path, at_most=40.0)
    assert made() == 0
    assert made.course.spent_s < 45
    assert "its time is over" in made.lines[-1]


def test_a_load_that_is_not_reached_is_repeated_and_then_out_of_reach(made: SearchPlay) -> None:
    """Half of the users do nothing: 8 users were never tested, whatever their latency."""
    report_of = made.play.group.report_of

    def idle(worker: Any) -> ReportMessage:
        report = report_of(worker)
        return replace(report, rows=report.rows[:3]) if made.play.group.users > 4 else report

    made.play.group.report_of = idle  # type: ignore[method-assign]
    made()
    assert [probe.outcome for probe in made.course.probes if probe.level == 8] == ["not_reached"] * 2
    assert made.course.bracket.out_of_reach == 5
    assert made.course.bracket.low is not None
    assert made.course.bracket.low.level == 4
    assert made.course.move == End("out_of_reach")


def test_a_rate_that_does_not_hold_is_lowered(tmp_path: Path) -> None:
    """The endpoint answers what arrives, but slowly above 9 requests a second."""
    made = SearchPlay(tmp_path, confirm=True)
    report_of = made.play.group.report_of

    def slower(worker: Any) -> ReportMessage:
        report = report_of(worker)
        rate = made.play.sequence.status.rate or 0.0
        for row in report.rows if rate > 9 else ():
            cells: Any = row
            cells[REQUEST_COLUMNS.index("e2e_ms")] = 500.0
        return report

    made.play.group.report_of = slower  # type: ignore[method-assign]
    made()
    rates = [confirmation.rate for confirmation in made.course.confirmations]
    assert rates == sorted(rates, reverse=True)
    assert [c.holds for c in made.course.confirmations] == [False] * (len(rates) - 1) + [True]
    assert rates[0] == pytest.approx(made.course.rates[5], rel=0.01)
    assert rates[-1] <= 9
    assert made.course.headroom == pytest.approx(rates[-1] / max(made.course.rates.values()))


def test_a_rate_is_searched_up_to_saturation(tmp_path: Path) -> None:
    """An endpoint that answers 10 requests a second: at 16, they pile up, and the master ends the probe."""
    made = SearchPlay(tmp_path, over="rate", limit="2s", resolution=0.5)
    made.play.group.workers[0].per_report = 5
    assert made() == 0
    outcomes = {probe.level: probe.outcome for probe in made.course.probes}
    assert outcomes[16] == "saturated"
    low, high = made.course.bracket.low, made.course.bracket.high
    assert low is not None
    assert high is not None
    assert 4 <= low.level < 10.5 <= high.level <= 16


@pytest.mark.parametrize(
    "content",
    ["{}", "nonsense", '{"at": 0, "action": "play"}', '{"at": 0, "action": "end", "rate": 2}'],
)
def test_a_damaged_command_is_no_command(tmp_path: Path, content: str) -> None:
    (tmp_path / LOAD_COMMAND).write_text(content)
    with pytest.raises(ValueError, match="is not valid"):
        read_load_command(tmp_path)


def test_a_damaged_command_ends_the_load_in_order(made: SearchPlay) -> None:
    made.when(lambda: made.probing(4), lambda: (made.play.folder / LOAD_COMMAND).write_text("{"))
    assert made() == 1
    assert "is not valid" in made.play.sequence.status.message


def test_an_old_command_changes_nothing(tmp_path: Path) -> None:
    command = LoadCommand(at=3, action="play", rate=2.5, purpose="probe")
    command.write(tmp_path)
    assert read_load_command(tmp_path) == command
