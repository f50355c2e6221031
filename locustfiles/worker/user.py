"""The Locust user: one invocation after the other, each reported as one `request` event."""

from locust import User, events, task
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

import time
from typing import TYPE_CHECKING, Any, ClassVar

from locustfiles.client.invocation import Invoker, ReportedError
from locustfiles.client.request_bodies import Body
from locustfiles.client.response import InvocationResult
from locustfiles.messages import REQUEST_TYPE, Arrival
from locustfiles.worker.conversation import Unsent
from locustfiles.worker.dialogue import Dialogue
from locustfiles.worker.load_worker import Worker
from runfolder.records import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

TTFT_TYPE = "TTFT"
TPOT_TYPE = "TPOT"

llm_response: Any = EventHook()  # type: ignore[no-untyped-call]  # Locust's hooks carry no types
"""Fired as ``events.llm_response`` for every answer, with ``request`` (a `Request`) and ``environment``."""
events.llm_response = llm_response  # type: ignore[attr-defined]  # Locust's way to offer an event

_WITHHELD = "load.max_in_flight was reached"
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class ExperimentUser(User):
    """Invokes the endpoint in a closed loop: the next request starts when the last one has ended.

    After a failure it pauses, longer each time up to five seconds, so as not to flood a broken endpoint.
    In an open loop a user is started for each arrival and ends with its request: Locust's number of users is
    then the number of requests in flight. A later arrival starts the same user again, on its connection.
    """

    worker: ClassVar[Worker]
    idle: ClassVar[list["ExperimentUser"]] = []
    """Users of an open loop whose requests have ended."""
    arrival: tuple[str, Arrival] | None = None
    """Step and arrival, in an open loop."""
    dialogue: Dialogue | None = None
    """The conversation that it plays a turn of."""
    _invoker: Invoker | None = None
    """In an open loop."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._tools: tuple[Iterator[Body], Invoker] | None = None
        self._dialogues: Iterator[Dialogue] | None = None
        self._pause_s = 0.0

    @task
    def invoke(self) -> None:
        """One invocation, from its entry in the request log to Locust's statistics."""
        worker = self.worker
        if self.arrival is not None:
            step, arrival = self.arrival
            if self._invoker is None:
                self._invoker = worker.endpoint.invokers.new()
            try:
                if self.dialogue is None:
                    self._invoke(step, worker.workload.arrival_body(arrival), self._invoker, arrival)
                else:
                    self._invoke_turn(self.dialogue, self._invoker, arrival)
            finally:
                self.idle.append(self)
            raise StopUser
        worker.begun.wait()  # on a worker that joins late, Locust starts users before there is a step
        if worker.stopping.is_set() or worker.step is None:
            raise StopUser
        if worker.conversations.scripted:
            request = self._converse(worker.step)
        else:
            if self._tools is None:
                self._tools = worker.workload.bodies_of_user(), worker.endpoint.invokers.new()
            bodies, invoker = self._tools
            request = self._invoke(worker.step, next(bodies), invoker).request
        if request.outcome == "censored":
            raise StopUser
        self._back_off(request)

    def _invoke(
        self, step: str, body: Body, invoker: Invoker, arrival: Arrival | None = None
    ) -> InvocationResult:
        worker = self.worker
        request = open_request(worker, step, body, arrival)
        dialogue = self.dialogue
        if dialogue is not None:
            request.session, request.turn = dialogue.session, dialogue.answered + 1
        if dialogue is not None and worker.sessions is not None:
            outcome = worker.sessions.invoke(dialogue, body, request, invoker, stream=worker.stream)
        else:
            outcome = invoker.invoke(body, request, stream=worker.stream)
        if request.prompt_tokens is None and body.prompt_tokens is not None:
            request.prompt_tokens, request.prompt_tokens_source = (
                body.prompt_tokens,
                body.prompt_tokens_source,
            )
        prompt = worker.workload.shown(body) if dialogue is None else dialogue.shown
        worker.request_log.close(outcome, prompt)
        fire_events(self.environment, outcome, worker.endpoint.url)
        return outcome

    def _invoke_turn(self, dialogue: Dialogue, invoker: Invoker, arrival: Arrival | None = None) -> Request:
        conversations = self.worker.conversations
        dialogue.in_flight = True
        outcome = self._invoke(dialogue.step, conversations.body(dialogue), invoker, arrival)
        conversations.end_turn(dialogue, outcome)
        if dialogue.interrupted:
            raise StopUser
        return outcome.request

    def _converse(self, step: str) -> Request:
        """The next turn of a closed loop: of the user's conversation, or the first one of another."""
        worker = self.worker
        if self._dialogues is None or self._invoker is None:
            self._dialogues, self._invoker = (
                worker.workload.dialogues_of_user(),
                worker.endpoint.invokers.new(),
            )
        if self.dialogue is None or self.dialogue.over:
            self.dialogue = worker.conversations.begin_of_user(self._dialogues)
        dialogue = self.dialogue
        if think_s := worker.conversations.think_s(dialogue):
            worker.stopping.wait(think_s)
        if dialogue.over or self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        dialogue.step = worker.step or step
        return self._invoke_turn(dialogue, self._invoker)

    def on_stop(self) -> None:
        """Leave the conversation of a closed loop in order."""
        if self.dialogue is not None and self.arrival is None:
            self.worker.conversations.leave(self.dialogue)

    def stop(self, force: bool = False) -> bool:  # noqa: FBT001, FBT002 - Locust's signature
        """As in Locust, but a user that waits between two requests ends by itself.

        Locust would kill it. If the user wakes up first, the kill would hit its next request.
        """
        if not force and self._state == LOCUST_STATE_WAITING:
            self._state = LOCUST_STATE_STOPPING
            return False
        return bool(super().stop(force))

    def _back_off(self, request: Request) -> None:
        if request.outcome == "ok":
            self._pause_s = 0.0
            return
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
        self.worker.stopping.wait(self._pause_s)


def open_request(worker: Worker, step: str, body: Body, arrival: Arrival | None) -> Request:
    """The entry of a request in the request log, with the lengths that it asks for."""
    request = worker.request_log.open(step, body.payload_id, time.time(), arrival)
    request.part = body.part
    request.asked_prompt_tokens, request.asked_output_tokens = (
        body.asked_prompt_tokens,
        body.asked_output_tokens,
    )
    return request


def on_arrival(environment: Environment, step: str, arrival: Arrival, may_send: bool) -> None:  # noqa: FBT001 - a callback
    """Start a user for an arrival; record it as withheld if it must not be sent."""
    worker = ExperimentUser.worker
    dialogue = None
    if arrival.turn is not None:
        dialogue = worker.conversations.due(step, arrival)
        if dialogue is None:
            return
        step = dialogue.step
    if may_send and environment.runner is not None:
        user = ExperimentUser.idle.pop() if ExperimentUser.idle else ExperimentUser(environment)
        user.arrival, user.dialogue = (step, arrival), dialogue
        if dialogue is not None:
            dialogue.in_flight = True
        user.start(environment.runner.user_greenlets)
        return
    if dialogue is not None:
        worker.conversations.withhold(dialogue, arrival, _WITHHELD)
        return
    body = worker.workload.arrival_body(arrival)
    request = open_request(worker, step, body, arrival)
    request.outcome, request.error_detail = "withheld", _WITHHELD
    _record_unsent(environment, request)


def on_unsent_turn(environment: Environment, unsent: Unsent) -> None:
    """Record a turn of a conversation that is not sent."""
    now, number = time.time(), unsent.arrival
    arrival = None if number is None else Arrival(number, unsent.at)
    request = ExperimentUser.worker.request_log.open(unsent.step, unsent.payload_id, now, arrival)
    request.session, request.turn = unsent.session, unsent.turn
    request.outcome, request.error_class, request.error_detail = unsent.outcome, unsent.why, unsent.detail
    if unsent.outcome == "censored":
        # It would have been due later, or waited until now: it took no time.
        request.started_at, request.elapsed_ms = min(now, unsent.at), 0.0
        request.schedule_delay_ms = None if number is None else 0.0
    _record_unsent(environment, request)


def _record_unsent(environment: Environment, request: Request) -> None:
    worker = ExperimentUser.worker
    request.inference_id = None
    outcome = InvocationResult(request, gaps_ms=[], text="", elapsed_ms=None)
    worker.request_log.close(outcome, "")
    fire_events(environment, outcome, worker.endpoint.url)


def fire_events(environment: Environment, outcome: InvocationResult, url: str) -> None:
    """Fire Locust's ``request`` event, and for an answer ``llm_response``.

    An arrival that was withheld is a failure without a response time.
    """
    request = outcome.request
    failed = request.outcome != "ok"
    hooks: Any = environment.events
    hooks.request.fire(
        request_type=REQUEST_TYPE,
        name=request.step,
        response_time=outcome.elapsed_ms,
        response_length=request.bytes_in or 0,
        response=None,
        context={"request_id": request.request_id},
        exception=ReportedError(request.error_class or request.outcome) if failed else None,
        start_time=request.started_at,
        url=url,
    )
    if not failed:
        llm_response.fire(environment=environment, request=request)


def record_statistics(environment: Environment, request: Request, **_: Any) -> None:
    """Record TTFT and TPOT as separate Locust entries, beside and not inside Aggregated.

    Their content size is the number of completion tokens.
    """
    stats = environment.stats
    tokens = request.completion_tokens or 0
    if request.ttft_ms is not None:
        stats.get(request.step, TTFT_TYPE).log(request.ttft_ms, tokens)  # type: ignore[arg-type]  # floats are fine
    if request.tpot_ms is not None:
        stats.get(request.step, TPOT_TYPE).log(request.tpot_ms, tokens)  # type: ignore[arg-type]


llm_response.add_listener(record_statistics)
