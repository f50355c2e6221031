"""The request and answer schemas of the serving containers: TGI, LMI (DJL) and OpenAI, streamed or whole."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["tgi", "lmi", "openai"]
Kind = Literal["tgi", "lmi", "chat", "completion"]
FAMILIES: tuple[Family, ...] = ("tgi", "lmi", "openai")

DEFAULT_LIMITS: dict[Kind, int | None] = {"tgi": 100, "lmi": 30, "completion": 16, "chat": None}
"""Longest answer, in tokens, when the request does not say; chat goes on to the end of the context."""


class UnreadableError(ValueError):
    """The request is not one that this container understands."""


@dataclass
class Asked:
    """One request, whatever its schema was."""

    kind: Kind
    family: Family
    prompt: str
    stream: bool
    limit: int | None
    minimum: int = 0
    ignore_eos: bool = False
    details: bool = False
    include_usage: bool = False
    model: str = ""


@dataclass
class Answer:
    """What was generated so far, and the counts that go with it."""

    asked: Asked
    prompt_tokens: int
    created: int = field(default_factory=lambda: int(time.time()))
    identity: str = ""
    texts: list[str] = field(default_factory=list)
    finish: str = ""
    """``length`` or ``stop``, once it is over."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.texts)


def family_of(image: str) -> Family:
    """The schema that an image speaks, by its name."""
    name = image.rsplit("/", 1)[-1].lower()
    if "tgi" in name:
        return "tgi"
    return "lmi" if "djl" in name or "lmi" in name else "openai"


def read_request(body: bytes, family: Family) -> Asked:
    """Read a request's body.

    Raises:
        UnreadableError: it is not JSON, or has neither of the members that this family knows.
    """
    try:
        content = json.loads(body)
    except (ValueError, UnicodeDecodeError):
        raise UnreadableError("the body is not JSON") from None
    if not isinstance(content, dict):
        raise UnreadableError("the body is not an object")
    if "messages" in content:
        return _openai(content, family, "chat", _chat_prompt(content["messages"]))
    if family == "openai":
        if not isinstance(content.get("prompt"), str):
            raise UnreadableError("neither messages nor prompt is given")
        return _openai(content, family, "completion", content["prompt"])
    if not isinstance(content.get("inputs"), str):
        raise UnreadableError("missing field `inputs`")
    parameters = content.get("parameters") or {}
    kind: Kind = "tgi" if family == "tgi" else "lmi"
    return Asked(
        kind=kind,
        family=family,
        prompt=content["inputs"],
        stream=bool(content.get("stream", False)),
        limit=_positive(parameters, "max_new_tokens", DEFAULT_LIMITS[kind]),
        minimum=_positive(parameters, "min_new_tokens", 0) or 0,
        ignore_eos=bool(parameters.get("ignore_eos", parameters.get("ignore_eos_token", False))),
        details=bool(parameters.get("details", False)),
    )


def content_type(asked: Asked) -> str:
    """Content type of the answer."""
    if not asked.stream:
        return "application/json"
    return "application/jsonlines" if asked.family == "lmi" else "text/event-stream"


def opening(answer: Answer) -> bytes:
    """What a stream begins with, before any token: chat announces the role, together with the first token."""
    if answer.asked.kind != "chat":
        return b""
    return _line(answer, _chunk(answer, {"role": "assistant", "content": ""}, None))


def token_chunk(answer: Answer, token_id: int, text: str, *, last: bool) -> bytes:
    """One token of a stream; the last one carries the end in the schemas that have it so."""
    kind = answer.asked.kind
    if kind == "chat":
        return _line(answer, _chunk(answer, {"content": text}, None))
    if kind == "completion":
        return _line(answer, _chunk(answer, text, None))
    log_prob = "logprob" if kind == "tgi" else "log_prob"
    token: dict[str, Any] = {"id": token_id, "text": text, log_prob: -0.5}
    event: dict[str, Any] = {"token": token}
    if kind == "tgi":
        token["special"] = False
        event |= {"index": len(answer.texts), "generated_text": None, "details": None}
    if last:
        event["generated_text"] = answer.text
        if answer.asked.details:
            event["details"] = _details(answer, streamed=True)
    return _line(answer, event)


def closing(answer: Answer) -> bytes:
    """What follows the last token: finish reason, usage and ``[DONE]`` in the OpenAI schemas."""
    asked = answer.asked
    if asked.kind not in ("chat", "completion"):
        return b""
    empty: Any = {} if asked.kind == "chat" else ""
    lines = _line(answer, _chunk(answer, empty, answer.finish))
    if asked.include_usage:
        lines += _line(answer, {**_head(answer), "choices": [], "usage": _usage(answer)})
    return lines if asked.family == "lmi" else lines + b"data: [DONE]\n\n"


def in_band_error(answer: Answer) -> bytes:
    """LMI's way to fail: HTTP 200, and the error inside the last line."""
    details = {"finish_reason": "error", "generated_tokens": len(answer.texts), "inputs": None}
    event = {"token": {"id": -1, "text": "", "log_prob": -1.0}, "generated_text": "", "details": details}
    return _line(answer, event)


def whole(answer: Answer) -> bytes:
    """An answer that is not streamed."""
    return json.dumps(_WHOLE[answer.asked.kind](answer)).encode()


def _whole_tgi(answer: Answer) -> Any:
    return [_whole_lmi(answer)]


def _whole_lmi(answer: Answer) -> Any:
    content: dict[str, Any] = {"generated_text": answer.text}
    if answer.asked.details:
        content["details"] = _details(answer, streamed=False)
    return content


def _whole_chat(answer: Answer) -> Any:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
    return {**_head(answer, "chat.completion"), "choices": [choice], "usage": _usage(answer)}


def _whole_completion(answer: Answer) -> Any:
    choice = {"index": 0, "text": answer.text, "finish_reason": answer.finish, "logprobs": None}
    return {**_head(answer, "text_completion"), "choices": [choice], "usage": _usage(answer)}


_WHOLE: dict[Kind, Callable[[Answer], Any]] = {
    "tgi": _whole_tgi,
    "lmi": _whole_lmi,
    "chat": _whole_chat,
    "completion": _whole_completion,
}


def _openai(content: dict[str, Any], family: Family, kind: Kind, prompt: str) -> Asked:
    options = content.get("stream_options") or {}
    default = _positive(content, "max_tokens", DEFAULT_LIMITS[kind])
    return Asked(
        kind=kind,
        family=family,
        prompt=prompt,
        stream=bool(content.get("stream", False)),
        limit=_positive(content, "max_completion_tokens", default),
        minimum=_positive(content, "min_tokens", 0) or 0,
        ignore_eos=bool(content.get("ignore_eos", False)),
        include_usage=bool(options.get("include_usage", False)),
        model=str(content.get("model") or ""),
    )


def _chat_prompt(messages: object) -> str:
    if not isinstance(messages, list) or not messages:
        raise UnreadableError("messages must be a list that is not empty")
    texts = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if not isinstance(content, str):
            raise UnreadableError("each message needs a content")
        texts.append(content)
    return "\n".join(texts)


def _positive(content: dict[str, Any], key: str, default: int | None) -> int | None:
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnreadableError(f"{key} must be a whole number, not negative")
    return value


def _details(answer: Answer, *, streamed: bool) -> dict[str, Any]:
    reason = "length" if answer.finish == "length" else "eos_token"
    details: dict[str, Any] = {"finish_reason": reason, "generated_tokens": len(answer.texts)}
    if answer.asked.kind == "lmi":
        return details | {"inputs": answer.asked.prompt}
    details["seed"] = None
    more: dict[str, Any] = (
        {"input_length": answer.prompt_tokens} if streamed else {"prefill": [], "tokens": []}
    )
    return details | more


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": len(answer.texts),
        "total_tokens": answer.prompt_tokens + len(answer.texts),
    }


def _head(answer: Answer, kind: str | None = None) -> dict[str, Any]:
    chat = answer.asked.kind == "chat"
    kind = kind or ("chat.completion.chunk" if chat else "text_completion")
    return {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{answer.identity}",
        "object": kind,
        "created": answer.created,
        "model": answer.asked.model or "simulated",
    }


def _chunk(answer: Answer, content: object, finish: str | None) -> dict[str, Any]:
    key = "delta" if answer.asked.kind == "chat" else "text"
    return {
        **_head(answer),
        "choices": [{"index": 0, key: content, "logprobs": None, "finish_reason": finish}],
    }


def _line(answer: Answer, event: dict[str, Any]) -> bytes:
    text = json.dumps(event, separators=(",", ":")).encode()
    if answer.asked.family == "lmi":
        return text + b"\n"
    return (b"data:" if answer.asked.kind == "tgi" else b"data: ") + text + b"\n\n"
