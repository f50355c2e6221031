"""Payload files. The check before a deployment and the load read them with the same function."""

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import UserError
from configs.plan import Workload


class _BadRowError(ValueError):
    """A row is wrong; the message says why."""


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """The content of one request: a prompt, the messages of a chat, or a body that is sent unchanged.

    ``prompt_tokens`` counts the prompt alone; None if it was not counted.
    """

    payload_id: str
    prompt: str
    prompt_tokens: int | None
    messages: list[dict[str, Any]] | None = None
    body: Any = None

    @property
    def shown(self) -> str:
        """The row as text for a reader."""
        asked = self.messages if self.body is None else self.body
        return self.prompt if asked is None else json.dumps(asked, ensure_ascii=False)


def read_payload(path: Path) -> list[PayloadRow]:
    r"""Read a payload file: JSON lines of ``{"prompt", "payload_id", "prompt_tokens"}``.

    Instead of the prompt, a row may have ``messages`` in the format of OpenAI's chat, or a whole ``body``.
    Blank lines are skipped. Only ``\n`` ends a line: JSON allows other line separators inside a text. The
    default ``payload_id`` is the number of the line.

    Raises:
        UserError: the file cannot be read, has no row, or has a line that is not such a row.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(
            f"{path}: the payload cannot be read ({error.strerror})", "name another file in workload.payload"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: the payload is not UTF-8 ({error.reason} at byte {error.start})", "save it as UTF-8"
        ) from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(_row(json.loads(line), number))
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path} line {number}: not a JSON line ({error.msg})", "write one JSON object in each line"
            ) from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} line {number}: {error}") from None
    if not rows:
        raise UserError(f"{path}: the payload holds no prompts", "write at least one row")
    return rows


def check_rows(path: Path, rows: list[PayloadRow], workload: Workload) -> None:
    """Check that the request schema has a place for each row.

    Raises:
        UserError: a row does not fit the schema.
    """
    schema = workload.request_schema
    for row in rows:
        if row.body is None and schema == "raw":
            raise UserError(
                f"{path}: row {row.payload_id} has no body",
                "with workload.schema: raw, give every row a body",
            )
        if row.body is not None and schema != "raw":
            raise UserError(f"{path}: row {row.payload_id} has a body", "set workload.schema: raw")
        if row.messages is None:
            continue
        if schema != "openai" and workload.route != "openai":
            raise UserError(f"{path}: row {row.payload_id} has messages", "set workload.schema: openai")
        if workload.unique_prefix and with_prefix(row, "") is None:
            raise UserError(
                f"{path}: row {row.payload_id} has no user text to put a prefix before",
                "set workload.unique_prefix: false",
            )


def with_prefix(row: PayloadRow, prefix: str) -> PayloadRow | None:
    """The row with a prefix before its prompt or its first user text; None if it has no such text."""
    if row.messages is None:
        return replace(row, prompt=prefix + row.prompt)
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
    asked = [key for key in ("prompt", "messages", "body") if isinstance(content, dict) and key in content]
    if len(asked) != 1:
        raise _BadRowError('a payload line is {"prompt": "…", "payload_id": "…", "prompt_tokens": 12}')
    name, tokens = content.get("payload_id"), content.get("prompt_tokens")
    name = f"line-{number}" if name is None else name
    if not isinstance(name, str | int):
        raise _BadRowError("payload_id must be text, or be left out")
    if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0):
        raise _BadRowError("prompt_tokens must be a whole number, or be left out")
    for key, value in ((asked[0], content[asked[0]]), ("payload_id", name)):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _BadRowError(
                f"{key} holds half a surrogate pair (such as \\ud83d), which is not a character"
            ) from None
    if asked == ["prompt"]:
        if not isinstance(content["prompt"], str):
            raise _BadRowError('a payload line is {"prompt": "…", "payload_id": "…", "prompt_tokens": 12}')
        return PayloadRow(str(name), content["prompt"], tokens)
    if asked == ["messages"]:
        return PayloadRow(str(name), "", tokens, messages=_messages(content["messages"]))
    if content["body"] is None:
        raise _BadRowError("body is null; write the JSON to send")
    return PayloadRow(str(name), "", tokens, body=content["body"])


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
