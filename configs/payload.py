"""Payload files. The check before a deployment and the load read them with the same function."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from common.errors import UserError
from configs.conversation import Turn
from configs.durations import parse_seconds
from configs.payload_shapes import as_row
from configs.trace_text import TokenSource, TraceText
from configs.workload import Workload

_A_LINE = 'a payload line is {"prompt": "…", "payload_id": "…", "prompt_tokens": 12}'


_TRACE_TEXT = TypeAdapter(TraceText)


class _BadRowError(ValueError):
    """A row is wrong; the message says why."""


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """The content of one request: a prompt, the messages of a chat, or a body that is sent unchanged.

    ``prompt_tokens`` counts the prompt alone, or of a generated prompt what the endpoint should count; None
    if it was not counted. A row with ``turns`` is a whole conversation; its ``messages`` are those before the
    first turn.
    """

    payload_id: str
    prompt: str
    prompt_tokens: int | None
    messages: list[dict[str, Any]] | None = None
    body: Any = None
    shared_prefix: str = ""
    """Text before the prompt that other rows begin with too; a unique prefix stands after it."""
    prompt_tokens_source: TokenSource = "tokenizer"
    asked_prompt_tokens: int | None = None
    """The length that was asked for, in tokens as the endpoint counts them."""
    output_tokens: int | None = None
    """The length of the answer to ask for; None: as the plan has it."""

    turns: tuple[Turn, ...] | None = None
    """The turns of a conversation."""
    part: str = ""
    """The part of a mix that it belongs to; empty without one."""
    trace_text: TraceText | None = None
    """Text for the prompts of a replayed trace, in place of a prompt."""

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.shared_prefix + self.prompt

    @property
    def shown(self) -> str:
        """The row as text for a reader."""
        asked = self.messages if self.body is None else self.body
        return self.text if asked is None else json.dumps(asked, ensure_ascii=False)


def read_payload(path: Path, template: str | None = None, *, whole: bool = False) -> list[PayloadRow]:
    r"""Read a payload file: JSON lines of ``{"prompt", "payload_id", "prompt_tokens"}``, or one JSON list.

    Instead of the prompt, a row may have ``messages`` in the format of OpenAI's chat, a whole ``body``, the
    ``turns`` of a conversation, or what `configs.payload_shapes` turns into one of these. Blank lines are
    skipped. Only ``\n`` ends a line: JSON allows other line separators inside a text. The default
    ``payload_id`` is the number of the line.

    Args:
        path: the file.
        template: the prompt, with names of a row's fields in braces.
        whole: whether rows are played as conversations: of a published one, all of it is read.

    Raises:
        UserError: the file cannot be read, has no row, or has a line that is not such a row.
    """
    shape = partial(as_row, template=template, whole=whole)
    rows = [_read(path, place, content, shape) for place, content in _contents(path)]
    if not rows:
        raise UserError(f"{path}: the payload holds no prompts", "write at least one row")
    return rows


def _contents(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and content of each row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(
            f"{path}: the payload cannot be read ({error.strerror})", "name another file in workload.payload"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: the payload is not UTF-8 ({error.reason} at byte {error.start})", "save it as UTF-8"
        ) from None
    if text.lstrip()[:1] == "[":
        yield from enumerate(
            _json(path, 1, text, "write a list of objects, or one JSON object in each line"), 1
        )
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _json(path, number, line, "write one JSON object in each line")


def _json(path: Path, line: int, text: str, remedy: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        number = line + error.lineno - 1
        raise UserError(f"{path} line {number}: not a JSON line ({error.msg})", remedy) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} line {line}: {error}") from None


def _read(path: Path, number: int, content: Any, shape: Callable[[Any], Any]) -> PayloadRow:
    try:
        return _row(shape(content), number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} line {number}: {error}") from None


def write_payload(path: Path, rows: Iterable[PayloadRow]) -> None:
    """Write rows that `read_payload` reads. Raises OSError if they cannot be written."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            kept = {key: value for key, value in asdict(row).items() if value not in (None, "")}
            if row.messages is None and row.body is None and row.trace_text is None:
                kept["prompt"] = row.prompt
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")


def check_rows(path: Path, rows: list[PayloadRow], workload: Workload) -> None:
    """Check that the request schema has a place for each row.

    Raises:
        UserError: a row does not fit the schema.
    """
    schema = workload.request_schema
    for row in rows:
        if row.trace_text is not None:
            raise UserError(f"{path}: row {row.payload_id} has no prompt", _A_LINE)
        if row.body is None and schema == "raw":
            raise UserError(
                f"{path}: row {row.payload_id} has no body",
                "with workload.schema: raw, give every row a body",
            )
        if row.body is not None and schema != "raw":
            raise UserError(f"{path}: row {row.payload_id} has a body", "set workload.schema: raw")
        talks = row.turns is not None or workload.conversation is not None
        if talks and schema in ("raw", "embeddings"):
            raise UserError(
                f"{path}: row {row.payload_id} is a conversation, and workload.schema: {schema} has no place "
                "for the answers before a turn",
                "leave workload.schema out",
            )
        if row.messages is None and not any(isinstance(turn.content, list) for turn in row.turns or ()):
            continue
        if schema != "openai" and workload.route != "openai":
            raise UserError(f"{path}: row {row.payload_id} has messages", "set workload.schema: openai")
        if workload.conversation is not None and row.turns is None and not _asks(row):
            raise UserError(
                f"{path}: row {row.payload_id} has no user message", "give every conversation a user message"
            )
        if workload.unique_prefix and with_prefix(row, "") is None:
            raise UserError(
                f"{path}: row {row.payload_id} has no user text to put a prefix before",
                "set workload.unique_prefix: false",
            )


def with_prefix(row: PayloadRow, prefix: str) -> PayloadRow | None:
    """The row with a prefix before its prompt or its first user text; None if it has no such text."""
    if row.messages is None:
        return replace(row, prompt=prefix + row.prompt)  # the shared prefix still stands before both
    messages = copy.deepcopy(row.messages)
    for message in messages:
        if message.get("role") != "user":
            continue
        if isinstance(message["content"], str):
            message["content"] = prefix + message["content"]
            return replace(row, messages=messages)
        for part in message["content"]:
            if isinstance(part.get("text"), str):
                part["text"] = prefix + part["text"]
                return replace(row, messages=messages)
    return None


def _row(content: Any, number: int) -> PayloadRow:
    kinds = ("prompt", "messages", "body", "turns", "trace_text")
    asked = [key for key in kinds if isinstance(content, dict) and key in content]
    if len(asked) != 1:
        raise _BadRowError(_A_LINE)
    name = content.get("payload_id")
    name = f"line-{number}" if name is None else name
    if not isinstance(name, str | int):
        raise _BadRowError("payload_id must be text, or be left out")
    shared = content.get("shared_prefix", "")
    if not isinstance(shared, str) or (shared and asked != ["prompt"]):
        raise _BadRowError("shared_prefix must be text before a prompt, or be left out")
    for key, value in ((asked[0], content[asked[0]]), ("payload_id", name), ("shared_prefix", shared)):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _BadRowError(
                f"{key} holds half a surrogate pair (such as \\ud83d), which is not a character"
            ) from None
    row = PayloadRow(
        str(name),
        "",
        _whole(content, "prompt_tokens", 0),
        shared_prefix=shared,
        prompt_tokens_source="estimate" if content.get("prompt_tokens_source") == "estimate" else "tokenizer",
        asked_prompt_tokens=_whole(content, "asked_prompt_tokens", 1),
        output_tokens=_whole(content, "output_tokens", 1),
        part=_text(content, "part"),
    )
    if asked == ["prompt"]:
        if not isinstance(content["prompt"], str):
            raise _BadRowError(_A_LINE)
        return replace(row, prompt=content["prompt"])
    if asked == ["turns"]:
        return replace(row, messages=_prelude(content), turns=_turns(content["turns"]))
    if asked == ["trace_text"]:
        return replace(row, trace_text=_TRACE_TEXT.validate_python(content["trace_text"]))
    if asked == ["messages"]:
        return replace(row, messages=_messages(content["messages"]))
    if content["body"] is None:
        raise _BadRowError("body is null; write the JSON to send")
    return replace(row, body=content["body"])


def _text(content: dict[str, Any], key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise _BadRowError(f"{key} must be text, or be left out")
    return value


def _whole(content: dict[str, Any], key: str, least: int) -> int | None:
    value = content.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        more = " above 0" if least else ""
        raise _BadRowError(f"{key} must be a whole number{more}, or be left out")
    return value


def _asks(row: PayloadRow) -> bool:
    return any(message.get("role") == "user" for message in row.messages or ())


def _prelude(content: dict[str, Any]) -> list[dict[str, Any]] | None:
    system = content.get("system")
    if system is None:
        return None
    if not isinstance(system, str):
        raise _BadRowError("system must be text, or be left out")
    return [{"role": "system", "content": system}]


def _turns(turns: Any) -> tuple[Turn, ...]:
    if not isinstance(turns, list) or not turns:
        raise _BadRowError('turns must be a list such as [{"prompt": "…", "think_time": 2.0}]')
    return tuple(_turn(turn, f"turn {number}") for number, turn in enumerate(turns, 1))


def _turn(turn: Any, which: str) -> Turn:
    given = {"prompt": turn} if isinstance(turn, str) else turn
    if not isinstance(given, dict) or not (content := given.get("prompt")):
        raise _BadRowError(f"{which} must have a prompt")
    if not isinstance(content, str):
        [message] = _messages([{"role": "user", "content": content}])
        content = message["content"]
    if unknown := given.keys() - {"prompt", "think_time", "output_tokens", "prompt_tokens"}:
        raise _BadRowError(f"{which} has an unknown key {min(unknown)}")
    counts = []
    for key in ("output_tokens", "prompt_tokens"):
        value = given.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise _BadRowError(f"{which}: {key} must be a whole number from 1, or be left out")
        counts.append(value)
    think_time = given.get("think_time")
    try:
        seconds = None if think_time is None else parse_seconds(think_time)
    except ValueError as error:
        raise _BadRowError(f"{which}: think_time: {error}") from None
    return Turn(content, seconds, *counts)


def _messages(messages: Any) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise _BadRowError('messages must be a list such as [{"role": "user", "content": "…"}]')
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _BadRowError("each message must have a role")
        content = message.get("content")
        parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
        if not isinstance(content, str) and not parts and (content is not None or message["role"] == "user"):
            raise _BadRowError("the content of a message must be text or a list of parts")
    return messages
