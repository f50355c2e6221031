"""A quick check finds the format of an endpoint, and the command that measures it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from bench.format_probe import find_format
from bench.quick import ENDPOINT_PLAN, quick_plan, quick_report
from common.errors import UserError
from configs.reading import read_plan
from runfolder.manifest import read_manifest
from tests.locustfiles.runs import experiment
from tests.support.synthetic_run import Deployed, write_run

if TYPE_CHECKING:
    from deploy.aws.clients import Clients

CHAT = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
TGI = b'data: {"token":{"id":1,"text":"x","special":false},"generated_text":"x","details":null}\n\n'
WHOLE = b'[{"generated_text":"x"}]'


class Server:
    """A runtime client whose container understands some requests, by a key of their body."""

    def __init__(
        self, key: str, streamed: bytes | None, whole: bytes | None, code: str = "ModelError"
    ) -> None:
        self._key, self._streamed, self._whole, self._code = key, streamed, whole, code
        self.sent: list[dict[str, Any]] = []

    def client(self, _: str) -> "Server":
        return self

    def _answer(self, members: dict[str, Any], answer: bytes | None) -> bytes:
        self.sent.append(members)
        if answer is None or self._key not in json.loads(members["Body"]):
            raise ClientError({"Error": {"Code": self._code, "Message": "not so"}}, "Invoke")
        return answer

    def invoke_endpoint(self, **members: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._answer(members, self._whole))}

    def invoke_endpoint_with_response_stream(self, **members: Any) -> dict[str, Iterator[Any]]:
        answer = self._answer(members, self._streamed)
        return {
            "Body": iter([{"PayloadPart": {"Bytes": answer[:9]}}, {"PayloadPart": {"Bytes": answer[9:]}}])
        }


@pytest.mark.parametrize(
    ("server", "found", "asked"),
    [
        (Server("messages", CHAT, None), ("openai", True), 1),
        (Server("inputs", TGI, None), ("tgi", True), 3),
        (Server("inputs", None, WHOLE), ("tgi", False), 7),
        (Server("inputs", b'{"what": 1}', WHOLE), ("tgi", False), 7),
    ],
    ids=["the described schema", "another schema", "no stream", "a stream that cannot be read"],
)
def test_the_first_schema_with_a_readable_answer_is_taken(
    tmp_path: Path, server: Server, found: tuple[str, bool], asked: int
) -> None:
    asking = experiment(tmp_path, request_schema="openai", component="part")
    format_ = find_format(cast("Clients", server), asking)
    assert (format_.schema, format_.stream) == found
    assert len(server.sent) == asked
    assert {members["InferenceComponentName"] for members in server.sent} == {"part"}


def test_an_endpoint_that_answers_to_nothing_is_named_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"truth gave no answer .*: not so\); .*raw or embeddings"):
        find_format(cast("Clients", Server("pixels", CHAT, CHAT)), experiment(tmp_path))


def test_a_refusal_of_aws_is_no_question_of_the_format(tmp_path: Path) -> None:
    server = Server("messages", None, None, code="AccessDeniedException")
    with pytest.raises(UserError, match=r"invoking endpoint truth failed: not so; docs/iam.md"):
        find_format(cast("Clients", server), experiment(tmp_path))
    assert len(server.sent) == 1


def test_a_timeout_is_reported(tmp_path: Path) -> None:
    class Slow(Server):
        def _answer(self, *_: object) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://x")

    with pytest.raises(UserError, match="Read timeout"):
        find_format(cast("Clients", Slow("x", None, None)), experiment(tmp_path))


def test_the_plans_play_one_user_for_less_than_a_minute() -> None:
    for plan in (quick_plan(None, None), quick_plan("mine", None), quick_plan("mine", "part")):
        assert plan.load.concurrency == (1,)
        assert plan.load.warm_up_s + plan.load.measure_s < 60
    assert plan.endpoint.components[0].name == "part"


def checked(folder: Path, plan: Any, workload: dict[str, Any]) -> None:
    """A run folder of a quick check that found this workload."""
    write_run(folder, (Deployed(concurrency=(1,), measure_s=60),))
    manifest = read_manifest(folder)
    manifest.plan = plan.model_dump(mode="json", by_alias=True)
    manifest.plan["workload"] |= workload
    manifest.save(folder)


@pytest.mark.parametrize(
    ("endpoint", "component", "workload", "command"),
    [
        (None, None, {"schema": "openai"}, "make bench"),
        ("mine", None, {"schema": "openai"}, "make bench ENDPOINT=mine"),
        ("mine", None, {"schema": "tgi", "stream": False}, "make bench PLAN="),
        ("mine", "part", {"schema": "openai"}, "make bench PLAN="),
    ],
)
def test_the_next_command_measures_what_was_checked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    endpoint: str | None,
    component: str | None,
    workload: dict[str, Any],
    command: str,
) -> None:
    folder = tmp_path / "run"
    checked(folder, quick_plan(endpoint, component), workload)
    assert quick_report(folder)
    said = capsys.readouterr().out.strip().rpartition("Next: ")[2]
    if not command.endswith("="):
        assert said == command
        return
    assert said == f"{command}{folder / 'next.yml'}"
    plan = read_plan(folder / "next.yml")
    assert (plan.endpoint.name, plan.workload.request_schema) == ("mine", workload["schema"])
    assert plan.workload.stream == workload.get("stream", True)
    assert [part.name for part in plan.endpoint.components] == ([component] if component else [])
    assert plan.load == read_plan(ENDPOINT_PLAN, {"endpoint.name": "mine"}).load
