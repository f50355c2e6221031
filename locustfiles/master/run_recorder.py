"""The run folder of a plain Locust test: a step for each number of users and each name of invocations."""

from locust.env import Environment
from locust.runners import STATE_RUNNING, LocalRunner, MasterRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

import logging
import platform
import sys
import time
from collections import Counter
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import gevent

from common.errors import writing
from common.exit_codes import ExitCode
from locustfiles import messages
from locustfiles.master.levels import Level, Levels
from locustfiles.master.report_collector import ReportCollector
from locustfiles.message_seal import MessageError
from locustfiles.messages import ReportMessage
from runfolder import layout
from runfolder.appending import replace_rows
from runfolder.manifest import ExperimentEntry, Manifest
from runfolder.records import REQUEST_COLUMNS, STEP_COLUMNS, StepRow

logger = logging.getLogger(__name__)

DRAIN_S = 60.0
"""How long the invocations in flight may take to end, unless ``--stop-timeout`` says more or less."""
_POLL_S = 0.05
_GRACE_S = 10.0
_LATE_S = 0.3
_STEP = REQUEST_COLUMNS.index("step")
_STARTED_AT = REQUEST_COLUMNS.index("started_at")
_REQUEST_ID = REQUEST_COLUMNS.index("request_id")


class RunRecorder:
    """Writes the run folder of one test.

    Args:
        folder: holds no run yet.
        users_in_flight: whether every user always has a request in flight, so that users are concurrency.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, users_in_flight: bool) -> None:
        self.folder = folder
        with writing(folder):
            layout.create_run_folder(folder, exist_ok=True)  # --csv may have made it
        self._users_in_flight = users_in_flight
        self.levels = Levels()
        self._collector = ReportCollector(folder, frozenset())
        self._steps: dict[tuple[str, str], StepRow] = {}
        """By name of invocations and level."""
        self._endpoints: dict[str, str] = {}
        self._started: dict[str, dict[str, int]] = {}
        """Client id → name → invocations according to its log."""
        self._manifest = Manifest(
            run_id=folder.name,
            plan={"name": folder.name},
            started_at=time.time(),
            versions={"python": platform.python_version(), "locust": metadata.version("locust")},
        )
        self.save()

    def tell_endpoint(self, name: str, endpoint: str) -> None:
        """Note which endpoint the invocations of a name go to."""
        self._endpoints[name] = endpoint

    def handle(self, report: ReportMessage) -> None:
        """Write the rows of a report, each under its step."""
        step_of: dict[str, str] = {}
        rows: list[tuple[Any, ...]] = []
        for row in cast("list[tuple[Any, ...]]", report.rows):
            step = self._step(row[_STEP], self.levels.at(row[_STARTED_AT]))
            step_of[row[_REQUEST_ID]] = step.step
            rows.append((*row[:_STEP], step.step, *row[_STEP + 1 :]))
        self._started[report.client_id] = {name: counts[0] for name, counts in report.counts.items()}
        samples = [sample | {"step": step_of[str(sample["request_id"])]} for sample in report.samples]
        self._collector.handle_report(replace(report, rows=rows, samples=samples, counts={}))

    def _step(self, name: str, level: Level) -> StepRow:
        known = self._steps.get((name, level.name))
        if known is None:
            known = self._steps[name, level.name] = StepRow(
                step=f"{name}/{level.name}",
                experiment=name,
                ordinal=len(self._steps) + 1,
                concurrency=level.users if self._users_in_flight else None,
                state="running",
                announced_at=level.announced_at,
            )
            self._collector.add_step(known.step)
            self.save()
        return known

    def windows(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Name → step → its measure window, of the levels whose users had all started."""
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for level in self.levels:
            if level.ramped_at is not None and level.ended_at is not None:
                for name in {name for name, _ in self._steps}:
                    found.setdefault(name, {})[f"{name}/{level.name}"] = (level.ramped_at, level.ended_at)
        return found

    def finish(self) -> None:
        """Write what is left; the run is complete."""
        now = time.time()
        for level in self.levels:
            for (_, name), step in self._steps.items():
                if name == level.name:
                    self._end(step, level, now)
        missing = self._missing()
        for (name, _), step in reversed(self._steps.items()):
            if lost := missing.pop(name, 0):
                step.started = (step.started or 0) + lost
        self._collector.close()
        self._manifest.state, self._manifest.ended_at = "complete", now
        self.save()
        if self._collector.unwritable is not None:
            logger.error("%s", self._collector.unwritable)

    def _missing(self) -> Counter[str]:
        """Invocations of each name that a process began and that have no row."""
        missing: Counter[str] = Counter()
        for counts in self._started.values():
            missing.update(counts)
        for (name, _), step in self._steps.items():
            missing[name] -= step.started or 0
        return +missing

    def _end(self, step: StepRow, level: Level, now: float) -> None:
        tally = self._collector.steps[step.step]
        step.ok, step.failed, step.censored, step.withheld = tally.ok, tally.failed, tally.censored, 0
        step.started = tally.ok + tally.failed + tally.censored
        step.ramped_at = step.measure_started_at = level.ramped_at
        step.measure_planned_end_at = step.measure_ended_at = level.ended_at if level.ramped_at else None
        step.tail_ended_at = now
        step.workers = len(self._collector.workers)
        step.state = "complete"

    def save(self) -> None:
        """Write the steps and the manifest."""
        with self._collector.writing(layout.STEPS):
            replace_rows(self.folder / layout.STEPS, STEP_COLUMNS, self._steps.values())
        self._manifest.experiments = [self._entry(name) for name in {name: None for name, _ in self._steps}]
        with self._collector.writing(layout.MANIFEST):
            self._manifest.save(self.folder)

    def _entry(self, name: str) -> ExperimentEntry:
        endpoint = self._endpoints.get(name, name)
        return ExperimentEntry(
            name=name,
            model=endpoint,
            instance_type=endpoint,
            payload=name,
            payload_file=name,
            steps=[step.step for (own, _), step in self._steps.items() if own == name],
            endpoint_name=endpoint,
            load_started_at=self._manifest.started_at,
            load_ended_at=self._manifest.ended_at,
            state="complete" if self._manifest.ended_at else "running",
        )


class RunRecording:
    """Follows Locust's tests, on the master or in a single process, and writes a run folder of each."""

    def __init__(self, environment: Environment, runner: LocalRunner | MasterRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._run: RunRecorder | None = None
        self._finished: set[str] = set()
        runner.register_message(messages.REPORT, self._on_report)
        runner.register_message(messages.NAME, self._on_name)
        runner.register_message(messages.FINISHED, self._on_finished)
        runner.register_message(messages.READY, self._on_refusal)
        # Not in Locust's event test_stopping: a single process has then just stood still for up to 0.3 s, to
        # log who stopped it, while answers were arriving.
        self._stop = runner.stop
        runner.stop = self._stop_in_order  # type: ignore[method-assign]

    def begin(self, folder: Path, *, users_in_flight: bool) -> None:
        """Begin a test.

        Raises:
            UserError: the run folder cannot be made.
        """
        self._run = RunRecorder(_free(folder), users_in_flight=users_in_flight)
        logger.info("The run folder is %s", self._run.folder)
        self._finished.clear()
        gevent.spawn(self._follow_users, self._run)

    def _follow_users(self, run: RunRecorder) -> None:
        """Watch the number of users: Locust's event for the end of a ramp does not wait for slow workers."""
        while run is self._run and not run.levels.ended:
            now, users = time.time(), self._runner.target_user_count
            if run.levels.ask(users, now):
                run.save()
            if self._runner.state == STATE_RUNNING and self._runner.user_count == users:
                run.levels.spawned(now)
            gevent.sleep(_POLL_S)

    def _on_report(self, msg: Any, **_: object) -> None:
        try:
            report = messages.read_message(
                messages.REPORT, msg.data, trusted=isinstance(self._runner, LocalRunner)
            )
        except MessageError as error:
            logger.warning("A worker's report was ignored: %s", error)
            return
        if self._run is not None:
            self._run.handle(report)

    def _on_name(self, msg: Any, **_: object) -> None:
        if self._run is not None:
            self._run.tell_endpoint(str(msg.data["name"]), str(msg.data["endpoint"]))

    def _on_refusal(self, msg: Any, **_: object) -> None:
        """A worker cannot take part: without a web page, the whole run ends."""
        logger.error("A worker cannot take part: %s", msg.data["error"])
        options = self._environment.parsed_options
        if options is not None and options.headless:
            self._environment.process_exit_code = ExitCode.BAD_INPUT
            gevent.spawn(self._quit)

    def _quit(self) -> None:
        self._runner.quit()
        sys.exit(ExitCode.BAD_INPUT)  # gevent raises it in the main greenlet, which may wait for workers

    def _on_finished(self, msg: Any, **_: object) -> None:
        self._finished.add(str(msg.data["client_id"]))

    def _stop_in_order(self, *arguments: Any, **named: Any) -> None:
        """Locust's ``stop``, after the end of the run."""
        self._end_run()
        self._stop(*arguments, **named)

    def _end_run(self) -> None:
        """Wait for the invocations in flight, then close the run folder."""
        run = self._run
        if run is None or run.levels.ended:
            return
        run.levels.end(time.time())
        timeout = self._environment.stop_timeout or DRAIN_S
        self._runner.send_message(messages.FINISH, {"timeout": timeout, "windows": run.windows()})
        deadline = time.monotonic() + timeout + _GRACE_S
        while not self._live() <= self._finished and time.monotonic() < deadline:
            gevent.sleep(0.02)
        if getattr(self._environment.parsed_options, "csv_prefix", None):
            gevent.sleep(CSV_STATS_INTERVAL_SEC + _LATE_S)  # Locust does not write its files at the end
        self._run = None
        run.finish()

    def _live(self) -> set[str]:
        if isinstance(self._runner, LocalRunner):
            return {self._runner.client_id}
        clients = self._runner.clients
        return {client.id for client in (*clients.ready, *clients.spawning, *clients.running)}


def _free(folder: Path) -> Path:
    """The folder, with a number at its end if it holds a run."""
    number, free = 1, folder
    while (free / layout.MANIFEST).exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
