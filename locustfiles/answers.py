"""Read a model's answer while it arrives: the container's own format, found from its bytes.

Known are TGI (SSE and JSON), LMI/DJL (JSON lines and JSON), OpenAI chat and completion (SSE, LMI's JSON
lines of chunks, and JSON). Lines, UTF-8 sequences and JSON may be split anywhere between two reads.
"""

import json
from dataclasses import dataclass, field
from typing import Any

Mode = str  # "", "sse", "jsonl" or "whole"

_decode = json.JSONDecoder().raw_decode
_WHOLE = "the container answered whole though a stream was asked for"
_SSE_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class AnswerError(Exception):
    """The answer cannot be read, or says itself that it failed; ``error_class`` names which."""

    def __init__(self, error_class: str, detail: str) -> None:
        super().__init__(detail)
        self.error_class = error_class


@dataclass(slots=True)
class Answer:
    """What an answer has told so far. Times are epoch seconds of arrival; counts are the server's own."""

    first_at: float | None = None
    """Arrival of the first non-empty content or reasoning."""
    first_output_at: float | None = None
    """Arrival of the first content that is not reasoning."""
    last_at: float | None = None
    chunks: int = 0
    """Distinct arrivals with content: what arrived together is one chunk."""
    pieces: int = 0
    """Pieces of content as the server cut them, about one per token."""
    first_chunk_pieces: int = 0
    first_chunk_tokens: int | None = None
    """Tokens in the first chunk by the server's running count, where it gives one."""
    gaps_ms: list[float] = field(default_factory=list)
    """Between consecutive chunks."""
    text: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reason: str | None = None
    ended: bool = False
    """The format's own end mark was seen: an answer without it is truncated."""


class AnswerReader:
    """Feeds on body bytes with their arrival time and fills an `Answer`."""

    def __init__(self, *, stream: bool) -> None:
        self.answer = Answer()
        self._stream = stream
        self._mode: Mode = ""
        self._buffer = bytearray()
        self._begun = False
        """A whole line was read."""

    def feed(self, data: bytes | bytearray, at: float) -> None:
        """Add body bytes that arrived at ``at``.

        Raises:
            AnswerError: not a known format, or an error inside the answer (HTTP 200 notwithstanding).
        """
        if self._mode == "whole":
            self._buffer += data
            return
        if self._buffer:
            data = bytes(self._buffer + data)
        if not self._mode and not self._detect(data):
            self._buffer[:] = data
            return
        complete, newline, rest = data.rpartition(b"\n")
        if self._mode == "jsonl" and newline and not self._begun and self._is_open(complete):
            self._mode = "whole"
        if self._mode == "whole" or not newline:
            self._buffer[:] = data
            return
        self._begun = True
        self._buffer[:] = rest
        for line in complete.split(b"\n"):
            if line:
                self._line(line, at)

    def finish(self, at: float) -> Answer:
        """The body is over: read what is left and give the answer.

        Raises:
            AnswerError: as ``feed``; or the answer is empty or ends without its end mark.
        """
        if self._mode == "whole":
            self._whole(self._json(bytes(self._buffer).strip()), at)
        elif self._buffer.strip():
            self._line(bytes(self._buffer), at)
        answer = self.answer
        if self._stream and self._mode and not answer.ended:
            raise AnswerError("truncated", "the stream ended without its end mark")
        if answer.first_at is None and not any(answer.text) and answer.finish_reason is None:
            raise AnswerError("empty", "the answer holds no content")
        return answer

    @staticmethod
    def _is_open(lines: bytes | bytearray) -> bool:
        """Whether the first line is the head of one document over several lines, as errors often are."""
        try:
            json.loads(lines.lstrip().split(b"\n", 1)[0])
        except (ValueError, RecursionError):
            return True
        return False

    def _detect(self, data: bytes | bytearray) -> bool:
        start = data.lstrip()
        if not start:
            return False
        if start[:1] in b"{[":
            self._mode = "jsonl" if self._stream and start[:1] == b"{" else "whole"
        elif start[:1] in b"deri:" and any(start[: len(name)] == name[: len(start)] for name in _SSE_FIELDS):
            if len(start) < 6 and b":" not in start:
                return False
            self._mode = "sse"
        else:
            shown = bytes(start[:60]).decode(errors="replace")
            kind = "an HTML page" if start[:1] == b"<" else "an unknown format"
            raise AnswerError("protocol", f"the answer is {kind}: {shown!r}")
        return True

    def _line(self, line: bytes | bytearray, at: float) -> None:
        line = line.strip()
        if self._mode == "sse":
            if not line.startswith(b"data:"):
                return  # comments, event names, blank lines
            line = line[5:].lstrip()
            if line == b"[DONE]":
                self.answer.ended = True
                return
        if not line:
            return
        content = self._json(line)
        if not isinstance(content, dict):
            raise AnswerError("protocol", f"a line of the stream is no JSON object: {line[:60]!r}")
        token = content.get("token")
        if token is not None and "error" not in content:
            self._token_event(content, token, at)
        elif "choices" in content:
            _check_error(content)
            self._openai_event(content, at)
        else:
            self._whole(content, at)

    def _json(self, data: bytes | bytearray) -> Any:
        try:
            text = data.decode()
            content, end = _decode(text)
            if end == len(text) or not text[end:].strip():
                return content
        except (ValueError, RecursionError):  # no UTF-8, no JSON, or a number or a nesting beyond reason
            pass
        kind = "truncated" if data[:1] in (b"{", b"[") else "protocol"
        raise AnswerError(kind, f"no whole JSON: {data[-60:]!r}")

    def _token_event(self, content: dict[str, Any], found: object, at: float) -> None:
        token, details = _object(found, "token"), _object(content.get("details"), "details")
        if details.get("finish_reason") == "error" or token.get("id") == -1:
            raise AnswerError("in_band", f"the stream says it failed: {token.get('text') or 'error'}"[:200])
        text = _text(token.get("text"))
        special = token.get("special")
        if text or special:
            self._arrived("" if special else text, at)
        if details:
            self._details(details)
        if details or content.get("generated_text") is not None:
            self.answer.ended = True

    def _openai_event(self, content: dict[str, Any], at: float) -> None:
        answer = self.answer
        usage = _object(content.get("usage"), "usage")
        for choice in _objects(content.get("choices"), "choices"):
            if "delta" not in choice and "message" in choice:
                raise AnswerError("protocol", _WHOLE)
            delta = _object(choice.get("delta"), "delta")
            text = _text(delta.get("content")) or _text(choice.get("text")) or _tool_text(delta)
            if reasoning := _text(delta.get("reasoning_content")) or _text(delta.get("reasoning")):
                self._arrived(reasoning, at, reasoning=True)
            if text:
                self._arrived(text, at)
            if reason := _text(choice.get("finish_reason")):
                if answer.first_at is None:  # the end of sequence was the first token, as with TGI
                    self._arrived("", at)
                answer.finish_reason = reason
                answer.ended = True
        if usage:
            self._usage(usage)
            if answer.chunks == 1 and not answer.ended and answer.completion_tokens:
                answer.first_chunk_tokens = answer.completion_tokens

    def _arrived(self, text: str, at: float, *, reasoning: bool = False) -> None:
        answer = self.answer
        answer.text.append(text)
        answer.pieces += 1
        if answer.first_at is None:
            answer.first_at = at
        if not reasoning and answer.first_output_at is None:
            answer.first_output_at = at
        if answer.last_at != at:
            if answer.last_at is not None:
                answer.gaps_ms.append((at - answer.last_at) * 1000)
            answer.chunks += 1
            answer.last_at = at
        if answer.chunks == 1:
            answer.first_chunk_pieces += 1

    def _whole(self, content: Any, at: float) -> None:
        """One JSON document that holds the whole answer."""
        if isinstance(content, list) and content:
            content = content[0]
        if not isinstance(content, dict):
            raise AnswerError("empty", "the answer holds no content")
        _check_error(content)
        answer = self.answer
        text, known = _text(content.get("generated_text")), "generated_text" in content
        for choice in _objects(content.get("choices"), "choices"):
            message = _object(choice.get("message"), "message")
            text = _text(message.get("content")) or _text(choice.get("text")) or _tool_text(message)
            text = (_text(message.get("reasoning_content")) or _text(message.get("reasoning"))) + text
            answer.finish_reason = _text(choice.get("finish_reason")) or None
            known = True
        if not known:
            raise AnswerError("protocol", f"the answer has none of the known keys: {sorted(content)[:6]}")
        if self._stream and answer.first_at is None:
            raise AnswerError("protocol", _WHOLE)
        if details := _object(content.get("details"), "details"):
            if details.get("finish_reason") == "error":
                raise AnswerError("in_band", "the answer's finish reason is an error")
            self._details(details)
        if usage := _object(content.get("usage"), "usage"):
            self._usage(usage)
        answer.text.append(text)
        answer.last_at = at
        answer.ended = True

    def _details(self, details: dict[str, Any]) -> None:
        answer = self.answer
        answer.finish_reason = _text(details.get("finish_reason")) or answer.finish_reason
        answer.completion_tokens = _count(details.get("generated_tokens"), answer.completion_tokens)
        answer.prompt_tokens = _count(details.get("input_length"), answer.prompt_tokens)
        if answer.prompt_tokens is None and isinstance(prefill := details.get("prefill"), list) and prefill:
            answer.prompt_tokens = len(prefill)

    def _usage(self, usage: dict[str, Any]) -> None:
        answer = self.answer
        answer.completion_tokens = _count(usage.get("completion_tokens"), answer.completion_tokens)
        answer.prompt_tokens = _count(usage.get("prompt_tokens"), answer.prompt_tokens)
        more = _object(usage.get("completion_tokens_details"), "completion_tokens_details")
        answer.reasoning_tokens = _count(more.get("reasoning_tokens"), answer.reasoning_tokens)


def _check_error(content: dict[str, Any]) -> None:
    """In-band errors: LMI's ``{"error", "code"}``, TGI's ``error_type``, OpenAI's error object."""
    error = content.get("error")
    if error is None and content.get("object") == "error":
        error = content.get("message") or "error"
    if error:
        message = error.get("message", error) if isinstance(error, dict) else error
        raise AnswerError("in_band", str(message)[:200])


def _tool_text(message: dict[str, Any]) -> str:
    calls = _objects(message.get("tool_calls"), "tool_calls")
    return "".join(_text(_object(call.get("function"), "function").get("arguments")) for call in calls)


def _object(value: object, name: str) -> dict[str, Any]:
    """A JSON object; an empty one where there is none.

    Raises:
        AnswerError: it is something else.
    """
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    raise AnswerError("protocol", f"{name} is no JSON object: {value!r}"[:200])


def _objects(value: object, name: str) -> list[dict[str, Any]]:
    """A list of JSON objects; an empty one where there is none.

    Raises:
        AnswerError: it is something else.
    """
    if value is not None and not isinstance(value, list):
        raise AnswerError("protocol", f"{name} is no list: {value!r}"[:200])
    return [_object(each, name) for each in value or ()]


def _text(value: object) -> str:
    """Text; empty where there is none.

    Raises:
        AnswerError: it is something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise AnswerError("protocol", f"what should be text is not: {value!r}"[:200])


def _count(value: object, known: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else known
