"""Read one JSON value of an answer: text, reasoning, counts, an end mark, or an error.

``docs/formats.md`` lists the formats, their sources, and what is skipped.
"""

import json
from dataclasses import dataclass
from typing import Any

from locustfiles.client.answer_framing import AnswerError


class Facts:
    """Content of one event, or of an answer that was not streamed. Class attributes are the defaults.

    One is created per token. A plain class is created four times as fast as a dataclass of seven fields.
    """

    text: str = ""
    reasoning: str = ""
    token: bool = False
    """The event is a token even if its text is empty, as with special tokens."""
    finish_reason: str | None = None
    ended: bool = False
    """The event is, or may be, the last one."""
    whole: bool = False
    """The event holds the whole answer, because it was not streamed."""
    counts: dict[str, Any] | None = None
    """The object that holds the server's counts, for `read_usage`."""


@dataclass(slots=True)
class Usage:
    """The server's own counts; None if it does not report them."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Flat:
    """A format with the text at the top level of the object."""

    text: str
    needs: str | None = None
    """Another required key, to distinguish the format from unrelated objects."""
    end: str | None = None
    """The key that is true in the last event; None if the body just ends."""
    streams: bool = True


_FLAT = (
    _Flat("generated_text", streams=False),  # TGI, LMI and Hugging Face pipelines, not streamed
    _Flat("generation", streams=False),  # JumpStart's Llama 2
    _Flat("outputs"),  # LMI up to 0.26
    _Flat("text_output"),  # Triton with TensorRT-LLM
    _Flat("content", needs="stop", end="stop"),  # llama.cpp's own completion
)

_COUNT_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "completion_tokens": (("completion_tokens",), ("generated_tokens",), ("tokens_predicted",)),
    "prompt_tokens": (("prompt_tokens",), ("input_length",), ("tokens_evaluated",)),
    "reasoning_tokens": (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    "cached_prompt_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("cached_tokens",),
        ("prompt_cache_hit_tokens",),
        ("timings", "cache_n"),
    ),
}
_FAILED = ("error", "abort")
"""Finish reasons of an answer that the server aborted."""
_ERROR_KEYS = (
    "error", "errors", "error_message", "error_msg", "errorMessage", "error_type", "error_code", "errorCode",
    "detail", "message", "Message",
)  # fmt: skip
"""Keys that hold an error message, in order of preference."""


class UnknownShapeError(Exception):
    """The value is not in a known format."""


def read_facts(content: Any) -> Facts:
    """Read one JSON value of an answer: an event of a stream, or a whole answer.

    Raises:
        AnswerError: the value reports an error of the server.
        UnknownShapeError: the value is not in a known format.
    """
    while type(content) is not dict:
        if not isinstance(content, list) or len(content) != 1:
            raise UnknownShapeError
        content = content[0]
    if content.get("error"):
        raise AnswerError("in_band", error_text(content))
    if "choices" in content:
        return _openai(content)
    if (token := content.get("token")) is not None:
        return _token(content, token)
    return _flat(content)


def read_usage(counts: dict[str, Any]) -> Usage:
    """Read the counts, under any of their known names."""
    usage = Usage(**{name: _first_count(counts, paths) for name, paths in _COUNT_KEYS.items()})
    if usage.prompt_tokens is None and isinstance(prefill := counts.get("prefill"), list) and prefill:
        usage.prompt_tokens = len(prefill)
    return usage


def error_text(content: Any) -> str:
    """The message of an error, at most 200 characters; empty if it has none."""
    if isinstance(content, dict):
        for key in _ERROR_KEYS:
            if content.get(key):
                return error_text(content[key])
        return json.dumps(content)[:200] if content else ""
    if isinstance(content, list) and len(content) == 1:
        return error_text(content[0])
    return ("" if content is None else content if isinstance(content, str) else json.dumps(content))[:200]


def _openai(content: dict[str, Any]) -> Facts:
    """Chat and completion formats of OpenAI's API, streamed or not."""
    facts = Facts()
    if isinstance(usage := content.get("usage"), dict):
        facts.counts = usage
    choices = content["choices"]
    if choices is not None and not isinstance(choices, list):
        raise UnknownShapeError
    for choice in choices or ():
        if not isinstance(choice, dict):
            raise UnknownShapeError
        part = choice.get("delta")
        if part is None and (part := choice.get("message")) is not None:
            facts.whole = True
        if part:
            _message(facts, part)
        if text := choice.get("text"):
            facts.text += _text(text)
        if reason := choice.get("finish_reason"):
            facts.finish_reason = _text(reason)
            facts.ended = True
            if facts.finish_reason in _FAILED:
                raise AnswerError("in_band", f"the answer's finish reason is {facts.finish_reason}")
    return facts


def _message(facts: Facts, message: Any) -> None:
    if not isinstance(message, dict):
        raise UnknownShapeError
    content = message.get("content")
    if isinstance(content, str):
        facts.text += content
    elif content:
        _parts(facts, content)
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        facts.reasoning += _text(reasoning)
    if calls := message.get("tool_calls"):
        for call in [calls] if isinstance(calls, dict) else calls:
            facts.text += _call_text(call.get("function"))
    if call := message.get("function_call"):
        facts.text += _call_text(call)
    if refusal := message.get("refusal"):
        facts.text += _text(refusal)


def _parts(facts: Facts, parts: Any) -> None:
    """Content as a list of typed parts, as from Mistral's API."""
    for part in parts if isinstance(parts, list) else [parts]:
        if not isinstance(part, dict):
            facts.text += _text(part)
        elif thinking := part.get("thinking") or part.get("reasoning"):
            inner = Facts()
            _parts(inner, thinking)
            facts.reasoning += inner.text
        else:
            facts.text += _text(part.get("text") or part.get("refusal"))


def _call_text(function: Any) -> str:
    """The text of a tool call: its name, then its arguments."""
    if function is None:
        return ""
    if not isinstance(function, dict):
        raise UnknownShapeError
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return _text(function.get("name")) + _text(arguments)


def _token(content: dict[str, Any], token: Any) -> Facts:
    """One token of TGI's or LMI's stream; the last one has the counts."""
    if not isinstance(token, dict):
        raise UnknownShapeError
    facts = Facts()
    text = token.get("text")
    if token.get("special"):
        facts.token = True
    elif text:
        facts.text = _text(text)
    if details := content.get("details"):
        _details(facts, details)
        facts.ended = True
    elif content.get("generated_text") is not None:
        facts.ended = True
    if token.get("id") == -1:
        raise AnswerError("in_band", f"the stream reports an error: {text or 'token -1'}"[:200])
    return facts


def _details(facts: Facts, details: Any) -> None:
    if not isinstance(details, dict):
        raise UnknownShapeError
    facts.finish_reason = _text(details.get("finish_reason")) or None
    if facts.finish_reason in _FAILED:
        raise AnswerError("in_band", f"the answer's finish reason is {facts.finish_reason}")
    facts.counts = details


def _flat(content: dict[str, Any]) -> Facts:
    for form in _FLAT:
        if form.text not in content or (form.needs and form.needs not in content):
            continue
        value = content[form.text]
        facts = Facts()
        facts.whole = not form.streams
        usage = content.get("usage")
        facts.counts = usage if isinstance(usage, dict) else content
        if isinstance(value, dict):
            _message(facts, value)
        else:
            _parts(facts, value)
        facts.ended = bool(content[form.end]) if form.end else True
        if isinstance(details := content.get("details"), dict):
            _details(facts, details)
        return facts
    usage = content.get("usage")
    if isinstance(usage, dict) and "data" not in content:
        facts = Facts()
        facts.counts = usage
        return facts
    raise UnknownShapeError


def _first_count(counts: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    for path in paths:
        value: Any = counts
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise UnknownShapeError
