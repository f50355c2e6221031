"""Stateful sessions: the invocations that open and close them, whose answer is in a header."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from common.text import one_line
from locustfiles.client.error_classes import Failure
from locustfiles.client.invocation import Invoker
from locustfiles.client.request_bodies import Body
from locustfiles.client.response import NEW_SESSION, IncomingResponse, InvocationResult
from runfolder.records import Request

_GRANTED = re.compile(r"(?P<id>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,255})(?:;\s*Expires=(?P<expires>\S+))?")
_NAMED = re.compile(r"\bsessions?\b", re.IGNORECASE)
_REFUSALS = frozenset({"validation", "model_4xx", "model_5xx", "in_band"})
"""Classes of an answer that may say that a session has ended."""
_SHOWN = 80


class Session(NamedTuple):
    """A session that a container has opened."""

    id: str
    expires_at: float | None
    """Epoch seconds, as the container says; None if it does not."""

    def ended(self, now: float) -> bool:
        """Whether it has expired by ``now``."""
        return self.expires_at is not None and now >= self.expires_at


class SessionCall(NamedTuple):
    """What became of an invocation that was to open or to close a session."""

    request: Request
    """Its outcome and times; it is no row of its own."""
    session: Session | None
    """The session that it opened."""
    failure: Failure | None


def read_session(granted: str) -> Session | None:
    """The session of a ``NewSessionId`` (``<id>; Expires=2026-11-29T08:00:00Z``); None if it has no id."""
    match = _GRANTED.fullmatch(granted.strip())
    if match is None:
        return None
    try:
        expires = datetime.fromisoformat(match["expires"] or "")
    except ValueError:
        return Session(match["id"], None)
    return Session(match["id"], expires.replace(tzinfo=expires.tzinfo or UTC).timestamp())


def mark_ended_session(request: Request) -> None:
    """Give a refusal that says that the request's session is not open the class ``session``."""
    if request.error_class in _REFUSALS and _NAMED.search(request.error_detail or ""):
        request.error_class = "session"


class _HeaderResponse(IncomingResponse):
    """A response that says everything in its head: its body may be anything, or empty."""

    def finish(self) -> None:
        self.check_status()


class SessionInvoker(Invoker):
    """Opens and closes sessions, on the connection of a user that sends nothing else meanwhile."""

    def _expect(self, request: Request, *, stream: bool) -> IncomingResponse:
        return _HeaderResponse(self._target, request, self.connection, stream=stream, keep_content=True)

    def open(self, body: Body) -> SessionCall:
        """Ask the container for a session."""
        call, result = self._call(NEW_SESSION, body)
        if call.request.outcome != "ok":
            return call
        if result.granted is None:
            said = one_line(result.content.decode(errors="replace"))[:_SHOWN]
            return call._replace(failure=Failure("session", f"the container gave no session id: {said}"))
        session = read_session(result.granted)
        if session is None:
            return call._replace(
                failure=Failure("session", f"{result.granted[:_SHOWN]!r} holds no session id")
            )
        return call._replace(session=session)

    def close(self, session_id: str, body: Body) -> SessionCall:
        """Ask the container to end a session."""
        return self._call(session_id, body)[0]

    def _call(self, session_id: str, body: Body) -> tuple[SessionCall, InvocationResult]:
        request = Request("", "", "", body.payload_id, 0.0, session_id=session_id)
        result = self.invoke(body, request, stream=False)
        failure = None
        if request.error_class is not None:
            failure = Failure(request.error_class, request.error_detail or "")
        return SessionCall(request, None, failure), result
