"""Sticky conversations: who opens and closes the session, which turns name it, and what comes of none."""

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import gevent
import pytest

from configs.conversation import Sticky, Turn
from configs.load import Timeouts
from locustfiles.client.invocation import Invoker
from locustfiles.client.response import InvocationResult
from locustfiles.client.session_id import Session, read_session
from locustfiles.client.signing import SigningKeys
from locustfiles.client.transport import Connection
from locustfiles.worker.answer import Answer
from locustfiles.worker.dialogue import Dialogue
from locustfiles.worker.endpoint import signer_of
from locustfiles.worker.sessions import Sessions
from runfolder.records import Request
from tests.locustfiles.support import BODY, HANG_S, Script, response, sends, serving, stream, target

if TYPE_CHECKING:
    from locustfiles.client.credentials import CredentialKeeper

NEW_ID = "X-Amzn-SageMaker-New-Session-Id"
OPENED = sends(response(200, b"", {NEW_ID: "a-1; Expires=2999-01-01T00:00:00Z"}))
CLOSED = sends(response(200, b"Session a-1 closed"))
ANSWER = sends(*stream())
FAR = Timeouts(connect=10.0, first_byte=10.0, total=15.0)


def refusal(message: str, status: int = 424, name: str = "ModelError") -> Script:
    text = f'{{"OriginalStatusCode": 400, "OriginalMessage": "{message}", "Message": "{message}"}}'
    return sends(response(status, text.encode(), {"x-amzn-ErrorType": name}))


class Keeper:
    keys: ClassVar = SigningKeys("AKIAX", "secret")


class Talk:
    """A conversation of three turns, played against scripts."""

    def __init__(self, *scripts: Script, **sticky: Any) -> None:
        self.scripts = scripts
        self.sticky = Sticky(**sticky)
        self.dialogue = Dialogue(1, "p1", [Turn("x")] * 3, 3, "n", [])
        self.rows: list[Request] = []

    def play(self, turns: int = 3) -> list[Request]:
        with serving(*self.scripts) as server, gevent.Timeout(HANG_S):
            where = target(server.port)
            signer = signer_of(where)
            invoker = Invoker(
                where,
                lambda sha, now, own: signer.headers(sha, Keeper.keys, now, own),
                Connection(where.address, None),
                FAR,
                lambda _: None,
            )
            sessions = Sessions(where, cast("CredentialKeeper", Keeper()), FAR, self.sticky)
            for turn in range(1, turns + 1):
                request = Request(f"r{turn}", "s", "w0", "p1", 100.0, turn=turn)
                self.rows.append(request)
                sessions.invoke(self.dialogue, BODY, request, invoker, stream=True)
                if request.outcome != "ok":
                    break
                self.dialogue.answered += 1
            self.requests = [head.decode() for head in server.requests]
        return self.rows

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The verb of each request that the server got, and the session that it named."""
        found = []
        for head in self.requests:
            named = re.search(r"(?im)^X-Amzn-SageMaker-Session-Id: (\S+)", head)
            assert named is not None
            assert "x-amzn-sagemaker-session-id" in head.split("SignedHeaders=")[1].split(",")[0]
            found.append((head.split()[1].rsplit("/", 1)[1], named[1]))
        return found


def test_a_conversation_opens_a_session_names_it_in_every_turn_and_closes_it() -> None:
    talk = Talk(OPENED, ANSWER, ANSWER, ANSWER, CLOSED)
    rows = talk.play()
    streamed = ("invocations-response-stream", "a-1")
    assert talk.calls == [("invocations", "NEW_SESSION"), *[streamed] * 3, ("invocations", "a-1")]
    assert talk.requests[0].endswith('\r\n\r\n{"requestType":"NEW_SESSION"}')
    assert talk.requests[-1].endswith('\r\n\r\n{"requestType":"CLOSE"}')
    assert [(row.outcome, row.session_id) for row in rows] == [("ok", "a-1")] * 3
    assert [row.session_open_ms is None for row in rows] == [False, True, True]
    assert [row.session_close_ms is None for row in rows] == [True, True, False]
    assert rows[0].connect_ms is not None, "the turn reuses the connection, but somebody had to open it"


def test_a_session_may_be_left_to_expire_and_opened_by_another_body() -> None:
    talk = Talk(OPENED, ANSWER, open={"type": "start"}, close=None)
    talk.play()
    assert talk.requests[0].endswith('\r\n\r\n{"type":"start"}')
    assert len(talk.requests) == 4


def test_the_opening_of_a_session_is_no_part_of_a_latency() -> None:
    class Later(Invoker):
        def __init__(self) -> None:
            self.connection = Connection(where.address, None)

        def invoke(self, _body: Any, request: Request, *, stream: bool) -> InvocationResult:
            assert stream
            arrived.append(request.arrived_at)
            return InvocationResult(request, [], "", 1.0)

    arrived: list[float] = []
    request = Request("r", "s", "w0", "p1", 100.0, schedule_delay_ms=2_000.0, turn=1)
    with serving(OPENED) as server, gevent.Timeout(HANG_S):
        where = target(server.port)
        sessions = Sessions(where, cast("CredentialKeeper", Keeper()), FAR, Sticky(close=None))
        sessions.invoke(Dialogue(1, "p", [Turn("x")], 2, "n", []), BODY, request, Later(), stream=True)
    assert request.session_open_ms is not None
    assert arrived[0] - 98.0 >= request.session_open_ms / 1000 > 0
    assert request.schedule_delay_ms == 2_000.0, "how late this client was, and nothing else"


@pytest.mark.parametrize(
    ("script", "error_class", "detail"),
    [
        (sends(response(200, b"hello there")), "session", "gave no session id: hello there"),
        (sends(response(200, b"", {NEW_ID: "a b; Expires=x"})), "session", "holds no session id"),
        (refusal("stateful sessions not enabled"), "session", "no session was opened: ModelError"),
        (refusal("not allowed", 403, "AccessDeniedException"), "auth", "not allowed"),
        (sends(b"", close=True), "session", "no session was opened: the connection broke"),
    ],
    ids=["no id", "no valid id", "refused", "not allowed", "broken"],
)
def test_without_a_session_the_first_turn_fails_and_is_not_sent(
    script: Script, error_class: str, detail: str
) -> None:
    talk = Talk(script)
    [row] = talk.play()
    assert (row.outcome, row.error_class, row.session_id) == ("failed", error_class, None)
    assert row.http_status is None, "the turn itself got no answer"
    assert detail in (row.error_detail or "")
    assert len(talk.requests) == 1
    assert row.session_open_ms is not None
    assert row.elapsed_ms is not None
    assert row.e2e_ms is None


@pytest.mark.parametrize(
    "gone",
    [refusal("session not found: a-1"), refusal("Session a-1 has expired", 400, "ValidationError")],
    ids=["by the container", "by SageMaker"],
)
def test_a_session_that_was_closed_meanwhile_fails_its_turn_and_not_the_run(gone: Script) -> None:
    talk = Talk(OPENED, ANSWER, gone)
    rows = talk.play()
    assert [row.error_class for row in rows] == [None, "session"]
    assert len(talk.requests) == 3, "there is nothing to close"


def test_another_failure_keeps_its_class_and_the_session_is_closed() -> None:
    talk = Talk(OPENED, ANSWER, refusal("out of memory"), CLOSED)
    rows = talk.play()
    assert [row.error_class for row in rows] == [None, "model_4xx"]
    assert talk.calls[-1] == ("invocations", "a-1")


def test_a_user_that_is_stopped_while_it_closes_a_session_keeps_its_answer() -> None:
    closing = threading.Event()
    talk = Talk(OPENED, *[ANSWER] * 3, lambda _: closing.set())
    player = gevent.spawn(talk.play)
    with gevent.Timeout(HANG_S):
        while not closing.is_set():
            gevent.sleep(0.005)
    player.kill(block=False)
    assert player.get(timeout=HANG_S) == talk.rows
    assert [row.outcome for row in talk.rows] == ["ok"] * 3
    assert talk.dialogue.interrupted, "its user must not begin another conversation"


def test_a_turn_after_the_stated_end_of_its_session_fails_unsent() -> None:
    expired = sends(response(200, b"", {NEW_ID: "a-1; Expires=2001-01-01T00:00:00Z"}))
    talk = Talk(expired, ANSWER)
    rows = talk.play()
    assert [(row.outcome, row.error_class) for row in rows] == [("ok", None), ("failed", "session")]
    assert len(talk.requests) == 2


def test_a_users_own_invocation_opens_a_session_too() -> None:
    opened = response(200, b"Session a-1 created", {NEW_ID: "a-1; Expires=2999-01-01T00:00:00Z"})
    found = []
    for asked in ("NEW_SESSION", "b-2"):
        with serving(sends(opened)) as server, gevent.Timeout(HANG_S):
            where = replace(target(server.port, event_stream=False), text=False)
            invoker = Invoker(where, lambda *_: [], Connection(where.address, None), FAR, lambda _: None)
            request = Request("r", "s", "w0", "p1", 0.0, session_id=asked)
            found.append(Answer(invoker.invoke(BODY, request, stream=False)).new_session_id)
    assert found == ["a-1", None]


@pytest.mark.parametrize(
    ("granted", "session"),
    [
        ("0b-9; Expires=2026-11-29T08:00:01Z", Session("0b-9", 1795939201.0)),
        ("0b-9", Session("0b-9", None)),
        ("0b-9; Expires=soon", Session("0b-9", None)),
        ("NEW_SESSION", None),
        ("a" * 257, None),
        ("", None),
    ],
)
def test_the_id_and_the_end_of_a_session_are_read(granted: str, session: Session | None) -> None:
    assert read_session(granted) == session
