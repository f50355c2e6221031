"""Cut the bytes of an answer into events: server-sent events, JSON lines, or one JSON document.

Server-sent events follow the WHATWG standard (https://html.spec.whatwg.org/multipage/server-sent-events.html):
lines end in CR, LF or CRLF, ``data`` may span several lines, comments and unknown fields are ignored. One
addition: a ``data`` line that is a complete JSON object is an event at once, so that its time does not depend
on the blank line after it, and servers may leave the blank line out.
"""

import codecs
import json
from typing import Any, Literal

Mode = Literal["", "lines", "whole", "bytes"]
"""Not known yet; one event per line; one document; or, for raw bodies, any bytes."""


class _Done:
    """The end mark ``[DONE]`` of OpenAI's API."""


DONE = _Done()
Event = tuple[str, Any]
"""Name of the event (empty without one) and its content: a JSON value, other text, or `DONE`."""

_decode = json.JSONDecoder().raw_decode
_RAW_JSON = 65_536
"""Longest answer to a raw body that is parsed: parsing long vectors would delay other answers."""
_FIELDS = (b"data", b"event", b"id", b"retry", b"error", b":")


class AnswerError(Exception):
    """The answer cannot be read or reports an error; ``error_class`` says which."""

    def __init__(self, error_class: str, detail: str) -> None:
        super().__init__(detail)
        self.error_class = error_class


class Framer:
    """Cuts body bytes, which may be split anywhere, into complete events.

    Args:
        stream: whether events are expected; otherwise a JSON document may span any number of lines.
        raw: whether to accept bytes in no known format; they give no events.
    """

    def __init__(self, *, stream: bool, raw: bool = False) -> None:
        self.mode: Mode = ""
        self._stream = stream
        self._raw = raw
        self._buffer = b""
        self._begun = False
        """The first line is complete."""
        self._json_lines = False
        self._name = ""
        self._pending = False
        """The next blank line ends an event that has a name or open lines."""
        self._open: list[str] = []
        """``data`` lines of an event with incomplete JSON."""

    def feed(self, data: bytes | bytearray) -> list[Event]:
        """Add bytes and return the events that they complete.

        Raises:
            AnswerError: not a known format, or an event that is broken JSON.
        """
        if self._buffer:
            data = self._buffer + data
        if self.mode != "lines" and not self._detect_lines(data):
            self._buffer = bytes(data)
            return []
        end = data.rfind(b"\n") + 1
        if end != len(data):
            # A CR at the very end waits, because its LF may follow.
            end = data.rfind(b"\r", end, len(data) - 1) + 1 or end
            self._buffer = bytes(data[end:])
            data = data[:end]
        else:
            self._buffer = b""
        return self._events(data.decode("utf-8", "replace")) if end else []

    def finish(self) -> list[Event]:
        """Return the events in the rest of the body.

        Raises:
            AnswerError: the rest is broken JSON.
        """
        rest, self._buffer = self._buffer, b""
        if self.mode == "lines":
            events = self._events(rest.decode(errors="replace"))
            if self.mode == "lines":
                return events + self._dispatch()
        if self.mode == "whole" and not (self._raw and len(rest) > _RAW_JSON):
            text = rest.removeprefix(codecs.BOM_UTF8).decode(errors="replace").strip()
            return [("", self._value(text))]
        return []

    def _detect_lines(self, data: bytes | bytearray) -> bool:
        """Detect the mode once enough bytes have arrived; True if there is one event per line."""
        if self.mode:
            return False
        start = bytes(data[:64]).removeprefix(codecs.BOM_UTF8).lstrip()
        if not start or codecs.BOM_UTF8.startswith(start):
            return False
        if start[:1] in b"{[":
            self._json_lines = self._stream and start[:1] == b"{"
            self.mode = "lines" if self._json_lines else "whole"
        elif any(start.startswith(name) for name in _FIELDS):
            self.mode = "lines"
        elif any(name.startswith(start) for name in _FIELDS):
            return False
        elif self._raw:
            self.mode = "bytes"
        else:
            kind = "an HTML page" if start[:1] == b"<" else "an unknown format"
            raise AnswerError("protocol", f"the answer is {kind}: {start[:60].decode(errors='replace')!r}")
        return self.mode == "lines"

    def _events(self, text: str) -> list[Event]:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not self._begun and not self._begin(text):
            return []
        events: list[Event] = []
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()  # after the last line's end, not a blank line
        for line in lines:
            if not line:
                if self._pending:
                    events += self._dispatch()
                continue
            if line[0] == "{":
                start = 0
            elif line[:5] == "data:" and not self._open:
                start = 6 if line[5:6] == " " else 5
            else:
                events += self._other_line(line)
                continue
            try:
                content, end = _decode(line, start)
            except (ValueError, RecursionError):
                end = -1
            if end == len(line):
                events.append((self._name, content))
            else:
                events += self._other_line(line)
        return events

    def _begin(self, text: str) -> bool:
        """Handle the first line; False if it starts a document that spans several lines."""
        first = text.lstrip("\ufeff \t\n").split("\n", 1)[0]
        if not first:
            return True
        self._begun = True
        if self._json_lines and _json(first) is None:
            self._buffer = text.encode() + self._buffer
            self.mode = "whole"
            return False
        return True

    def _other_line(self, line: str) -> list[Event]:
        """A line that is neither blank nor one complete JSON object."""
        line = line.strip("\ufeff \t")
        if line[:1] in ("{", "["):
            return self._bare_json(line)
        field, _, value = line.partition(":")
        if field == "data":
            return self._data(value)
        if field == "error":  # llama.cpp, before it sent errors as data
            return [("error", value.strip() if (error := _json(value)) is None else error)]
        if field == "event":
            self._name = value.strip()
            self._pending = True
        elif self._json_lines and line:
            return [("", line)]
        return []

    def _bare_json(self, line: str) -> list[Event]:
        if line == "[DONE]":
            return [("", DONE)]
        if self._json_lines:
            return [("", self._value(line))]
        value = _json(line)  # not valid in server-sent events, but some errors arrive like this
        return [] if value is None else [(self._name, value)]

    def _data(self, text: str) -> list[Event]:
        """A ``data`` line that is not one complete JSON object."""
        text = text.strip()
        if self._open:
            self._open.append(text)
        elif text == "[DONE]":
            return [(self._name, DONE)]
        elif (value := _json(text)) is not None:
            return [(self._name, value)]
        elif text[:1] in ("{", "["):
            self._open.append(text)
            self._pending = True
        elif text:
            return [(self._name, text)]
        return []

    def _dispatch(self) -> list[Event]:
        """End the event, after a blank line or at the end of the body."""
        name, lines, self._name, self._open = self._name, self._open, "", []
        self._pending = False
        if lines:
            return [(name, self._value("\n".join(lines)))]
        return [(name, "")] if name == "error" else []

    def _value(self, text: str) -> Any:
        value = _json(text)
        if value is not None or self._raw:
            return value
        kind = "truncated" if text[:1] in ("{", "[") else "protocol"
        raise AnswerError(kind, f"incomplete or invalid JSON: {text[-60:]!r}")


def _json(text: str) -> Any:
    """The JSON value of a text; None if it is invalid, null, or too deep or long a number to parse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
