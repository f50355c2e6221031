"""The leading side of a run, on the master or in a local run: ties steps, records, workers and Locust."""

from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

import csv
import logging
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent

from configs.experiment import Experiment, Step
from configs.payload import read_payload
from locustfiles import messages
from locustfiles.collector import Collector
from locustfiles.interrupts import Interrupts
from locustfiles.link import INTERRUPTED, REFUSED
from locustfiles.messages import Ending, Report
from locustfiles.steps import StepSequence
from locustfiles.target import resolve_target
from locustfiles.user import REQUEST_TYPE
from locustfiles.webui import add_tab

logger = logging.getLogger(__name__)

_STATUS_S = 1.0
_PINGS = 3


class Lead:
    """Implements `link.Link` over Locust's runner; owns the sequence of steps.

    Raises:
        UserError: the payload, the region or the endpoint's URL is not usable.
    """

    def __init__(
        self, environment: Environment, runner: LocalRunner | MasterRunner, experiment: Experiment
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._assignment = messages.make_assignment(
            experiment, resolve_target(experiment), read_payload(experiment.payload)
        ).model_dump()
        self._collector = Collector(experiment.run_folder, frozenset(step.id for step in experiment.steps))
        self._names: dict[str, str] = {}
        self._ready: set[str] = set()
        self._refusals: dict[str, str] = {}
        self._proxies: set[str] = set()
        self._acknowledged: dict[str, set[str]] = defaultdict(set)
        self._round_trips: dict[str, float] = {}
        self._finished: set[str] = set()
        self._interrupts = Interrupts()
        self.sequence = StepSequence(experiment, self, self._collector)
        self.ticks = self._play()
        for kind, listener in (
            (messages.HELLO, self._on_hello),
            (messages.READY, self._on_ready),
            (messages.STEP_ACK, self._on_step_ack),
            (messages.REPORT, self._on_report),
            (messages.FINISHED, self._on_finished),
        ):
            runner.register_message(kind, listener)

    def start(self) -> None:
        """Keep the status fresh, show it in the web page, and end in order on SIGINT and SIGTERM."""
        gevent.spawn(self._keep_status)
        if self._environment.web_ui is not None:
            add_tab(self._environment.web_ui, self.sequence.table)
        for number in (signal.SIGINT, signal.SIGTERM):
            gevent.signal_handler(number, self.interrupt)

    def interrupt(self) -> None:
        """Ask the run to end; a second time without waiting for anybody."""
        if not self._interrupts.note():
            return
        self.sequence.interrupts = self._interrupts.count
        if not self.sequence.begun:  # Locust still waits for workers and would not ask the shape
            self.sequence.abandon()
            self._runner.quit()
            sys.exit(INTERRUPTED)
        if self.sequence.interrupts == 1 and self._environment.web_ui is not None:
            gevent.spawn(self._leave_web_page)

    def _leave_web_page(self) -> None:
        """With a web page Locust goes on after the run; whoever interrupts it wants it gone."""
        while self.sequence.status.phase not in ("start", "done"):
            gevent.sleep(0.05)
        self._environment.process_exit_code = self.sequence.exit_code or INTERRUPTED
        self._runner.quit()
        web_ui: Any = self._environment.web_ui
        web_ui.stop()

    def tick(self) -> tuple[int, float] | None:
        """What Locust's shape asks about once a second; blocks while nothing is to change."""
        return next(self.ticks, None)

    def _play(self) -> Iterator[tuple[int, float]]:
        """The steps, and Locust's exit code however they end: also when Locust kills who asks for them."""
        try:
            yield from self.sequence.play()
        finally:
            self._environment.process_exit_code = self.sequence.exit_code
            if self.sequence.exit_code == REFUSED:
                sys.stderr.write(f"{self.sequence.status.message}\n")

    def _keep_status(self) -> None:
        try:
            while self.sequence.status.phase != "done":
                gevent.sleep(_STATUS_S)
                self.sequence.refresh()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends in order and says so
            self.sequence.fail(error)

    # What workers say

    def _on_hello(self, msg: Any, **_: object) -> None:
        client = msg.data["client_id"]
        self._names[client] = f"{msg.data['worker']} on {msg.data['host']}"
        self._send(messages.ASSIGNMENT, self._assignment, client)

    def _on_ready(self, msg: Any, **_: object) -> None:
        client, error = msg.data["client_id"], msg.data["error"]
        if error is None:
            self._ready.add(client)
            self._proxies.update([msg.data["proxy"]] if msg.data["proxy"] else [])
        else:
            self._refusals[client] = error

    def _on_step_ack(self, msg: Any, **_: object) -> None:
        client, now = msg.data["client_id"], time.time()
        sent_at, worker_time = msg.data["sent_at"], msg.data["worker_time"]
        round_trip = now - sent_at
        if round_trip <= self._round_trips.get(client, round_trip):
            self._round_trips[client] = round_trip
            offset = worker_time - (sent_at + now) / 2
            # Inside half a round trip the two clocks cannot be told apart: then they are the same.
            self._collector.offsets[client] = offset if abs(offset) > round_trip / 2 + 0.001 else 0.0
        self._acknowledged[msg.data["step"]].add(client)

    def _on_report(self, msg: Any, **_: object) -> None:
        self._collector.take(Report(**msg.data))

    def _on_finished(self, msg: Any, **_: object) -> None:
        self._finished.add(msg.data["client_id"])

    def _send(self, kind: str, data: dict[str, Any], client: str | None = None) -> None:
        self._runner.send_message(kind, data, client)

    # What the steps ask (`link.Link`)

    @property
    def user_count(self) -> int:
        """Users that there are."""
        return self._runner.user_count

    def live_workers(self) -> dict[str, str]:
        """Client id → name of the workers that can be reached."""
        if isinstance(self._runner, LocalRunner):
            return {self._runner.client_id: "w0"}
        clients = self._runner.clients
        live = [*clients.ready, *clients.spawning, *clients.running]
        return {node.id: self._names.get(node.id, node.id) for node in live}

    def unready_workers(self) -> dict[str, str | None]:
        """Name of each worker that has not taken its assignment → why it cannot; None without an answer."""
        live, ready = self.live_workers(), self._ready
        return {name: self._refusals.get(client) for client, name in live.items() if client not in ready}

    def proxies(self) -> list[str]:
        """Proxies through which workers reach the endpoint."""
        return sorted(self._proxies)

    def announce(self, step: Step) -> None:
        """Tell every worker the step, a few times: the quickest answer tells best how its clock stands."""
        self._round_trips.clear()  # a clock drifts, and a lucky answer of long ago would hide it
        for _ in range(_PINGS):
            self._send(messages.STEP, {"step": step.id, "sent_at": time.time()})

    def acknowledged(self, step: Step) -> set[str]:
        """Client ids that have answered."""
        return self._acknowledged[step.id]

    def tell_window(self, step: Step, window: tuple[float, float]) -> None:
        """Tell every worker the measure window."""
        offsets = self._collector.offsets
        self._send(messages.WINDOW, {"step": step.id, "window": window, "offsets": offsets})

    def finish(self, ending: Ending, timeout: float) -> None:
        """Ask every worker for its last words."""
        self._send(messages.FINISH, {"ending": ending, "timeout": timeout})

    def finished(self) -> set[str]:
        """Client ids that have said them."""
        return self._finished

    def locust_counts(self, step: str) -> tuple[int, int]:
        """Locust's own requests and failures of a step."""
        entry = self._environment.stats.entries.get((step, REQUEST_TYPE))
        return (0, 0) if entry is None else (entry.num_requests, entry.num_failures)

    def files_written(self) -> bool:
        """Whether Locust's CSV files hold every request: its writer works once a second."""
        options = self._environment.parsed_options
        if options is None or not options.csv_prefix:
            return True
        return (
            csv_total(Path(f"{options.csv_prefix}_stats.csv")) == self._environment.stats.total.num_requests
        )


def csv_total(path: Path) -> int | None:
    """Requests in the Aggregated row of Locust's statistics; None while there is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["Name"] == "Aggregated":
                    return int(row["Request Count"])
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return None
