"""Request and response schemas of serving containers: TGI, LMI (DJL) and OpenAI, streamed or whole."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Literal["tgi", "lmi", "openai"]
Kind = Literal["tgi", "lmi", "chat", "completion"]
SCHEMAS: tuple[Schema, ...] = ("tgi", "lmi", "openai")

DEFAULT_LIMITS: dict[Kind, int | None] = {"tgi": 100, "lmi": 30, "completion": 16, "chat": None}
"""Longest answer, in tokens, of a request without a limit; None: up to the end of the context."""


class UnreadableError(ValueError):
    """A request that this container does not understand."""


@dataclass
class CompletionRequest:
    """One request in any schema. Lengths in tokens."""

    kind: Kind
    schema: Schema
    prompt: str
    stream: bool
    limit: int | None
    minimum: int = 0
    ignore_eos: bool = False
    details: bool = False
    include_usage: bool = False
    running_usage: bool = False
    """vLLM's ``stream_options.continuous_usage_stats``: every event of the stream has the usage so far."""
    model: str = ""


@dataclass
class Completion:
    """What has been generated so far, and its counts."""

    request: CompletionRequest
    prompt_tokens: int
    created: int = field(default_factory=lambda: int(time.time()))
    identity: str = ""
    cached_tokens: int | None = None
    """Of the prompt; None: it is not reported."""
    texts: list[str] = field(default_factory=list)
    finish: str = ""
    """The reason why it ends: ``length`` or ``stop``; or the fault that ends it."""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.texts)


def read_request(body: bytes, schema: Schema) -> CompletionRequest:
    """Read the body of a request.

    Raises:
        UnreadableError: it is not JSON, lacks the prompt, or has a value of the wrong type.
    """
    try:
        content = json.loads(body)
    except (ValueError, UnicodeDecodeError):
        raise UnreadableError("the body is not JSON") from None
    if not isinstance(content, dict):
        raise UnreadableError("the body is not an object")
    if "messages" in content:
        return _read_openai(content, schema, "chat", _chat_prompt(content["messages"]))
    if schema == "openai":
        if not isinstance(content.get("prompt"), str):
            raise UnreadableError("neither messages nor prompt is given")
        return _read_openai(content, schema, "completion", content["prompt"])
    if not isinstance(content.get("inputs"), str):
        raise UnreadableError("missing field `inputs`")
    parameters = content.get("parameters") or {}
    kind: Kind = "tgi" if schema == "tgi" else "lmi"
    return CompletionRequest(
        kind=kind,
        schema=schema,
        prompt=content["inputs"],
        stream=bool(content.get("stream", False)),
        limit=_count(parameters, "max_new_tokens", DEFAULT_LIMITS[kind]),
        minimum=_count(parameters, "min_new_tokens", 0) or 0,
        ignore_eos=bool(parameters.get("ignore_eos", parameters.get("ignore_eos_token", False))),
        details=bool(parameters.get("details", False)),
    )


def content_type(request: CompletionRequest) -> str:
    """Content type of the response."""
    if not request.stream:
        return "application/json"
    return "application/jsonlines" if request.schema == "lmi" else "text/event-stream"


def encode_opening(completion: Completion) -> bytes:
    """What a stream begins with, before any token: the event that announces the role in a chat."""
    if completion.request.kind != "chat":
        return b""
    return _line(completion, _chunk(completion, {"role": "assistant", "content": ""}, None))


def encode_token(completion: Completion, token_id: int, text: str, *, last: bool) -> bytes:
    """One token of a stream; in TGI's and LMI's schemas the last one carries the details of the end."""
    kind = completion.request.kind
    if kind == "chat":
        return _line(completion, _chunk(completion, {"content": text}, None))
    if kind == "completion":
        return _line(completion, _chunk(completion, text, None))
    log_prob = "logprob" if kind == "tgi" else "log_prob"
    token: dict[str, Any] = {"id": token_id, "text": text, log_prob: -0.5}
    event: dict[str, Any] = {"token": token}
    if kind == "tgi":
        token["special"] = False
        event |= {"index": len(completion.texts), "generated_text": None, "details": None}
    if last:
        event["generated_text"] = completion.text
        if completion.request.details:
            event["details"] = _details(completion, streamed=True)
    return _line(completion, event)


def encode_closing(completion: Completion) -> bytes:
    """What follows the last token: the finish reason, usage and ``[DONE]`` in OpenAI's schemas."""
    request = completion.request
    if request.kind not in ("chat", "completion"):
        return b""
    empty: Any = {} if request.kind == "chat" else ""
    lines = _line(completion, _chunk(completion, empty, completion.finish))
    if request.include_usage:
        lines += _line(completion, {**_head(completion), "choices": [], "usage": _usage(completion)})
    return lines if request.schema == "lmi" else lines + b"data: [DONE]\n\n"


def encode_in_band_error(completion: Completion) -> bytes:
    """How LMI fails in mid-stream: the last line reports the error, the status stays 200."""
    details = {"finish_reason": "error", "generated_tokens": len(completion.texts), "inputs": None}
    event = {"token": {"id": -1, "text": "", "log_prob": -1.0}, "generated_text": "", "details": details}
    return _line(completion, event)


def encode_whole(completion: Completion) -> bytes:
    """A response that is not streamed."""
    return json.dumps(_WHOLE[completion.request.kind](completion)).encode()


def _whole_tgi(completion: Completion) -> Any:
    return [_whole_lmi(completion)]


def _whole_lmi(completion: Completion) -> Any:
    content: dict[str, Any] = {"generated_text": completion.text}
    if completion.request.details:
        content["details"] = _details(completion, streamed=False)
    return content


def _whole_chat(completion: Completion) -> Any:
    message = {"role": "assistant", "content": completion.text}
    choice = {"index": 0, "message": message, "finish_reason": completion.finish, "logprobs": None}
    return {**_head(completion, "chat.completion"), "choices": [choice], "usage": _usage(completion)}


def _whole_completion(completion: Completion) -> Any:
    choice = {"index": 0, "text": completion.text, "finish_reason": completion.finish, "logprobs": None}
    return {**_head(completion, "text_completion"), "choices": [choice], "usage": _usage(completion)}


_WHOLE: dict[Kind, Callable[[Completion], Any]] = {
    "tgi": _whole_tgi,
    "lmi": _whole_lmi,
    "chat": _whole_chat,
    "completion": _whole_completion,
}


def _read_openai(content: dict[str, Any], schema: Schema, kind: Kind, prompt: str) -> CompletionRequest:
    options = content.get("stream_options") or {}
    include_usage = bool(options.get("include_usage", False))
    default = _count(content, "max_tokens", DEFAULT_LIMITS[kind])
    return CompletionRequest(
        kind=kind,
        schema=schema,
        prompt=prompt,
        stream=bool(content.get("stream", False)),
        limit=_count(content, "max_completion_tokens", default),
        minimum=_count(content, "min_tokens", 0) or 0,
        ignore_eos=bool(content.get("ignore_eos", False)),
        include_usage=include_usage,
        running_usage=include_usage and bool(options.get("continuous_usage_stats", False)),
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


def _count(content: dict[str, Any], key: str, default: int | None) -> int | None:
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnreadableError(f"{key} must be a whole number, not negative")
    return value


def _details(completion: Completion, *, streamed: bool) -> dict[str, Any]:
    reason = "length" if completion.finish == "length" else "eos_token"
    details: dict[str, Any] = {"finish_reason": reason, "generated_tokens": len(completion.texts)}
    if completion.request.kind == "lmi":
        return details | {"inputs": completion.request.prompt}
    details["seed"] = None
    more: dict[str, Any] = (
        {"input_length": completion.prompt_tokens} if streamed else {"prefill": [], "tokens": []}
    )
    return details | more


def _usage(completion: Completion) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": len(completion.texts),
        "total_tokens": completion.prompt_tokens + len(completion.texts),
    }
    if completion.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": completion.cached_tokens}
    return usage


def _head(completion: Completion, kind: str | None = None) -> dict[str, Any]:
    chat = completion.request.kind == "chat"
    kind = kind or ("chat.completion.chunk" if chat else "text_completion")
    return {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{completion.identity}",
        "object": kind,
        "created": completion.created,
        "model": completion.request.model or "simulated",
    }


def _chunk(completion: Completion, content: object, finish: str | None) -> dict[str, Any]:
    key = "delta" if completion.request.kind == "chat" else "text"
    usage = {"usage": _usage(completion)} if completion.request.running_usage else {}
    return {
        **_head(completion),
        "choices": [{"index": 0, key: content, "logprobs": None, "finish_reason": finish}],
        **usage,
    }


def _line(completion: Completion, event: dict[str, Any]) -> bytes:
    text = json.dumps(event, separators=(",", ":")).encode()
    if completion.request.schema == "lmi":
        return text + b"\n"
    return (b"data:" if completion.request.kind == "tgi" else b"data: ") + text + b"\n\n"
