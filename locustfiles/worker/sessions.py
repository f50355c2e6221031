"""Sticky conversations: each opens a stateful session, names it in every turn, and closes it at its end."""

import hashlib
import json
import logging
import time
from typing import Any

from configs.conversation import Sticky
from configs.load import Timeouts
from locustfiles.client.credentials import CredentialKeeper
from locustfiles.client.error_classes import STOPS_RUN, Failure
from locustfiles.client.invocation import Invoker
from locustfiles.client.invocation_url import InvocationTarget, without_stream
from locustfiles.client.request_bodies import Body
from locustfiles.client.response import InvocationResult
from locustfiles.client.session import SessionInvoker
from locustfiles.client.session_id import mark_ended_session
from locustfiles.worker.dialogue import Dialogue
from locustfiles.worker.endpoint import signer_of
from runfolder.records import Request

logger = logging.getLogger(__name__)


class Sessions:
    """Plays the turns of conversations inside sessions.

    Args:
        target: of the turns; sessions are opened and closed at the same endpoint.
        keeper: the credentials of this process.
        timeouts: of every invocation.
        sticky: the plan's.
    """

    def __init__(
        self, target: InvocationTarget, keeper: CredentialKeeper, timeouts: Timeouts, sticky: Sticky
    ) -> None:
        self._target = without_stream(target)
        self._signer = signer_of(self._target)
        self._keeper = keeper
        self._timeouts = timeouts
        self._opening = _body(sticky.open)
        self._closing = None if sticky.close is None else _body(sticky.close)
        self._warned = False

    def invoke(
        self, dialogue: Dialogue, body: Body, request: Request, invoker: Invoker, *, stream: bool
    ) -> InvocationResult:
        """Send a turn in its conversation's session: the first one opens it, the last one closes it."""
        if dialogue.stateful is None:
            if (unopened := self._open(dialogue, request, invoker)) is not None:
                return unopened
        elif dialogue.stateful.ended(time.time()):
            failure = Failure("session", "the session had expired before this turn")
            return _failed(request, failure, time.time() - request.started_at)
        if dialogue.stateful is not None:
            request.session_id = dialogue.stateful.id
        outcome = invoker.invoke(body, request, stream=stream)
        mark_ended_session(request)
        if request.outcome == "ok":
            ends = dialogue.answered + 1 == dialogue.last_turn
        else:  # an endpoint that gave no answer at all is not asked again
            ends = request.http_status is not None and request.error_class != "session"
        if ends and request.outcome != "censored":
            self._close(dialogue, request, invoker)
        return outcome

    def _open(self, dialogue: Dialogue, request: Request, invoker: Invoker) -> InvocationResult | None:
        """Open the session; the turn's result if it cannot be sent."""
        began = time.time()
        call = self._invoker(invoker).open(self._opening)
        took_s = time.time() - began
        request.connect_ms = call.request.connect_ms
        request.session_open_ms = call.request.elapsed_ms
        if call.request.outcome == "censored":
            request.outcome = "censored"
            return _unsent(request, took_s)
        if call.failure is not None:
            return _failed(request, _opening_failure(call.failure), took_s)
        dialogue.stateful = call.session
        request.started_at += took_s  # the turn is due once its session is open
        return None

    def _close(self, dialogue: Dialogue, request: Request, invoker: Invoker) -> None:
        if self._closing is None or dialogue.stateful is None:
            return
        call = self._invoker(invoker).close(dialogue.stateful.id, self._closing)
        request.session_close_ms = call.request.elapsed_ms
        dialogue.interrupted = call.request.outcome == "censored"
        if call.failure is not None and not self._warned:
            self._warned = True
            logger.warning("A session was not closed, and will expire: %s", call.failure.detail)

    def _invoker(self, invoker: Invoker) -> SessionInvoker:
        return SessionInvoker(
            self._target, self._authorize, invoker.connection, self._timeouts, on_lag=lambda _: None
        )

    def _authorize(self, body_sha256: str, now: float, own: Any) -> list[tuple[str, str]]:
        return self._signer.headers(body_sha256, self._keeper.keys, now, own)


def _body(content: dict[str, Any]) -> Body:
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Body("session", None, data, hashlib.sha256(data).hexdigest())


def _opening_failure(failure: Failure) -> Failure:
    if failure.error_class in STOPS_RUN:
        return failure
    return Failure("session", f"no session was opened: {failure.detail}"[:300])


def _failed(request: Request, failure: Failure, took_s: float) -> InvocationResult:
    request.outcome, request.error_class, request.error_detail = (
        "failed",
        failure.error_class,
        failure.detail,
    )
    return _unsent(request, took_s)


def _unsent(request: Request, took_s: float) -> InvocationResult:
    request.elapsed_ms = 1000 * took_s
    return InvocationResult(request, gaps_ms=[], text="", elapsed_ms=request.elapsed_ms)
