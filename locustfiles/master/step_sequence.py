"""The steps of a run: ramp → warm-up → measure → tail, and nothing drained in between.

Written as one generator that reads like the protocol: it yields ``(users, spawn rate)`` whenever Locust is
to change the number of users, and waits for everything else itself.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from common.exit_codes import ExitCode
from configs.experiment import Experiment, Step
from locustfiles.client.error_classes import container_remedy, remedy
from locustfiles.master.clock import Clock, ClockReading, SystemClock, clock_disturbances
from locustfiles.master.drain import drain
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.status import LoadStatus, Phase, eta_s, live_step_rows
from locustfiles.master.step_table import StepTable
from locustfiles.master.step_tally import MeasureWindow
from locustfiles.master.step_workers import StepWorkers
from locustfiles.master.worker_link import (
    RunEndedError,
    WorkerLink,
    unexpected,
)
from locustfiles.messages import Ending
from runfolder import layout
from runfolder.records import ReasonCode, StepRow

logger = logging.getLogger(__name__)

_POLL_S = 0.05
_WORKERS_READY_S = 60.0
_ACK_S = 10.0
_REPORT_GRACE_S = 10.0
_RAMP_SECONDS = 8
_MAX_RATE = 100.0
_NOT_READY_S = 900.0
"""For an endpoint that says that it has no capacity yet: an instance and a model must come up."""
_MIN_FAILURES_TO_ABORT = 5
"""Failures before the first answer of a run after which no more is asked."""
_END_CODES: dict[int, ReasonCode] = {
    ExitCode.FAILED: "failed",
    ExitCode.REFUSED: "refused",
    ExitCode.INTERRUPTED: "interrupted",
}


class StepSequence:
    """Plays an experiment's steps and keeps ``steps.csv`` and the status up to date."""

    def __init__(
        self, experiment: Experiment, link: WorkerLink, collector: ReportCollector, clock: Clock | None = None
    ) -> None:
        self._experiment = experiment
        self._load = experiment.load
        self._link = link
        self._collector = collector
        self._clock = clock or SystemClock()
        self._table = StepTable(experiment, collector)
        self._step_workers = StepWorkers(link, self._clock)
        self.status = LoadStatus(experiment.name, steps_total=len(self._table.rows))
        self._phase_started = self._clock.monotonic()
        self._users = 0
        self._failure: str | None = None
        self.interrupts = 0
        """How often the run was asked to end; the second time it no longer waits for workers."""
        self.exit_code = ExitCode.FAILED
        """Of the load; it failed until the last step has been played."""
        self.begun = False

    @property
    def _longest_request_s(self) -> float:
        return self._load.timeouts.connect + self._load.timeouts.total

    def play(self) -> Iterator[tuple[int, float]]:
        """Yield ``(users, spawn rate)`` until all is over; ends orderly however it ends."""
        ending: Ending = "abort"
        self.begun = True
        try:
            self._wait_for_workers()
            for step, row in zip(self._experiment.steps, self._table.rows, strict=True):
                yield from self._play(step, row)
            ending, self.exit_code = "drain", ExitCode.OK
        except RunEndedError as end:
            self._end_early(end.code, str(end))
        except gevent.GreenletExit:
            # Locust itself stops a test whose last worker is gone.
            reason = "stopped by hand" if self._link.live_workers() else "the last worker was lost"
            self._end_early(ExitCode.INTERRUPTED, reason)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and says so
            self._end_early(ExitCode.FAILED, unexpected(error))
        finally:
            self._finish(ending)

    def abandon(self) -> None:
        """The run ends before it has begun."""
        self.exit_code, self.status.message = ExitCode.INTERRUPTED, "interrupted"
        self._table.mark_unplayed("interrupted")
        self._table.save()
        self._collector.close()
        self.status.exit_code = self.exit_code
        self._enter("done")

    def fail(self, error: Exception) -> None:
        """Something beside the steps has failed: the run ends in order and says so."""
        self._failure = self._failure or unexpected(error)

    def _wait_for_workers(self) -> None:
        """Wait until every worker has its assignment.

        Raises:
            RunEndedError: one cannot take it, or does not answer.
        """
        self._enter("start")

        def decided() -> bool:
            unready = self._link.unready_workers()
            return not unready or any(unready.values())

        self._wait(decided, _WORKERS_READY_S)
        if unready := self._link.unready_workers():
            refusals = [f"worker {name} cannot take part: {why}" for name, why in unready.items() if why]
            silent = f"worker {', '.join(unready)} did not answer within {_WORKERS_READY_S:g} s; see its log"
            raise RunEndedError(ExitCode.FAILED, "; ".join(refusals) or silent)

    def _play(self, step: Step, row: StepRow) -> Iterator[tuple[int, float]]:
        status = self.status
        status.step, status.ordinal, status.target = step.id, row.ordinal, step.concurrency
        row.state, row.announced_at = "running", self._clock.time()
        for code, text in self._step_workers.begin_step():
            self._table.add_reason(row, code, text)
        row.workers = len(self._step_workers.workers)
        self._collector.lost = self._step_workers.lost
        self._enter("ramp")
        self._table.save()
        self._announce(step, row)
        yield from self._ramp(step.concurrency)
        # A user above the target leaves only when its request is done.
        if not self._wait(lambda: self._link.user_count == step.concurrency, self._longest_request_s):
            there = f"{self._link.user_count} of {step.concurrency} users were there"
            self._table.add_reason(row, "too_few_users", there)
        row.ramped_at = self._clock.time()
        self._enter("warm_up", self._load.warm_up)
        self._wait(lambda: False, self._load.warm_up)
        self._wait_until_ready()
        self._abort_if_all_failed()
        opened = ClockReading.of(self._clock)
        window = self._measure(step, row, opened.wall)
        self._enter("tail")
        if not self._wait(
            lambda: self._collector.all_ended_before(window.end, set(self._step_workers.workers)),
            self._longest_request_s + _REPORT_GRACE_S,
        ):
            self._table.add_reason(row, "unfinished_requests", "not every measured request has ended")
        row.tail_ended_at = self._clock.time()
        row.state = "complete"
        self._examine(row, window, opened)
        self._collector.save_gaps()
        self._table.save()

    def _examine(self, row: StepRow, window: MeasureWindow, opened: ClockReading) -> None:
        """Note what clocks and reports say against a step that was played.

        Up to the end of the tail: until then requests of the window were in flight.
        """
        ended = ClockReading.of(self._clock)
        degrading, informational = self._collector.client_limits(window)
        degrading += clock_disturbances(opened, ended)
        # Also one that was lost and is back: what it did meanwhile is not known.
        degrading += self._collector.silent_workers(window, ended.wall, set(self._link.live_workers()))
        for code, text in degrading:
            self._table.add_reason(row, code, text)
        for _, text in self._collector.clock_steps:
            self._table.add_reason(row, "clock_set", text)
        self._collector.clock_steps.clear()
        for proxy in self._link.proxies():
            informational.append(("proxy", f"latency includes the proxy {proxy}"))
        self._table.add_info(row, informational)

    def _announce(self, step: Step, row: StepRow) -> None:
        self._link.announce(step)
        expected = dict(self._step_workers.workers)
        if not self._wait(lambda: set(expected) <= self._link.acknowledged(step), _ACK_S):
            silent = set(expected) - self._link.acknowledged(step)
            names = ", ".join(sorted(expected[client] for client in silent))
            self._table.add_reason(row, "unacknowledged", f"{names} did not acknowledge the step")

    def _ramp(self, target: int) -> Iterator[tuple[int, float]]:
        """One-second pieces, because Locust's master cannot be interrupted inside a ramp of its own."""
        rate = self._load.spawn_rate or min(_MAX_RATE, max(10.0, target / _RAMP_SECONDS))
        while self._users < target:
            self._check_early_end()
            self._users = min(target, self._users + max(1, int(rate)))
            yield self._users, float(max(1, self._users))
        if self._users > target:
            fewer = self._users - target
            self._users = target
            yield target, float(fewer)

    def _measure(self, step: Step, row: StepRow, opened: float) -> MeasureWindow:
        """Open the window, and close it when enough was measured or its time is over.

        Both its planned end and its end are on record as soon as they are known: whatever happens later, the
        rows of the window can be judged.
        """
        tally = self._collector.steps[step.id]
        row.measure_started_at = opened
        row.measure_planned_end_at = opened + self._load.measure
        self._collector.open_window(step.id, opened)
        self._enter("measure", self._load.measure)
        self._table.save()
        enough = self._load.min_requests
        self._wait(lambda: enough is not None and tally.measured_ok >= enough, self._load.measure)
        return self._close_window(step, row, self._clock.time())

    def _close_window(self, step: Step, row: StepRow, end: float) -> MeasureWindow:
        row.measure_ended_at = end
        window = MeasureWindow(row.measure_started_at or end, end)
        self._collector.close_window(step.id, end)
        self._table.save()
        self._link.send_window(step, window)
        return window

    def _wait_until_ready(self) -> None:
        """An endpoint that scales from zero says so for minutes; then it is warmed up like any other.

        Raises:
            RunEndedError: it answered nothing within the time for it.
        """
        if (reason := self._collector.not_ready) is None:
            return
        minutes = f"{_NOT_READY_S / 60:.0f} min"
        self.status.message = f"the endpoint is not ready; waiting up to {minutes} for it: {reason}"
        if not self._wait(lambda: self._collector.not_ready is None, _NOT_READY_S):
            raise RunEndedError(ExitCode.REFUSED, f"the endpoint was not ready within {minutes}: {reason}")
        self.status.message = ""
        self._wait(lambda: False, self._load.warm_up)

    def _abort_if_all_failed(self) -> None:
        """An endpoint that has not answered once is not worth the rest of the plan.

        Raises:
            RunEndedError: some requests have failed, and none of this run was answered.
        """
        tallies = self._collector.steps.values()
        failed = sum(tally.failed for tally in tallies)
        if failed >= _MIN_FAILURES_TO_ABORT and not any(tally.ok for tally in tallies):
            commonest = sum((tally.errors for tally in tallies), Counter[str]()).most_common(1)
            why = commonest[0][0] if commonest else "no reason given"
            schema = self._experiment.request_schema
            mend = container_remedy(why) or (
                f"if the container does not read requests in the {schema} schema, set workload.schema"
            )
            raise RunEndedError(
                ExitCode.REFUSED, f"none of the first {failed} requests was answered: {why}; {mend}"
            )

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; False when ``seconds`` have passed without it.

        Raises:
            RunEndedError: the run was asked to end, or a failure stops it.
        """
        deadline = self._clock.monotonic() + seconds
        while not condition():
            self._check_early_end()
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._clock.sleep(min(_POLL_S, left))
        return True

    def _check_early_end(self) -> None:
        if self.interrupts:
            raise RunEndedError(ExitCode.INTERRUPTED, "interrupted")
        if self._failure is not None:
            raise RunEndedError(ExitCode.FAILED, self._failure)
        if (fatal := self._collector.fatal) is not None:
            experiment = self._experiment
            raise RunEndedError(ExitCode.REFUSED, remedy(fatal, experiment.region, experiment.endpoint_name))
        if (unwritable := self._collector.unwritable) is not None:
            raise RunEndedError(ExitCode.FAILED, unwritable)
        if (tripped := self._collector.breaker.tripped()) is not None:
            raise RunEndedError(ExitCode.REFUSED, f"the endpoint answers no more: {tripped}")
        if self.status.ordinal:
            row = self._table.rows[self.status.ordinal - 1]
            for code, text in self._step_workers.changes():
                self._table.add_reason(row, code, text)

    def _end_early(self, code: ExitCode, reason: str) -> None:
        self.exit_code = code
        self.status.message = reason
        try:
            self._mark_ended(_END_CODES[code], reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and says so
            self.exit_code, self.status.message = ExitCode.FAILED, unexpected(error)

    def _mark_ended(self, code: ReasonCode, reason: str) -> None:
        self._table.mark_unplayed(reason)
        for row in self._table.rows:
            if row.state == "running":
                row.state = "interrupted"
                self._table.add_reason(row, code, reason)
                if row.measure_started_at is not None and row.measure_ended_at is None:
                    # What the open window has seen is worth showing.
                    step = self._experiment.steps[row.ordinal - 1]
                    self._close_window(step, row, self._clock.time())
        self._table.save()

    def _finish(self, ending: Ending) -> None:
        """Every worker's last rows and Locust's last numbers, then the books are balanced."""
        try:
            self._enter("drain")
            patience = self._longest_request_s if ending == "drain" else 2.0
            asked, written = (lambda: self.interrupts), self._no_more_files
            drain(self._link, self._clock, ending, patience, interrupts=asked, written=written)
            if not self._table.reconcile(self._link.locust_counts) and self.exit_code == ExitCode.OK:
                self.exit_code = ExitCode.INCOMPLETE
            self._collector.close()
            if self.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE) and (
                unwritable := self._collector.unwritable
            ):
                self.exit_code, self.status.message = ExitCode.FAILED, unwritable
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and says so
            self.exit_code, self.status.message = ExitCode.FAILED, unexpected(error)
        finally:
            self.status.exit_code = self.exit_code
            self._enter("done")

    def _no_more_files(self) -> bool:
        return self._collector.unwritable is not None or self._link.files_written()

    def _enter(self, phase: Phase, seconds: float | None = None) -> None:
        self.status.phase, self.status.phase_total_s = phase, seconds
        self._phase_started = self._clock.monotonic()
        self.refresh()

    def refresh(self) -> None:
        """Bring ``status.json`` up to date."""
        status, collector = self.status, self._collector
        status.users = self._link.user_count
        status.in_flight = collector.in_flight
        status.phase_elapsed_s = self._clock.monotonic() - self._phase_started
        if status.step is not None:
            tally, row = collector.steps[status.step], self._table.rows[status.ordinal - 1]
            status.ok, status.failed, status.censored = tally.ok, tally.failed, tally.censored
            rates = tally.rates(collector.reported_until, row.announced_at or 0.0)
            status.requests_per_minute, status.completion_tokens_per_s = rates
            status.ttft_p50_ms = tally.percentile("ttft_ms", 50)
            status.e2e_p50_ms = tally.percentile("e2e_ms", 50)
        status.eta_s = eta_s(status, self._load)
        with self._collector.writing(layout.STATUS):
            status.save(self._experiment.run_folder)

    def live_step_rows(self) -> list[dict[str, Any]]:
        """One row per step that has begun, for the web page."""
        collector = self._collector
        return live_step_rows(self._table.rows, collector.steps, self.status.phase, collector.reported_until)
