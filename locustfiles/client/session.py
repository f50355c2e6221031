"""Stateful sessions: the invocations that open and close them, whose answer is in a header."""

from typing import NamedTuple

from common.text import one_line
from locustfiles.client.error_classes import Failure
from locustfiles.client.invocation import Invoker
from locustfiles.client.request_bodies import Body
from locustfiles.client.response import IncomingResponse, InvocationResult
from locustfiles.client.session_id import NEW_SESSION, Session, read_session
from runfolder.records import Request

_SHOWN = 80


class SessionCall(NamedTuple):
    """What became of an invocation that was to open or to close a session."""

    request: Request
    """Its outcome and times; it is no row of its own."""
    session: Session | None
    """The session that it opened."""
    failure: Failure | None


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
