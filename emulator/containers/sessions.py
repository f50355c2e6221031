"""Stateful sessions as the containers of LMI, vLLM and SGLang open and close them."""

import json
import time
import uuid
from datetime import UTC, datetime

from emulator.containers.profile import Simulation
from emulator.http import HttpRequest, HttpResponse, json_response

_ID = "X-Amzn-SageMaker-Session-Id"
_NEW_ID = "X-Amzn-SageMaker-New-Session-Id"
_CLOSED_ID = "X-Amzn-SageMaker-Closed-Session-Id"
_NEW = "NEW_SESSION"


class SessionStore:
    """The sessions of one container.

    A body ``{"requestType": "NEW_SESSION"}`` opens one, and ``{"requestType": "CLOSE"}`` closes the one that
    the request names. A request that names a session which is not open is refused with the status 400.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._seconds = simulation.session_seconds
        self._granted_in = _ID if simulation.schema == "lmi" else _NEW_ID
        self._expires_at: dict[str, float] = {}

    def serve(self, request: HttpRequest) -> HttpResponse | None:
        """The response to a request that opens, closes or misses a session; None for any other."""
        named, kind = request.headers.get(_ID.lower()), _request_type(request.body)
        if named is None and kind is None:
            return None
        if self._seconds is None:
            return _refusal("Invalid payload. stateful sessions not enabled")
        if kind == _NEW:
            return self._open(self._seconds)
        return self._serve_inside(named or "", kind)

    def _serve_inside(self, named: str, kind: str | None) -> HttpResponse | None:
        if named == _NEW:
            return None  # its body does not ask for a session
        if self._expires_at.get(named, 0.0) <= time.time():
            return _refusal(f"Bad request: session not found: {named}")
        if kind != "CLOSE":
            return None
        del self._expires_at[named]
        return HttpResponse(200, {_CLOSED_ID: named}, f"Session {named} closed".encode())

    def _open(self, seconds: float) -> HttpResponse:
        session, expires_at = str(uuid.uuid4()), time.time() + seconds
        self._expires_at[session] = expires_at
        stated = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {self._granted_in: f"{session}; Expires={stated}"}
        return HttpResponse(200, headers, f"Session {session} created".encode())


def _request_type(body: bytes) -> str | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content.get("requestType") if isinstance(content, dict) else None


def _refusal(message: str) -> HttpResponse:
    return json_response(400, {"detail": message})
