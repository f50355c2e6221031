"""Requests as containers read them: rows of every kind in every schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.checks import check_headers, checked_payload
from common.errors import UserError
from configs.nonce import nonce
from configs.payload import PayloadRow, check_rows, read_payload
from configs.payload_spec import PayloadSpec
from configs.plan import Plan
from configs.workload import Workload
from locustfiles.client.invocation_url import resolve_target
from locustfiles.client.request_bodies import BodyFactory
from tests.locustfiles.runs import experiment

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a pirate."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {}}, {"type": "text", "text": "What?"}]},
    {"role": "assistant", "content": "Arr"},
    {"role": "user", "content": "Where?"},
]


def sent(row: PayloadRow, **options: Any) -> Any:
    defaults = {"schema": "openai", "route": "invocations", "stream": True, "parameters": {}}
    factory = BodyFactory([row], **{**defaults, "unique_prefix": False, **options})
    return json.loads(next(factory.bodies("seed")).data)


def workload(**values: Any) -> Workload:
    return Workload.model_validate({"payload": "en_50-100", **values})


def plan(**values: Any) -> Plan:
    content = {
        "name": "p",
        "model": {"name": "m", "source": "image", "image": "vllm"},
        "endpoint": {"name": "foo", "region": "us-east-1"},
        "workload": {"payload": "en_50-100", **values},
        "load": {"concurrency": [1]},
    }
    return Plan.model_validate(content)


def test_messages_are_sent_as_given() -> None:
    assert sent(PayloadRow("c", "", None, messages=CHAT))["messages"] == CHAT


def test_the_unique_prefix_stands_before_the_first_text_of_a_user() -> None:
    messages = sent(PayloadRow("c", "", None, messages=CHAT), unique_prefix=True)["messages"]
    text = messages[1]["content"][1]["text"]
    assert text.endswith(" What?")
    assert text.split()[:-1] == nonce("seed/0").split()
    messages[1]["content"][1]["text"] = "What?"
    assert messages == CHAT


def test_each_schema_has_its_own_body() -> None:
    row = PayloadRow("p", "Hello", 1)
    completion = sent(row, schema="completions", parameters={"max_tokens": 9})
    assert (completion["prompt"], completion["max_tokens"], completion["stream"]) == ("Hello", 9, True)
    assert "messages" not in completion
    assert sent(row, schema="embeddings", stream=False) == {"input": "Hello"}
    assert sent(PayloadRow("b", "", None, body={"x": [1]}), schema="raw", unique_prefix=True) == {"x": [1]}


def test_running_usage_is_asked_for_where_the_container_has_it() -> None:
    row = PayloadRow("p", "Hello", 1)
    assert sent(row)["stream_options"] == {"include_usage": True}
    assert sent(row, running_usage=True)["stream_options"]["continuous_usage_stats"] is True
    own = {"stream_options": {"continuous_usage_stats": False}}
    assert sent(row, running_usage=True, parameters=own)["stream_options"] == {
        "include_usage": True,
        "continuous_usage_stats": False,
    }
    assert "stream_options" not in sent(row, stream=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"parameters": {"messages": []}}, 'the suite itself writes messages; give rows of {"messages"'),
        ({"parameters": {"stream": False}}, "set workload.stream"),
        ({"parameters": {"inputs": "x"}}, "rows of the payload"),
        ({"parameters": {"input": "x"}}, "workload.schema: embeddings"),
        ({"parameters": {"n": 2}}, "n asks for several answers"),
        ({"schema": "embeddings"}, "set stream: false"),
        ({"schema": "raw", "parameters": {"a": 1}}, "a raw body is sent unchanged"),
        ({"schema": "completions", "route": "openai"}, "route: invocations"),
        ({"route": "openai", "headers": {"CustomAttributes": "a"}}, "belong to InvokeEndpoint"),
    ],
)
def test_what_contradicts_the_suite_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workload(**values)


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (PayloadRow("c", "", None, messages=CHAT), {}, "set workload.schema: openai"),
        (PayloadRow("c", "", None, messages=CHAT[:1]), {"schema": "openai"}, "unique_prefix: false"),
        (PayloadRow("b", "", None, body={}), {}, "set workload.schema: raw"),
        (PayloadRow("p", "Hello", 1), {"schema": "raw"}, "has no body"),
    ],
)
def test_rows_that_do_not_fit_are_refused(row: PayloadRow, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_rows(Path("rows.jsonl"), [row], workload(**values))


def test_a_byte_order_mark_messages_and_bodies_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": "Hello"}, {"messages": CHAT, "payload_id": "c"}, {"body": [1]}]
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    prompt, chat, body = read_payload(path)
    assert (prompt.prompt, chat.messages, body.body) == ("Hello", CHAT, [1])
    assert "pirate" in chat.shown


def test_the_preflight_counts_the_bytes_of_the_body(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": '"' * 1000}) + "\n")
    facts = checked_payload(plan(parameters={"stop": "x" * 500}), PayloadSpec(file=str(path))).facts
    assert 2500 < facts.max_bytes < 2800


def test_headers_are_sent_under_the_names_of_the_api(tmp_path: Path) -> None:
    asked = experiment(tmp_path, headers={"CustomAttributes": "accept_eula=true", "TargetVariant": "v2"})
    headers = resolve_target(asked).headers
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "accept_eula=true"
    assert headers["X-Amzn-SageMaker-Target-Variant"] == "v2"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"headers": {"CustomAttribute": "a"}}, "not a member of InvokeEndpoint; there is CustomAttributes"),
        ({"headers": {"TargetModel": "m.tar.gz"}}, "set workload.stream: false"),
        ({"headers": {"TargetVariant": "v"}}, "set endpoint.target_variant"),
        ({"headers": {"CustomAttributes": "a\r\nHost: b"}}, "printable ASCII"),
        ({"headers": {"SessionId": "NEW SESSION"}, "stream": False}, "does not match"),
        ({"headers": {"InferenceId": "x" * 65}}, "has 65 characters; write 1 to 64"),
    ],
)
def test_headers_that_the_api_does_not_have_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_headers(plan(**values))


def test_headers_of_the_api_are_accepted() -> None:
    check_headers(plan(headers={"CustomAttributes": "a=b", "SessionId": "s-1", "InferenceId": "i"}))
    check_headers(plan(headers={"TargetModel": "m.tar.gz"}, stream=False))


def test_a_row_asks_for_its_own_output_tokens_and_the_plan_for_the_others() -> None:
    plain, own = PayloadRow("p", "Hello", None), PayloadRow("q", "Hello", None, output_tokens=7)
    parameters = {"max_tokens": 100, "temperature": 0}
    assert sent(plain, parameters=parameters, exact_for="vllm")["max_tokens"] == 100
    body = sent(own, parameters=parameters, exact_for="vllm")
    assert (body["max_tokens"], body["min_tokens"], body["ignore_eos"], body["temperature"]) == (
        7,
        7,
        True,
        0,
    )
    assert "ignore_eos" not in sent(own, parameters=parameters)
    assert sent(own, parameters={"ignore_eos": False}, exact_for="vllm")["ignore_eos"] is False
    assert sent(own, schema="tgi", exact_for="tgi")["parameters"] == {"details": True, "max_new_tokens": 7}
    assert sent(PayloadRow("r", "", None, body={"a": 1}, output_tokens=7), schema="raw") == {"a": 1}


def test_the_nonce_stands_after_the_prefix_that_prompts_share() -> None:
    row = PayloadRow("p", "Hello", None, shared_prefix="Once upon a time. ")
    assert sent(row)["messages"][0]["content"] == "Once upon a time. Hello"
    text = sent(row, unique_prefix=True)["messages"][0]["content"]
    assert text == f"Once upon a time. {nonce('seed/0')}Hello"


def test_a_body_knows_the_lengths_that_it_asks_for() -> None:
    row = PayloadRow("p", "Hello", 40, asked_prompt_tokens=41, output_tokens=7)
    options: dict[str, Any] = {"schema": "openai", "route": "invocations", "stream": True, "parameters": {}}
    factory = BodyFactory([row], unique_prefix=True, **options)
    body = next(factory.bodies("seed"))
    assert (body.asked_prompt_tokens, body.asked_output_tokens) == (41, 7)
    of_a_trace = factory.sized_body("s", 1, prompt_tokens=38, output_tokens=9)
    assert (of_a_trace.asked_prompt_tokens, of_a_trace.asked_output_tokens) == (38, 9)
