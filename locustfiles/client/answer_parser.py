"""Read a model's answer while it arrives: add up and time the events that `answer_formats` reads."""

import json
from dataclasses import dataclass, field
from typing import Any

from locustfiles.client.answer_formats import (
    Facts,
    UnknownShapeError,
    Usage,
    error_text,
    read_facts,
    read_usage,
)
from locustfiles.client.answer_framing import DONE, AnswerError, Framer

__all__ = ["AnswerError", "AnswerParser", "ParsedAnswer"]

_NO_END = "the stream ended without its end mark"
_WHOLE = "the container did not stream, although a stream was requested"


@dataclass(slots=True)
class ParsedAnswer:
    """An answer as far as it has arrived. Times are epoch seconds of arrival, counts are the server's own."""

    first_at: float | None = None
    """Arrival of the first output: content, reasoning or a tool call."""
    first_output_at: float | None = None
    """Arrival of the first output that is not reasoning."""
    last_at: float | None = None
    chunks: int = 0
    """Distinct arrivals with output: what arrives together is one chunk."""
    pieces: int = 0
    """Pieces of output as the server sent them, often one per token."""
    first_chunk_pieces: int = 0
    first_chunk_tokens: int | None = None
    """Tokens in the first chunk according to the server's running count, if it sends one."""
    gaps_ms: list[float] = field(default_factory=list)
    """Between consecutive chunks."""
    text: list[str] = field(default_factory=list)
    """One entry per piece."""
    first_output_piece: int = 0
    """Index of the first piece that is not reasoning: what comes before it is."""
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    ended: bool = False
    """The format's end mark has arrived; a stream without it is truncated."""
    skipped_events: int = 0
    """Events in no known format."""
    first_skipped: str = ""


class AnswerParser:
    """Parses body bytes as they arrive and fills in a `ParsedAnswer`.

    Args:
        stream: whether a stream was requested.
        raw: whether the answer may hold anything, as those to raw bodies and embeddings.
    """

    def __init__(self, *, stream: bool, raw: bool = False) -> None:
        self.answer = ParsedAnswer()
        self._stream = stream
        self._raw = raw
        self._framer = Framer(stream=stream, raw=raw)
        self._events = self._framer.feed
        self._counts: dict[str, Any] | None = None
        self._finished_at: float | None = None

    def feed(self, data: bytes | bytearray, at: float) -> None:
        """Add body bytes that arrived at ``at``.

        Raises:
            AnswerError: not a known format, or an error inside the answer in spite of HTTP 200.
        """
        for name, content in self._events(data):
            self._handle(name, content, at)

    def finish(self, at: float) -> ParsedAnswer:
        """Parse the rest of the body and return the answer.

        Raises:
            AnswerError: as ``feed``; or the answer is empty or has no end mark.
        """
        answer = self.answer
        for name, content in self._framer.finish():
            self._handle(name, content, at)
        if self._counts is not None:
            self._merge(self._counts)
        if self._raw and answer.first_at is None and self._framer.mode:
            answer.last_at = at
            return answer
        if answer.first_at is None and not any(answer.text):
            self._check_absent_output()
        elif self._stream and not answer.ended:
            raise AnswerError("truncated", _NO_END)
        return answer

    def _check_absent_output(self) -> None:
        """Accept an answer without output only if the server counts at least one token."""
        answer = self.answer
        if answer.skipped_events:
            raise AnswerError("protocol", self._no_known_output())
        if self._stream and self._framer.mode and not answer.ended:
            raise AnswerError("truncated", _NO_END)
        if not answer.usage.completion_tokens:
            raise AnswerError("empty", "the answer holds no output")
        if self._finished_at is not None:  # the only token was the end of sequence
            self._arrived("", self._finished_at)

    def _handle(self, name: str, content: Any, at: float) -> None:
        try:
            facts = read_facts(content)
        except UnknownShapeError:
            self._handle_other(name, content, at)
            return
        answer = self.answer
        if facts.whole:
            self._handle_whole(facts, at)
        else:
            if facts.reasoning:
                self._arrived(facts.reasoning, at, reasoning=True)
            if facts.text or facts.token:
                self._arrived(facts.text, at)
        if facts.finish_reason is not None:
            answer.finish_reason = facts.finish_reason
            self._finished_at = at
        if facts.ended:
            answer.ended = True
        if facts.counts is not None:
            self._keep_counts(facts.counts)

    def _handle_whole(self, facts: Facts, at: float) -> None:
        answer = self.answer
        answer.ended = True
        if answer.first_at is not None:
            return  # repeats what was streamed
        if self._stream and not self._raw:
            raise AnswerError("protocol", _WHOLE)
        answer.text += [facts.reasoning, facts.text]
        answer.first_output_piece = 1
        answer.last_at = at

    def _arrived(self, text: str, at: float, *, reasoning: bool = False) -> None:
        answer = self.answer
        answer.text.append(text)
        answer.pieces += 1
        if answer.first_at is None:
            answer.first_at = at
        if not reasoning and answer.first_output_at is None:
            answer.first_output_at = at
            answer.first_output_piece = answer.pieces - 1
        if answer.last_at != at:
            if answer.last_at is not None:
                answer.gaps_ms.append((at - answer.last_at) * 1000)
            answer.chunks += 1
            answer.last_at = at
        if answer.chunks == 1:
            answer.first_chunk_pieces += 1

    def _keep_counts(self, counts: dict[str, Any]) -> None:
        """Keep the newest counts. They are read at the end, and while there is only the first chunk."""
        previous = self._counts
        if previous is not None and previous.keys() != counts.keys():
            self._merge(previous)
        self._counts = counts
        answer = self.answer
        if answer.chunks == 1 and not answer.ended:
            answer.first_chunk_tokens = read_usage(counts).completion_tokens or answer.first_chunk_tokens

    def _merge(self, counts: dict[str, Any]) -> None:
        usage, more = self.answer.usage, read_usage(counts)
        for name in Usage.__slots__:
            if (count := getattr(more, name)) is not None:
                setattr(usage, name, count)

    def _handle_other(self, name: str, content: Any, at: float) -> None:
        """Handle the end mark, several events in one list, an error, or an event to skip and count."""
        answer = self.answer
        if content is DONE:
            answer.ended = True
            return
        if isinstance(content, list) and len(content) > 1 and isinstance(content[0], dict):
            for each in content:
                self._handle(name, each, at)
            return
        if self._raw and isinstance(content, dict) and isinstance(content.get("usage"), dict):
            self._keep_counts(content["usage"])  # embeddings report it
            return
        if name == "error":
            raise AnswerError("in_band", error_text(content) or "the stream holds an error event")
        if isinstance(content, dict) and not self._raw and _is_error(content):
            raise AnswerError("in_band", error_text(content))
        answer.skipped_events += 1
        if not answer.first_skipped:
            answer.first_skipped = f"{name} {json.dumps(content)}".strip()[:100]

    def _no_known_output(self) -> str:
        """The error message for an answer of unknown events alone."""
        skipped = f"the answer holds no output in a known format: {self.answer.first_skipped}"
        return skipped if self._stream else f"{skipped}; if it should hold no text, set workload.schema: raw"


def _is_error(content: dict[str, Any]) -> bool:
    """Whether an object in no known format reports an error."""
    code = content.get("code") or content.get("status_code") or content.get("status")
    return (
        content.get("object") == "error"
        or content.get("type") == "error"
        or (isinstance(code, int) and code >= 400)
        or any(content.get(key) for key in _FAILURE_KEYS)
        or (bool(content.keys() & {"message", "Message"}) and content.keys() <= _MESSAGE_KEYS)
    )


_FAILURE_KEYS = ("errors", "error_message", "error_msg", "errorMessage", "error_type", "error_code", "detail")
_MESSAGE_KEYS = frozenset({"message", "Message", "code", "type", "status", "param", "object"})
"""Keys of an object that holds only a message, as in a gateway's refusal."""
