"""The coordinating side of a run, on the master or in a local run: connects steps, reports and Locust."""

from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import LocalRunner, MasterRunner

import logging
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import psutil

from common.exit_codes import ExitCode
from common.parent_process import TOKEN_VARIABLE
from configs.experiment import Experiment, Step
from configs.payload import read_payload
from locustfiles import messages
from locustfiles.client.invocation_url import resolve_target
from locustfiles.interrupts import Interrupts
from locustfiles.master.absent_workers import outlast_absence
from locustfiles.master.live_page import LiveState, add_live_state
from locustfiles.master.live_series import LiveSeries, interval_seconds
from locustfiles.master.locust_csv import csv_total
from locustfiles.master.message_filter import MessageFilter
from locustfiles.master.report_collector import MASTER_ROWS_PER_PAUSE, ROWS_PER_PAUSE, ReportCollector
from locustfiles.master.step_sequence import StepSequence
from locustfiles.master.webui import add_page_script, add_tab, refuse_foreign_requests
from locustfiles.message_seal import MessageError, MessageSeal
from locustfiles.messages import (
    REQUEST_TYPE,
    Arrival,
    Ending,
    FinishedMessage,
    HelloMessage,
    ReadyMessage,
    RecoveredMessage,
    ReportMessage,
    StepAckMessage,
)

logger = logging.getLogger(__name__)

_STATUS_S = 1.0
_PINGS = 3
_HELLO_S = 10.0
"""A worker sends its hello as soon as Locust has accepted it."""


class MasterCoordinator:
    """Implements `worker_group.WorkerGroup` over Locust's runner and owns the step sequence.

    Raises:
        UserError: the payload, the region or the endpoint's URL is not valid.
    """

    def __init__(
        self, environment: Environment, runner: LocalRunner | MasterRunner, experiment: Experiment
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._page = experiment.live.page
        self._assignment = messages.make_assignment(
            experiment,
            resolve_target(experiment),
            read_payload(experiment.payload, whole=experiment.conversation is not None),
        ).model_dump()
        self._collector = ReportCollector(
            experiment.run_folder,
            frozenset(step.id for step in experiment.steps),
            live=LiveSeries(interval_seconds(experiment)),
            rows_per_pause=ROWS_PER_PAUSE if isinstance(runner, LocalRunner) else MASTER_ROWS_PER_PAUSE,
        )
        self._names: dict[str, str] = {}
        self._ready: set[str] = set()
        self._refusals: dict[str, str] = {}
        self._proxies: set[str] = set()
        self._acknowledged: dict[str, set[str]] = defaultdict(set)
        self._finished: set[str] = set()
        self._interrupts = Interrupts()
        self.sequence = StepSequence(experiment, self, self._collector, self._interrupts)
        self._live = LiveState(experiment, self.sequence.board, self._collector)
        self.sequence.board.live = self._live.state
        self.ticks = self._play()
        self._step: Step | None = None
        """The current step."""
        self._reset_counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        """Locust's requests and failures of each step when its statistics were last reset."""
        self._seal: MessageSeal | None = None
        """None in a local run, which has no network messages."""
        if isinstance(runner, MasterRunner):
            self._seal = MessageSeal(os.environ.get(TOKEN_VARIABLE, ""))
            if not getattr(environment.parsed_options, "processes", None):  # forked workers do not come back
                outlast_absence(runner, self._waits_for_workers)
            runner.server = MessageFilter(runner.server, self._names.__contains__, self._drop)  # type: ignore[assignment]
        for kind, listener in (
            (messages.HELLO, self._on_hello),
            (messages.READY, self._on_ready),
            (messages.STEP_ACK, self._on_step_ack),
            (messages.REPORT, self._on_report),
            (messages.RECOVERED, self._on_recovered),
            (messages.FINISHED, self._on_finished),
        ):
            runner.register_message(kind, self._listener(kind, listener))

    def start(self) -> None:
        """Start the status updates, the web page's additions and the signal handlers."""
        gevent.spawn(self._keep_status)
        if isinstance(self._runner, MasterRunner):
            gevent.spawn(self._disconnect_unregistered, self._runner)
        hooks: Any = self._environment.events
        hooks.reset_stats.add_listener(self._remember_counts)
        if self._environment.web_ui is not None:
            options = self._environment.parsed_options
            refuse_foreign_requests(self._environment.web_ui, options.web_host if options is not None else "")
            add_tab(self._environment.web_ui, self.sequence.board.step_rows)
            add_live_state(self._environment.web_ui, self._live.answer)
            add_page_script(self._environment.web_ui, self._ended, self._page)
        for number in (signal.SIGINT, signal.SIGTERM):
            gevent.signal_handler(number, self.interrupt)

    def _ended(self) -> str | None:
        status = self.sequence.status
        if status.phase != "done":
            return None
        reason = f": {status.message}" if status.message else ""
        return f"The run of {status.experiment} has ended{reason}. Its report is in the run folder."

    def interrupt(self) -> None:
        """End the run in order; a second interrupt ends it without waiting."""
        if not self._interrupts.record():
            return
        if not self.sequence.started:  # Locust still waits for workers and would not call the shape
            self.sequence.abandon()
            self._runner.quit()
            sys.exit(ExitCode.INTERRUPTED)
        if self._interrupts.count == 1 and self._environment.web_ui is not None:
            gevent.spawn(self._close_web_page)

    def _close_web_page(self) -> None:
        """End Locust after the run, although its web page would keep it open."""
        while self.sequence.status.phase not in ("start", "done"):
            gevent.sleep(0.05)
        self._environment.process_exit_code = self.sequence.exit_code or ExitCode.INTERRUPTED
        self._runner.quit()
        web_ui: Any = self._environment.web_ui
        web_ui.stop()

    def _waits_for_workers(self) -> bool:
        started, phase = self.sequence.started, self.sequence.status.phase
        return started and phase != "done" and not self.live_workers()

    def tick(self) -> tuple[int, float] | None:
        """The shape's answer to Locust, once a second; blocks while the number of users stays the same."""
        return next(self.ticks, None)

    def _play(self) -> Iterator[tuple[int, float]]:
        """Play the steps and set Locust's exit code, even if Locust kills the greenlet that plays them."""
        try:
            yield from self.sequence.play()
        finally:
            self._environment.process_exit_code = self.sequence.exit_code
            if self.sequence.exit_code == ExitCode.REFUSED:
                sys.stderr.write(f"{self.sequence.status.message}\n")

    def _keep_status(self) -> None:
        process = psutil.Process()
        process.cpu_percent()
        try:
            while self.sequence.status.phase != "done":
                gevent.sleep(_STATUS_S)
                self.sequence.board.refresh()
                if self._seal is not None:  # without workers, the reports of this process have its CPU
                    self.sequence.board.note_master_cpu(process.cpu_percent())
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and reports it
            self.sequence.fail(error)

    # Messages from workers

    def _listener(self, kind: str, handle: Callable[[Any], None]) -> Callable[..., None]:
        """Pass on valid messages of this run's workers; drop and count all others."""

        def listen(msg: Any, **_: object) -> None:
            try:
                message = self._open(kind, msg)
            except MessageError as error:
                self._drop(str(error))
                return
            handle(message)

        return listen

    def _open(self, kind: str, msg: Any) -> Any:
        if self._seal is None:
            return messages.read_message(kind, msg.data, trusted=True)
        message = messages.read_message(kind, self._seal.unwrap(kind, msg.data))
        if message.client_id != msg.node_id:
            raise MessageError(f"{kind} with the sender id of another client")
        if kind != messages.HELLO and message.client_id not in self._names:
            raise MessageError(f"{kind} before hello")
        return message

    def _drop(self, reason: str) -> None:
        dropped = self._collector.dropped
        dropped[reason] += 1
        if dropped[reason] == 1:
            logger.warning("A message was dropped: %s", reason)

    def _on_hello(self, hello: HelloMessage) -> None:
        self._names[hello.client_id] = f"{hello.worker} on {hello.host}"
        self._send(messages.ASSIGNMENT, self._assignment, hello.client_id)

    def _on_ready(self, ready: ReadyMessage) -> None:
        if ready.error is not None:
            self._refusals[ready.client_id] = ready.error
            return
        self._ready.add(ready.client_id)
        self._proxies.update([ready.proxy] if ready.proxy else [])
        if self._step is not None:  # Locust has already given it users
            self._ping(self._step, ready.client_id)

    def _on_step_ack(self, ack: StepAckMessage) -> None:
        client, now = ack.client_id, time.time()
        self._collector.clocks.add(client, sent_at=ack.sent_at, worker_time=ack.worker_time, now=now)
        self._acknowledged[ack.step].add(client)

    def _on_report(self, report: ReportMessage) -> None:
        self._collector.handle_report(report)
        if self._seal is not None and self._collector.unwritable is None:
            client = report.client_id
            through = self._collector.workers[client].reports.through
            offset = self._collector.offsets.get(client, 0.0)
            ack = {"number": report.number, "through": through, "offset": offset}
            self._send(messages.REPORT_ACK, ack, client)

    def _on_recovered(self, message: RecoveredMessage) -> None:
        self._collector.handle_recovered(message)
        if self._collector.unwritable is None:
            self._send(messages.RECOVERED_ACK, {"number": message.number}, message.client_id)

    def _on_finished(self, finished: FinishedMessage) -> None:
        self._finished.add(finished.client_id)

    def _send(self, kind: str, data: dict[str, Any], client: str | None = None) -> None:
        sealed = data if self._seal is None else self._seal.wrap(kind, data)
        self._runner.send_message(kind, sealed, client)

    def _disconnect_unregistered(self, runner: MasterRunner) -> None:
        """Disconnect workers that send no hello. Locust would give them users."""
        since: dict[str, float] = {}
        while self.sequence.status.phase != "done":
            gevent.sleep(_STATUS_S)
            for client in set(runner.clients) - set(self._names):
                if time.monotonic() - since.setdefault(client, time.monotonic()) > _HELLO_S:
                    self._drop("a worker that did not prove that it belongs to this run was disconnected")
                    runner.send_message("quit", None, client)
                    gone: Any = Message("client_stopped", None, client)  # type: ignore[no-untyped-call]
                    runner.handle_message(client, gone)

    def _remember_counts(self, **_: object) -> None:
        """Keep the counts of our steps when the button in Locust's page resets its statistics."""
        for step in self._acknowledged:
            self._reset_counts[step] = self.locust_counts(step)

    # `worker_group.WorkerGroup`, which the step sequence uses

    @property
    def user_count(self) -> int:
        """Users that are running."""
        return self._runner.user_count

    def live_workers(self) -> dict[str, str]:
        """Client id → name of the workers that can be reached."""
        if isinstance(self._runner, LocalRunner):
            return {self._runner.client_id: "w0"}
        clients = self._runner.clients
        live = [*clients.ready, *clients.spawning, *clients.running]
        return {node.id: self._names.get(node.id, node.id) for node in live}

    def unready_workers(self) -> dict[str, str | None]:
        """Name of each worker without an assignment → why it cannot take it; None without an answer."""
        live, ready = self.live_workers(), self._ready
        unready = {name: self._refusals.get(client) for client, name in live.items() if client not in ready}
        options = self._environment.parsed_options
        expected = options.expect_workers if self._seal is not None and options is not None else 0
        if len(live) < expected:  # one was not part of this run, or has left again
            unready[f"{len(live) + 1} of {expected}"] = None
        return unready

    def proxies(self) -> list[str]:
        """Proxies through which workers reach the endpoint."""
        return sorted(self._proxies)

    def announce(self, step: Step) -> None:
        """Announce a step to every worker, several times: the fastest answer gives the best clock offset."""
        self._collector.clocks.begin()
        self._step = step
        self._ping(step)

    def _ping(self, step: Step, client: str | None = None) -> None:
        for _ in range(_PINGS):
            self._send(messages.STEP, {"step": step.id, "sent_at": time.time()}, client)

    def acknowledged(self, step: Step) -> set[str]:
        """Client ids that have acknowledged the step."""
        return self._acknowledged[step.id]

    def send_arrivals(self, client: str, step: Step, arrivals: list[Arrival], max_in_flight: int) -> None:
        """Send a worker arrivals of the step, and how many requests it may have in flight."""
        offset = self._collector.offsets.get(client, 0.0)
        shifted = [tuple(arrival._replace(at=arrival.at + offset)) for arrival in arrivals]
        content = {"step": step.id, "arrivals": shifted, "max_in_flight": max_in_flight}
        self._send(messages.ARRIVALS, content, client)

    def send_window(self, step: Step, window: tuple[float, float]) -> None:
        """Send the measure window to every worker."""
        offsets = self._collector.offsets
        self._send(messages.WINDOW, {"step": step.id, "window": window, "offsets": offsets})

    def finish(self, ending: Ending, timeout: float, until: float) -> None:
        """Ask every worker for its final report, and to send nothing that arrives after ``until``."""
        content = {"ending": ending, "timeout": timeout, "until": until, "offsets": self._collector.offsets}
        self._send(messages.FINISH, content)

    def finished(self) -> set[str]:
        """Client ids that have sent their final report."""
        return self._finished

    def locust_counts(self, step: str) -> tuple[int, int]:
        """Locust's own requests and failures of a step."""
        requests, failures = self._reset_counts[step]
        entry = self._environment.stats.entries.get((step, REQUEST_TYPE))
        if entry is None:
            return requests, failures
        return requests + entry.num_requests, failures + entry.num_failures

    def files_written(self) -> bool:
        """Whether Locust's CSV files hold every request; Locust writes them once a second."""
        options = self._environment.parsed_options
        if options is None or not options.csv_prefix:
            return True
        return (
            csv_total(Path(f"{options.csv_prefix}_stats.csv")) == self._environment.stats.total.num_requests
        )
