"""Plays a search while its load runs: looks at the running probe, and tells the load what to do next.

It runs in this process, beside Locust. Every quarter of a second it looks at two small files. It measures a
probe only when its next look is due, with the functions of the report and from the newest requests alone.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from analysis.decide.search.course import Course, course_of
from analysis.decide.search.evidence import SPOILS, confirmation_rules, criteria_of, probe_of, rules_of
from analysis.decide.search.method import End, Measure, next_move
from analysis.decide.search.path import Running, path_of
from analysis.decide.search.probes import Probe
from analysis.decide.trust import check_little, check_step
from analysis.measure.results import StepResult
from bench.search_lines import line_at_end, line_of_close, line_of_wait
from bench.step_watch import StepWatch
from bench.terminal import Status, print_status
from common.errors import writing
from configs.plan import Plan
from configs.slo import DEFAULT_ERROR_RATE_LIMIT
from runfolder.load_commands import LOAD_COMMAND, LoadCommand
from runfolder.manifest import ExperimentEntry, Manifest
from runfolder.records import StepPurpose, StepRow
from runfolder.search_path import SEARCH_PATH, SearchPath


class LiveSearch:
    """One experiment's search.

    Args:
        plan: with the search and the SLO.
        manifest: of the run.
        entry: the experiment.
        folder: the run folder.
        say: prints a line about the search.
        now: the time, epoch seconds.
    """

    def __init__(
        self,
        plan: Plan,
        manifest: Manifest,
        entry: ExperimentEntry,
        folder: Path,
        *,
        say: Callable[[str], None] = print_status,
        now: Callable[[], float] = time.time,
    ) -> None:
        assert plan.load.search is not None  # noqa: S101 - the caller's condition
        self._search = plan.load.search
        self._objectives = plan.objectives
        limit = plan.slo.error_rate
        self._criteria = criteria_of(self._objectives, DEFAULT_ERROR_RATE_LIMIT if limit is None else limit)
        self._rules = rules_of(plan.load, self._search)
        if entry.rival is not None:
            self._rules = replace(self._rules, must_beat=entry.rival.must_beat)
        self._entry, self._folder = entry, folder
        self._watch = StepWatch(manifest, entry, folder, self._objectives)
        self._say, self._now = say, now
        self._done: list[StepResult] = []
        self._ordinal = 0
        self._until_s = 0.0
        """Seconds of measurement, all visits of the level together, at which to look next."""
        self._opened, self._closed = False, False
        """Whether the measurement of the newest step has been seen, and whether it is closed."""
        self._looked: StepResult | None = None
        """The newest step, at the last look."""
        self._concluded = 0
        self._arrivals = "requests"

    @property
    def course(self) -> Course:
        """The search so far."""
        return course_of(self._rules, self._criteria, self._done)

    def begin(self) -> None:
        """Write the command for the first probe, before the load starts."""
        (self._folder / LOAD_COMMAND).unlink(missing_ok=True)
        self._proceed()

    def tick(self, status: Status) -> None:
        """Look at the load, whose status this is; called several times a second."""
        row = self._watch.newest()
        if row is None:
            return
        self._arrivals = "requests" if status.get("turns_per_arrival") is None else "conversations"
        if row.ordinal != self._ordinal:
            self._ordinal = row.ordinal
            self._opened, self._closed, self._looked = False, False, None
            self._show(row)
        if row.state == "complete" and row.tail_ended_at is not None and self._concluded < row.ordinal:
            self._concluded = row.ordinal
            self._conclude(row)
        elif row.measure_started_at is not None and row.measure_ended_at is None and not self._closed:
            if not self._opened:
                self._opened = True
                self._show(row, row.measure_started_at + self._until_s - self._measured_s(row))
            self._look(row, row.measure_started_at, status.get("settled_until"))

    def _look(self, row: StepRow, started_at: float, settled: float | None) -> None:
        """Close the measurement if it is spoilt, decided or out of time; else say when to look next."""
        earlier_s = self._measured_s(row)
        now = self._now()
        if SPOILS.intersection((row.reason_codes or "").split(";")):
            self._close(row, "spoilt")
            return
        if earlier_s + now - started_at >= self._rules.most_s:
            self._close(row, "time")
            return
        if self._rules.limit_s is not None and self._spent(row) >= self._rules.limit_s:
            self._close(row, "limit")
            return
        if settled is None or earlier_s + settled - started_at < self._until_s:
            return
        step = self._watch.measure(row, ends=settled)
        check_little(step)
        self._looked = step
        probe = probe_of(step, self._criteria)
        if probe.outcome != "measured":
            self._close(row, probe.outcome)
            return
        move = self._move(step, probe)
        if isinstance(move, Measure) and move.level == probe.level:
            self._until_s = max(move.until_s, earlier_s + settled - started_at + 0.5)
            self._say(line_of_wait(row, self._arrivals, self._until_s - earlier_s - (now - started_at)))
            self._show(row, started_at + self._until_s - earlier_s)
        else:
            self._close(row, "decided")

    def _move(self, step: StepResult, probe: Probe) -> Measure | End:
        """What the running step leads to."""
        if step.purpose == "confirmation":
            rules = confirmation_rules(self._rules, probe.level)
            return next_move(rules, self._criteria, [probe])
        return course_of(self._rules, self._criteria, [*self._done, step]).move

    def _close(self, row: StepRow, why: str) -> None:
        self._closed = True
        self._say(line_of_close(row, self._arrivals, why))
        LoadCommand(at=row.ordinal, action="close").write(self._folder)
        self._show(row)

    def _conclude(self, row: StepRow) -> None:
        """Judge a step that is over, as the report will, and say what follows."""
        step = self._watch.measure(row)
        check_step(step)
        self._done.append(step)
        self._looked = None
        self._proceed()

    def _proceed(self) -> None:
        """Write the command that follows the steps so far."""
        course, ended = self.course, False
        out_of_time = self._rules.limit_s is not None and course.spent_s >= self._rules.limit_s
        if isinstance(course.move, Measure) and not course.confirmation_steps:
            self._until_s = course.move.until_s
            self._play(course.move.level, "probe")
        elif self._rules.confirm and not out_of_time and (rate := course.next_rate) is not None:
            self._until_s = confirmation_rules(self._rules, rate).least_s
            self._play(rate, "confirmation")
        else:
            ended = True
            self._say(line_at_end(course))
            LoadCommand(at=len(self._done), action="end").write(self._folder)
        self._write(path_of(course, self._entry.name, ended=ended))

    def _show(self, row: StepRow, looks_at: float | None = None) -> None:
        """Write the path while a step runs, for displays."""
        level = row.concurrency if row.rate is None else row.rate
        running = Running(row.step, float(level or 0.0), row.purpose or "probe", looks_at)
        steps = self._done if self._looked is None else [*self._done, self._looked]
        self._write(path_of(course_of(self._rules, self._criteria, steps), self._entry.name, running))

    def _write(self, path: SearchPath) -> None:
        with writing(self._folder / SEARCH_PATH):
            path.write(self._folder)

    def _play(self, level: float, purpose: StepPurpose) -> None:
        at, users = len(self._done), purpose == "probe" and self._search.over == "concurrency"
        command = (
            LoadCommand(at=at, action="play", concurrency=int(level), purpose=purpose)
            if users
            else LoadCommand(at=at, action="play", rate=level, purpose=purpose)
        )
        command.write(self._folder)

    def _measured_s(self, row: StepRow) -> float:
        """Seconds that earlier visits of the same level have measured and that count."""
        same = [step for step in self._done if _level(step) == _level(row)]
        return sum(step.seconds or 0.0 for step in same if probe_of(step, self._criteria).counts)

    def _spent(self, row: StepRow) -> float:
        spent_s = sum(step.spent_s or 0.0 for step in self._done)
        return spent_s + self._now() - (row.announced_at or self._now())


def _level(step: StepRow | StepResult) -> tuple[float | None, float | None, str | None]:
    """What a step plays: its users or its rate, and what for."""
    return step.concurrency, step.rate, step.purpose
