"""Stateful sessions as data: what a container grants, and how an endpoint says that one has ended."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from runfolder.records import Request

NEW_SESSION = "NEW_SESSION"
"""The ``SessionId`` that asks for a session."""
_GRANTED = re.compile(r"(?P<id>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,255})(?:;\s*Expires=(?P<expires>\S+))?")
_NAMED = re.compile(r"\bsessions?\b", re.IGNORECASE)
_REFUSALS = frozenset({"validation", "model_4xx", "model_5xx", "in_band"})
"""Classes of an answer that may say that a session has ended."""


class Session(NamedTuple):
    """A session that a container has opened."""

    id: str
    expires_at: float | None
    """Epoch seconds, as the container says; None if it does not."""

    def ended(self, now: float) -> bool:
        """Whether it has expired by ``now``."""
        return self.expires_at is not None and now >= self.expires_at


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
