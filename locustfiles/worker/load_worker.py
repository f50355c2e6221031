"""The worker's side of a run: what the users of a process share, and the messages to the master."""

from locust.env import Environment
from locust.runners import MASTER_HEARTBEAT_TIMEOUT, LocalRunner, WorkerRunner

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent.event import Event

from common.code_version import check_master_version
from common.errors import UserError
from common.exit_codes import ExitCode
from common.parent_process import TOKEN_VARIABLE
from locustfiles import messages
from locustfiles.client.credentials import CredentialKeeper
from locustfiles.client.invocation import InvocationExit
from locustfiles.client.invocation_url import InvocationTarget, check_target
from locustfiles.interrupts import Interrupts
from locustfiles.message_seal import MAX_BYTES, MessageError, MessageSeal
from locustfiles.messages import Arrival, Assignment, MeasureWindow
from locustfiles.worker.alarm import make_alarm
from locustfiles.worker.arrival_queue import ArrivalQueue
from locustfiles.worker.conversation import Conversations, Unsent
from locustfiles.worker.delivery import Delivery
from locustfiles.worker.endpoint import Endpoint
from locustfiles.worker.health import HealthProbe
from locustfiles.worker.reporter import REPORT_S, Reporter
from locustfiles.worker.request_log import RequestLog
from locustfiles.worker.sessions import Sessions
from locustfiles.worker.workload import Workload

logger = logging.getLogger(__name__)

_Part = TypeVar("_Part")
_HELLO_S = 2.0
_FINAL_WAIT_S = 5.0


class Worker:
    """One load generator process: local, or a worker of a master."""

    def __init__(self, environment: Environment, runner: LocalRunner | WorkerRunner) -> None:
        self.environment = environment
        self._runner = runner
        self.name = f"w{max(0, runner.worker_index)}"
        self.stopping = Event()
        """Set when users must not start another request."""
        self.step: str | None = None
        self._health = HealthProbe()
        self._assignment: Assignment | None = None
        self._silent = False
        self._interrupts = Interrupts()
        self._endpoint: Endpoint | None = None
        self._workload: Workload | None = None
        self._conversations: Conversations | None = None
        self.sessions: Sessions | None = None
        """Keeps each conversation on one instance, if the plan asks for it."""
        self._max_in_flight = 0
        self.on_arrival: Callable[[str, Arrival, bool], None] = lambda *_: None
        """Sends the request of an arrival, or records that it must not be sent."""
        self.on_unsent_turn: Callable[[Unsent], None] = lambda _: None
        """Records a turn of a conversation that is not sent."""
        self._arrivals = ArrivalQueue(self._on_due, make_alarm())
        self._seal = (
            None if isinstance(runner, LocalRunner) else MessageSeal(os.environ.get(TOKEN_VARIABLE, ""))
        )
        self.begun = Event()
        """Set once there is a step or the run ends. Users that Locust starts earlier wait for it."""
        self.request_log = RequestLog(self.name, keep_samples=False)
        reporter = Reporter(runner, self.request_log, self._health)
        self._delivery = Delivery(runner, reporter, self.request_log, self._send, self._seal)
        for kind, listener in (
            (messages.ASSIGNMENT, self._on_assignment),
            (messages.STEP, self._on_step),
            (messages.ARRIVALS, self._on_arrivals),
            (messages.WINDOW, self._on_window),
            (messages.REPORT_ACK, self._delivery.on_report_ack),
            (messages.RECOVERED_ACK, self._delivery.on_recovered_ack),
            (messages.FINISH, self._on_finish),
        ):
            runner.register_message(kind, self._listener(kind, listener), concurrent=kind == messages.FINISH)

    def start(self) -> None:
        """Register with the master until it sends an assignment, then report."""
        if isinstance(self._runner, WorkerRunner):
            for number in (signal.SIGINT, signal.SIGTERM):
                gevent.signal_handler(number, self._shut_down)
            hooks: Any = self.environment.events
            hooks.quitting.add_listener(self._on_quitting)
        gevent.spawn(self._health.run)
        gevent.spawn(self._register)
        gevent.spawn(self._report_regularly)
        gevent.spawn(self._arrivals.run)

    def _on_quitting(self, **_: object) -> None:
        """Say by the exit code whether Locust ends because its master was away for too long."""
        runner: Any = self._runner
        heard_at = runner.last_heartbeat_timestamp
        if heard_at and time.time() - heard_at > MASTER_HEARTBEAT_TIMEOUT:
            self.environment.process_exit_code = ExitCode.FAILED

    def _register(self) -> None:
        while self._assignment is None:
            identity = {"client_id": self._runner.client_id, "worker": self.name, "host": self._health.host}
            self._send(messages.HELLO, identity)
            gevent.sleep(_HELLO_S)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self._runner.send_message(kind, data if self._seal is None else self._seal.wrap(kind, data))

    def _listener(self, kind: str, handle: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        """Accept messages only from the master of this run."""
        most = messages.MOST_ASSIGNMENT_BYTES if kind == messages.ASSIGNMENT else MAX_BYTES
        unseal = None if self._seal is None else partial(self._seal.unwrap, most_bytes=most)

        def listen(msg: Any, **_: object) -> None:
            try:
                content = msg.data if unseal is None else unseal(kind, msg.data)
            except MessageError as error:
                logger.error("A message from the master was ignored: %s", error)  # noqa: TRY400 - for a person
                return
            handle(content)

        return listen

    def _on_assignment(self, message: dict[str, Any]) -> None:
        if self._assignment is not None:
            return
        if isinstance(self._runner, WorkerRunner):
            # Locust's own handler, set after ours, would end at once and lose the last rows.
            signal.signal(signal.SIGTERM, lambda *_: gevent.spawn(self._shut_down))
        answer = {"client_id": self._runner.client_id, "error": None, "proxy": None}
        try:
            self._prepare(message)
            if (proxy := self.endpoint.proxy) is not None:
                answer["proxy"] = str(proxy)
                logger.warning("Requests go through the proxy %s; latencies include it", proxy)
        except Exception as error:  # noqa: BLE001 - whatever it is, the master must know
            answer["error"] = _assignment_error(error)
            logger.error("This worker cannot take part: %s", answer["error"])  # noqa: TRY400 - for a person
            self.environment.process_exit_code = ExitCode.BAD_INPUT
        self._send(messages.READY, answer)

    def _prepare(self, message: dict[str, Any]) -> None:
        check_master_version(message.get("version"))
        assignment = Assignment.model_validate(message)
        self.stream = assignment.stream
        target = InvocationTarget(**assignment.target)
        check_target(target)
        keeper = CredentialKeeper()
        gevent.spawn(keeper.keep_fresh)
        self._endpoint = Endpoint(
            target,
            keeper,
            timeouts=assignment.timeouts,
            on_lag=self._health.on_read,
            count_tokens=self.count_tokens,
        )
        if assignment.sticky is not None:
            self.sessions = Sessions(target, keeper, assignment.timeouts, assignment.sticky)
        self._workload = Workload(assignment, self.name)
        self._conversations = Conversations(
            self._workload.dialogues,
            schedule=lambda step, arrival: self._arrivals.add(step, (arrival,)),
            record=self.on_unsent_turn,
            step=lambda: self.step,
        )
        self._tokenizer = None
        if assignment.tokenizer:
            from tokenizers import Tokenizer  # noqa: PLC0415 - 40 ms that only a load with a tokenizer needs

            self._tokenizer = Tokenizer.from_str(assignment.tokenizer)
        self.request_log.keep_samples = assignment.samples
        self.request_log.inference_prefix = assignment.inference_prefix
        self._delivery.begin(assignment.run_id, assignment.experiment)
        self._assignment = assignment
        # These objects stay alive: the garbage collector need not scan all of Locust during a measurement.
        gc.collect()
        gc.freeze()

    @property
    def endpoint(self) -> Endpoint:
        """Makes the invokers of this process."""
        return _assigned(self._endpoint)

    @property
    def workload(self) -> Workload:
        """What the users ask."""
        return _assigned(self._workload)

    @property
    def conversations(self) -> Conversations:
        """The conversations of this process, if there are any."""
        return _assigned(self._conversations)

    def count_tokens(self, text: str) -> int | None:
        """Tokens of an answer according to the experiment's tokenizer; None without one."""
        if self._tokenizer is None:
            return None
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _on_step(self, message: dict[str, Any]) -> None:
        self.step = message["step"]
        self._send(
            messages.STEP_ACK,
            {
                "client_id": self._runner.client_id,
                "step": self.step,
                "sent_at": message["sent_at"],
                "worker_time": time.time(),
            },
        )
        self.begun.set()

    def _on_arrivals(self, message: dict[str, Any]) -> None:
        if self.stopping.is_set():
            return
        self._max_in_flight = message["max_in_flight"]
        self._arrivals.add(message["step"], (Arrival(*arrival) for arrival in message["arrivals"]))

    def _on_due(self, step: str, arrival: Arrival) -> None:
        self.on_arrival(step, arrival, self._runner.user_count < self._max_in_flight)

    def _on_window(self, message: dict[str, Any]) -> None:
        offset = message["offsets"].get(self._runner.client_id, 0.0)
        started_at, ended_at = message["window"]
        window = MeasureWindow(started_at + offset, ended_at + offset)
        self.request_log.gaps.close_window(message["step"], window)

    def _report_regularly(self) -> None:
        while not self._silent:
            self.report()
            gevent.sleep(REPORT_S)

    def report(self) -> None:
        """Send what has happened since the last report."""
        rtt_ms = None if self._endpoint is None else self._endpoint.invokers.rtt_ms
        self._delivery.report(step=self.step, oldest_start=self._oldest_start, rtt_ms=rtt_ms)

    @property
    def _oldest_start(self) -> float | None:
        """Start, or arrival, of the oldest request that is in flight or about to be sent."""
        known = (self.request_log.oldest_start, self._arrivals.oldest_due)
        return min((at for at in known if at is not None), default=None)

    def _on_finish(self, message: dict[str, Any]) -> None:
        """Start no new requests, let those in flight end normally or at once, then send the final report."""
        self._stop_users(message["until"] + message["offsets"].get(self._runner.client_id, 0.0))
        if message["ending"] == "abort":
            self._abort()
        gevent.spawn(self._final_report, message["timeout"])

    def _stop_users(self, until: float) -> None:
        """Start nothing that arrives after ``until``."""
        self._arrivals.stop(until)
        if self._conversations is not None:
            self._conversations.stop(until)
        self.stopping.set()
        self.begun.set()

    def _shut_down(self) -> None:
        """End this worker alone: the master loses the worker but receives all its rows."""
        if not self._interrupts.record():
            return
        if self._silent:
            sys.exit(0)
        self._stop_users(time.time())
        self._abort()
        self._final_report(_FINAL_WAIT_S)
        self._runner.quit()

    def _abort(self) -> None:
        for greenlet in self.request_log.greenlets():
            greenlet.kill(InvocationExit, block=False)

    def _final_report(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self.request_log.in_flight and time.monotonic() < deadline:
            gevent.sleep(0.01)
        for greenlet in self.request_log.greenlets():
            greenlet.kill(InvocationExit, block=True, timeout=_FINAL_WAIT_S)
        self.report()
        self._delivery.settle(_FINAL_WAIT_S)
        if isinstance(self._runner, WorkerRunner):
            # Locust's own statistics since its last report: quit() would send them half a second later, when
            # the master may be gone.
            self._runner._send_stats()
        self._silent = True
        self._send(messages.FINISHED, {"client_id": self._runner.client_id})


def _assigned(part: _Part | None) -> _Part:
    if part is None:
        raise RuntimeError("a request started before the worker had its assignment")
    return part


def _assignment_error(error: Exception) -> str:
    """Why a worker cannot take part, with the remedy if one is known."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {error}"
