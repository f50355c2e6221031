"""Every container's format, cut anywhere, gives the same counts, text and times."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locustfiles.client.answer_parser import AnswerError, AnswerParser, ParsedAnswer


def tgi(texts: list[str]) -> bytes:
    events: list[dict[str, Any]] = [
        {"token": {"id": n, "text": w, "special": False}, "generated_text": None, "details": None}
        for n, w in enumerate(texts)
    ]
    details = {"finish_reason": "eos_token", "generated_tokens": len(texts), "input_length": 7}
    events[-1] |= {"generated_text": "".join(texts), "details": details}
    return b"".join(b"data:" + json.dumps(e, ensure_ascii=False).encode() + b"\n\n" for e in events)


def lmi(texts: list[str]) -> bytes:
    events: list[dict[str, Any]] = [
        {"token": {"id": n, "text": w, "log_prob": -1}} for n, w in enumerate(texts)
    ]
    events[-1] |= {
        "generated_text": "".join(texts),
        "details": {"finish_reason": "length", "generated_tokens": len(texts), "inputs": None},
    }
    return b"".join(json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in events)


def openai_events(texts: list[str], *, chat: bool) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    if chat:
        events.append({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    for word in texts:
        piece = {"delta": {"content": word}} if chat else {"text": word}
        events.append({"choices": [{"index": 0, **piece, "finish_reason": None}]})
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    events.append({"choices": [{"index": 0, **last, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(texts)}})
    return events


def sse(events: list[dict[str, Any]]) -> bytes:
    lines = b"".join(b"data: " + json.dumps(e, ensure_ascii=False).encode() + b"\n\n" for e in events)
    return lines + b"data: [DONE]\n\n"


def chat_sse(texts: list[str]) -> bytes:
    return b": comment\n\nevent: message\n" + sse(openai_events(texts, chat=True))


def completion_sse(texts: list[str]) -> bytes:
    return sse(openai_events(texts, chat=False))


def chat_lines(texts: list[str]) -> bytes:
    return b"".join(
        json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in openai_events(texts, chat=True)
    )


KEYS = (
    "token", "text", "id", "special", "details", "finish_reason", "prefill", "generated_text", "choices",
    "delta", "message", "content", "tool_calls", "function", "arguments", "usage", "completion_tokens",
    "completion_tokens_details", "error", "object",
)  # fmt: skip
FORMATS = [tgi, lmi, chat_sse, completion_sse, chat_lines]
WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=6)


def read(data: bytes, cuts: list[int], *, stream: bool = True) -> ParsedAnswer:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    answer_parser = AnswerParser(stream=stream)
    for start, end in itertools.pairwise(edges):
        answer_parser.feed(data[start:end], at=float(end))
    return answer_parser.finish(float(len(data)))


@pytest.mark.parametrize("form", FORMATS)
@given(texts=WORDS, cuts=st.lists(st.integers(0, 5000), max_size=10))
def test_any_split_of_any_format(form: Any, texts: list[str], cuts: list[int]) -> None:
    answer = read(form(texts), cuts)
    assert "".join(answer.text) == "".join(texts)
    assert answer.usage.completion_tokens == len(texts)
    assert answer.pieces == len(texts)
    assert answer.usage.prompt_tokens == (None if form is lmi else 7)
    assert answer.finish_reason
    assert sum(answer.gaps_ms) == pytest.approx(((answer.last_at or 0) - (answer.first_at or 0)) * 1000)


@pytest.mark.parametrize("form", FORMATS)
def test_every_single_cut(form: Any) -> None:
    texts = ["Grüße", " 世界", "🙂"]
    data = form(texts)
    for cut in range(len(data)):
        assert "".join(read(data, [cut]).text) == "Grüße 世界🙂"


@pytest.mark.parametrize("form", FORMATS)
def test_a_stream_cut_short_is_never_whole(form: Any) -> None:
    data = form(["a", "b", "c"])
    lines = data.splitlines(keepends=True)
    for count in range(1, len(lines)):
        head = b"".join(lines[:count])
        if b'finish_reason": "' in head or b'finish_reason": "stop' in head:
            break
        with pytest.raises(AnswerError):
            read(head, [])


def test_times_are_those_of_the_part_that_completes_a_token() -> None:
    data = tgi(["a", "b", "c"])
    first = data.index(b"\n\n") + 1
    answer_parser = AnswerParser(stream=True)
    answer_parser.feed(data[: first - 1], 1.0)  # the line is not complete yet
    assert answer_parser.answer.first_at is None
    answer_parser.feed(data[first - 1 : first + 20], 2.0)
    answer_parser.feed(data[first + 20 :], 5.0)
    answer = answer_parser.finish(5.0)
    assert (answer.first_at, answer.last_at, answer.chunks, answer.first_chunk_pieces) == (2.0, 5.0, 2, 1)
    assert answer.gaps_ms == [3000.0]


def test_reasoning_counts_for_the_first_token_and_not_for_the_first_output() -> None:
    events = [
        {"choices": [{"delta": {"role": "assistant", "content": "", "reasoning_content": None}}]},
        {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        {"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]},
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 3,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 8},
            },
        },
    ]
    answer_parser = AnswerParser(stream=True)
    for at, event in enumerate(events):
        answer_parser.feed(b"data: " + json.dumps(event).encode() + b"\n\n", float(at))
    answer = answer_parser.finish(4.0)
    assert (answer.first_at, answer.first_output_at, answer.usage.reasoning_tokens) == (1.0, 2.0, 8)


def test_a_role_and_an_empty_delta_are_no_token() -> None:
    events = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
    with pytest.raises(AnswerError) as caught:
        read(sse(events), [])
    assert caught.value.error_class == "empty"


def test_an_answer_of_only_the_end_of_sequence_counts_as_its_one_token() -> None:
    details = {"finish_reason": "eos_token", "generated_tokens": 1}
    special = {"token": {"text": "</s>", "special": True}, "details": details}
    end = {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"completion_tokens": 1}}
    for data in (sse([special]), sse([end, usage])):
        answer = read(data, [])
        assert ("".join(answer.text), answer.pieces, answer.chunks) == ("", 1, 1)


@pytest.mark.parametrize("usage", [{}, {"usage": {"prompt_tokens": 9, "completion_tokens": 0}}])
def test_an_answer_without_output_is_empty_whatever_its_finish_reason(usage: dict[str, Any]) -> None:
    streamed = [{"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}, {"choices": [], **usage}]
    whole = {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}], **usage}
    for data, stream in ((sse(streamed), True), (json.dumps(whole).encode(), False)):
        with pytest.raises(AnswerError) as caught:
            read(data, [], stream=stream)
        assert caught.value.error_class == "empty"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("body", [{"choices": [{"message": {"content": "hi"}}]}, {"generated_text": "hi"}])
def test_a_whole_answer_to_a_streamed_request_is_named(body: Any, indent: int | None) -> None:
    with pytest.raises(AnswerError, match="did not stream, although a stream was requested"):
        read(json.dumps(body, indent=indent).encode(), [])


def test_an_error_over_several_lines_in_a_stream_is_in_band() -> None:
    with pytest.raises(AnswerError, match="no memory") as caught:
        read(json.dumps({"error": {"message": "no memory"}}, indent=2).encode(), [5, 11])
    assert caught.value.error_class == "in_band"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(value=JSON, stream=st.booleans())
def test_any_json_as_an_event_is_an_answer_or_a_named_failure(value: Any, *, stream: bool) -> None:
    try:
        answer = read(b"data: " * stream + json.dumps(value).encode() + b"\n", [], stream=stream)
    except AnswerError:
        return
    assert isinstance("".join(answer.text), str)
    assert isinstance(answer.finish_reason, str | None)


@pytest.mark.parametrize(
    "body",
    [
        [{"generated_text": "hi", "details": {"finish_reason": "length", "generated_tokens": 2}}],
        {"generated_text": "hi", "details": {"finish_reason": "length", "generated_tokens": 2}},
        {
            "choices": [{"message": {"content": "hi"}, "finish_reason": "length"}],
            "usage": {"completion_tokens": 2},
        },
        {"choices": [{"text": "hi", "finish_reason": "length"}], "usage": {"completion_tokens": 2}},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_non_streamed_forms(body: Any, indent: int | None) -> None:
    answer = read(json.dumps(body, indent=indent).encode(), [5, 11], stream=False)
    assert ("".join(answer.text), answer.usage.completion_tokens, answer.finish_reason) == ("hi", 2, "length")


def test_counts_that_are_no_counts_stay_unknown() -> None:
    body = {"generated_text": "hi", "details": {"finish_reason": "length", "generated_tokens": None}}
    assert read(json.dumps(body).encode(), [], stream=False).usage.completion_tokens is None


@pytest.mark.parametrize("data", [b"<html>", b"Service Unavailable", b"\x00\x01"])
def test_what_is_no_answer_is_named(data: bytes) -> None:
    with pytest.raises(AnswerError) as caught:
        read(data, [])
    assert caught.value.error_class == "protocol"
