"""Before a load of sticky conversations, the endpoint must show that it opens sessions."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from bench.session_probe import check_sessions
from bench.sticky_checks import check_conversations, check_sessions_enabled
from common.errors import UserError
from configs.conversation import Sticky
from configs.reading import read_plan
from tests.bench.harness import SIMULATED, Bench
from tests.locustfiles.runs import experiment

if TYPE_CHECKING:
    from deploy.aws.clients import Clients


class Server:
    """A runtime client whose container opens sessions with this answer."""

    def __init__(self, **opened: str) -> None:
        self.opened = opened
        self.sent: list[dict[str, Any]] = []

    def client(self, _: str) -> "Server":
        return self

    def invoke_endpoint(self, **members: Any) -> dict[str, Any]:
        self.sent.append(members)
        if "code" in self.opened:
            error: Any = {"Code": self.opened["code"], "Message": "Received client error (400)"}
            answer: Any = {"Error": error, "OriginalMessage": "no such thing"}
            raise ClientError(answer, "InvokeEndpoint")
        return {"Body": io.BytesIO(b"done"), **(self.opened if len(self.sent) == 1 else {})}


def check(folder: Path, server: Server, **sticky: Any) -> int:
    asking = experiment(folder, component="part", headers={"TargetVariant": "B"})
    return check_sessions(cast("Clients", server), asking, Sticky(**sticky))


def test_a_session_is_opened_and_closed(tmp_path: Path) -> None:
    server = Server(NewSessionId="a-1; Expires=2999-01-01T00:00:00Z")
    assert check(tmp_path, server, close={"type": "end"}) == 2
    assert [members["SessionId"] for members in server.sent] == ["NEW_SESSION", "a-1"]
    bodies = [json.loads(members["Body"]) for members in server.sent]
    assert bodies == [{"requestType": "NEW_SESSION"}, {"type": "end"}]
    assert {(members["InferenceComponentName"], members["TargetVariant"]) for members in server.sent} == {
        ("part", "B")
    }
    assert check(tmp_path, Server(NewSessionId="a-1"), close=None) == 1


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (Server(), r'truth opened no session: its container answered {"requestType": "NEW_SESSION"} without'),
        (
            Server(NewSessionId="!"),
            r"with the id '!'; enable stateful sessions .* workload\.sticky\.open, or",
        ),
        (Server(code="ModelError"), r"its container refused .* \(no such thing\); enable stateful sessions"),
        (Server(code="AccessDeniedException"), r"invoking endpoint truth failed: .*docs/iam\.md"),
    ],
    ids=["no id", "no valid id", "refused", "not allowed"],
)
def test_an_endpoint_that_opens_none_is_named_with_a_remedy(
    tmp_path: Path, server: Server, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check(tmp_path, server)
    assert len(server.sent) == 1


TURNS = {"payload": "en_50-100", "conversation": {"turns": 2}}
ENABLED = {"env": {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": True}}
OWN = {"open": {"type": "start"}}


@pytest.mark.parametrize(
    ("sticky", "model", "message"),
    [
        (True, {}, "SAGEMAKER_ENABLE_STATEFUL_SESSIONS: true"),
        (True, ENABLED, None),
        (OWN, {}, None),
        (False, {}, None),
        (True, {"image": "djl-inference:1"}, None),
        (True, {"image": "djl-inference:1", "env": {"OPTION_ENABLE_STATEFUL_SESSIONS": False}}, "OPTION_EN"),
        (True, {"image": "mine:1"}, None),
    ],
)
def test_a_container_that_will_open_no_sessions_is_found_before_it_is_deployed(
    bench: Bench, sticky: Any, model: dict[str, Any], message: str | None
) -> None:
    content = SIMULATED | {"workload": TURNS | {"sticky": sticky}, "model": SIMULATED["model"] | model}
    plan = read_plan(bench.plan(content))
    assert (plan.workload.sticky is None) == (sticky is False)
    if message is None:
        check_sessions_enabled(plan)
        return
    with pytest.raises(UserError, match=message) as caught:
        check_sessions_enabled(plan)
    assert caught.value.exit_code == 2


def test_single_requests_have_no_conversation_to_open_a_session_for(bench: Bench) -> None:
    plan = read_plan(bench.plan(SIMULATED | {"workload": {"payload": "en_50-100", "sticky": True}}))
    with pytest.raises(UserError, match=r"this plan sends single requests; set workload\.conversation"):
        check_conversations(plan)
    talks = bench.folder / "talks.jsonl"
    talks.write_text('{"turns": ["one", "two"]}\n')
    check_conversations(
        read_plan(bench.plan(SIMULATED | {"workload": {"payload": str(talks), "sticky": True}}))
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"route": "openai"}, "the openai route has no sessions"),
        ({"sticky": "yes"}, r"workload\.sticky: write true, or a mapping with open and close"),
        ({"headers": {"SessionId": "a"}}, r"leave headers\.SessionId out"),
    ],
)
def test_sessions_of_a_plan_do_not_contradict_it(bench: Bench, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_plan(bench.plan(SIMULATED | {"workload": TURNS | {"sticky": True} | more}))
