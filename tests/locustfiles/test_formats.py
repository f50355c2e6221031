"""What containers and gateways send beside the plain case: odd events, other keys, errors in every shape."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locustfiles.client.answer_parser import AnswerError, AnswerParser, ParsedAnswer


def event(content: object, end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}{end}".encode()


def delta(content: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": content, "finish_reason": finish}], **more}


def usage(tokens: int, **more: Any) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens, **more}}


def words(*texts: str) -> list[dict[str, Any]]:
    return [*(delta({"content": text}) for text in texts), delta({}, "stop"), usage(len(texts))]


def read(parts: list[bytes], *, stream: bool = True, raw: bool = False) -> ParsedAnswer:
    """Each part arrives one second after the one before it, the first at 0."""
    answer_parser = AnswerParser(stream=stream, raw=raw)
    for at, part in enumerate(parts):
        answer_parser.feed(part, float(at))
    return answer_parser.finish(float(len(parts)))


def text_of(answer: ParsedAnswer) -> str:
    return "".join(answer.text)


DONE = b"data: [DONE]\n\n"
PLAIN = [event(each) for each in words("a", " b", " c")]


def lined(content: object) -> bytes:
    lines = json.dumps(content, indent=1, ensure_ascii=False).split("\n")
    return "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


STREAMS = {
    "no space after the colon": [part.replace(b"data: ", b"data:") for part in PLAIN],
    "CRLF": [part.replace(b"\n", b"\r\n") for part in PLAIN],
    "CR": [part.replace(b"\n", b"\r") for part in PLAIN],
    "no blank lines": [part.replace(b"\n\n", b"\n") for part in PLAIN],
    "byte order mark": [b"\xef\xbb\xbf" + PLAIN[0], *PLAIN[1:]],
    "blank lines first": [b"\n\n\n" + PLAIN[0], *PLAIN[1:]],
    "comments": [part + b": keep-alive\n\n" for part in PLAIN],
    "names, ids, retries": [b"event: message\nid: 1\nretry: 10\nunknown: x\n" + part for part in PLAIN],
    "JSON over several lines": [lined(each) for each in words("a", " b", " c")],
    "usage without choices": [*PLAIN[:-1], event({"id": "c", "usage": usage(3)["usage"]}), DONE],
    "usage in the last choice": [*PLAIN[:3], event(delta({}, "stop", usage=usage(3)["usage"])), DONE],
    "unknown events": [event({"type": "ping"}) + part + b"data: ping\n\n" for part in PLAIN],
    "no newline at the end": [*PLAIN[:-1], PLAIN[-1].rstrip()],
    "events in a list": [event(words("a", " b", " c")[:1]), *PLAIN[1:-2], event(words("a", " b", " c")[-2:])],
    "null choices": [*PLAIN, event({"choices": None})],
    "content in parts": [
        event(delta({"content": [{"type": "text", "text": text}]})) for text in ("a", " b", " c")
    ]
    + PLAIN[3:],
}


@pytest.mark.parametrize("form", STREAMS)
def test_what_the_standard_allows_is_read(form: str) -> None:
    answer = read(STREAMS[form])
    assert (text_of(answer), answer.usage.completion_tokens, answer.finish_reason) == ("a b c", 3, "stop")
    assert (answer.first_at, answer.last_at, answer.chunks) == (0.0, 2.0, 3)


@pytest.mark.parametrize("form", STREAMS)
@given(cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_any_split_gives_the_same_answer(form: str, cuts: list[int]) -> None:
    data = b"".join(STREAMS[form])
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    answer = read([data[start:end] for start, end in itertools.pairwise(edges)])
    whole = read(STREAMS[form])
    assert (answer.text, answer.usage, answer.finish_reason, answer.skipped_events) == (
        whole.text, whole.usage, whole.finish_reason, whole.skipped_events,
    )  # fmt: skip


def test_skipped_events_are_counted() -> None:
    assert read(PLAIN).skipped_events == 0
    assert read(STREAMS["unknown events"]).skipped_events == 10


def call(**function: str) -> dict[str, Any]:
    return delta({"tool_calls": [{"index": 0, "function": function}]})


def test_the_name_of_a_tool_call_is_its_first_output() -> None:
    role = event(delta({"role": "assistant", "content": None}))
    for name, rest in (
        (call(name="look", arguments=""), call(arguments="{}")),
        (delta({"function_call": {"name": "look"}}), delta({"function_call": {"arguments": "{}"}})),
        (delta({"tool_calls": {"function": {"name": "look"}}}), call(arguments="{}")),
    ):
        answer = read([role, event(name), event(rest), event(delta({}, "tool_calls")), DONE])
        assert (text_of(answer), answer.first_at, answer.first_output_at) == ("look{}", 1.0, 1.0)


def test_thinking_parts_are_reasoning() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    parts = [delta({"content": thinking}), delta({"content": [{"type": "text", "text": "so"}]}, "stop")]
    answer = read([event(each) for each in parts])
    assert (text_of(answer), answer.first_at, answer.first_output_at) == ("hmso", 0.0, 1.0)


def test_running_usage_gives_the_tokens_of_the_first_chunk() -> None:
    parts = [delta({"content": "a b"}, **usage(2)), delta({"content": " c d"}, **usage(4))]
    for part, text in zip(parts, ("a b", " c d"), strict=True):
        part["choices"] = delta({"content": text})["choices"]
    answer = read([*(event(part) for part in parts), event(delta({}, "stop")), DONE])
    assert (answer.first_chunk_tokens, answer.usage.completion_tokens) == (2, 4)


@pytest.mark.parametrize(
    "details",
    [
        {"prompt_tokens_details": {"cached_tokens": 5}},
        {"cached_tokens": 5},
        {"prompt_cache_hit_tokens": 5},
    ],
)
def test_cached_prompt_tokens_are_read(details: dict[str, Any]) -> None:
    assert read([*PLAIN, event(usage(3, **details))]).usage.cached_prompt_tokens == 5
    assert read(PLAIN).usage.cached_prompt_tokens is None


def test_other_containers_streams_are_read() -> None:
    old_lmi = [b'{"outputs": ["a"]}\n', b'{"outputs": [" b"]}\n']
    triton = [event({"text_output": "a"}), event({"text_output": " b"})]
    last = {"content": "", "stop": True, "tokens_predicted": 2, "tokens_evaluated": 7}
    llama_cpp = [event({"content": text, "stop": False}) for text in ("a", " b")] + [event(last)]
    for stream in (old_lmi, triton, llama_cpp):
        answer = read(stream)
        assert (text_of(answer), answer.first_at, answer.last_at) == ("a b", 0.0, 1.0)
    assert (answer.usage.completion_tokens, answer.usage.prompt_tokens) == (2, 7)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([[{"generated_text": "one two"}]], "one two"),
        ({"outputs": ["one two"]}, "one two"),
        ([{"generation": "one two"}], "one two"),
        ([{"generation": {"role": "assistant", "content": "one two"}}], "one two"),
        ({"text_output": "one two"}, "one two"),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "one two"}]}}]}, "one two"),
        ({"choices": [{"message": {"content": None, "tool_calls": [{"function": {"name": "f"}}]}}]}, "f"),
    ],
)
def test_whole_answers_of_other_keys_are_read(body: Any, text: str) -> None:
    assert text_of(read([json.dumps(body).encode()], stream=False)) == text


ERRORS: list[tuple[bytes, str]] = [
    (event({"error": "no memory"}), "no memory"),
    (event({"error": {"message": "no memory", "code": 500}}), "no memory"),
    (event({"error": "no memory", "error_type": "overloaded"}), "no memory"),
    (b"event: error\n" + event({"reason": "no memory"}), "no memory"),
    (b"event: error\ndata: no memory\n\n", "no memory"),
    (b'error: {"code": 500, "message": "no memory"}\n\n', "no memory"),
    (event({"reason": "no memory"}, "\n") + b"event: error\n\n", "an error event"),
    (event({"detail": "no memory"}), "no memory"),
    (event({"message": "no memory"}), "no memory"),
    (event({"object": "error", "message": "no memory", "code": 400}), "no memory"),
    (event({"error_code": 500, "error_msg": "no memory"}), "no memory"),
    (event({"code": 424, "message": "no memory", "id": "x"}), "no memory"),
    (event(delta({"content": ""}, "error", error={"message": "no memory"})), "no memory"),
    (event(delta({}, "abort")), "finish reason is abort"),
    (b'{"error": "no memory", "code": 424}\n', "no memory"),
    (event({"token": {"id": -1, "text": "no memory"}}), "no memory"),
]


@pytest.mark.parametrize(("data", "message"), ERRORS)
@pytest.mark.parametrize("before", [[], PLAIN[:2]])
def test_an_error_in_any_shape_is_a_failure(data: bytes, message: str, before: list[bytes]) -> None:
    with pytest.raises(AnswerError, match=message) as caught:
        read([*before, data, *PLAIN[3:]])
    assert caught.value.error_class == "in_band"


def test_a_broken_event_is_no_skipped_one() -> None:
    for data in (b'data: {"choices": [\n\n', b'data: {"choices": ['):
        with pytest.raises(AnswerError, match="incomplete or invalid JSON") as caught:
            read([*PLAIN[:2], data])
        assert caught.value.error_class == "truncated"


def test_an_answer_of_unknown_events_alone_says_which() -> None:
    with pytest.raises(AnswerError, match=r"no output.*embedding.*set workload.schema: raw") as caught:
        read([json.dumps({"data": [{"embedding": [0.1]}]}).encode()], stream=False)
    assert caught.value.error_class == "protocol"


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"embedding": [0.1, 0.2]}]}',
        b"[[0.1, 0.2]]",
        b"[0.1]",
        b"0.1,0.2\n",
        b"\x93NUMPY",
        b"null",
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_raw_body_may_be_answered_without_text(body: bytes, *, stream: bool) -> None:
    answer = read([body[:3], body[3:]], stream=stream, raw=True)
    assert (answer.first_at, answer.last_at, answer.text) == (None, 2.0, [])


def test_the_prompt_tokens_of_an_embedding_are_the_servers() -> None:
    body = {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 17, "total_tokens": 17}}
    answer = read([json.dumps(body).encode()], stream=False, raw=True)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (17, None)


def test_an_answer_to_a_raw_body_is_still_read_where_its_format_is_known() -> None:
    assert text_of(read(PLAIN, raw=True)) == "a b c"
    with pytest.raises(AnswerError, match="no memory"):
        read([b'{"error": "no memory"}'], stream=False, raw=True)
    with pytest.raises(AnswerError, match="no output"):
        read([], stream=False, raw=True)
