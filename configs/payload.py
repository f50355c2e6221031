"""The one reader of payload files: what the check accepts before a deploy is what the load sends."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError


class _BadRowError(ValueError):
    """What is wrong with a row, in a few words."""


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """One prompt of known length; ``prompt_tokens`` counts the prompt alone, None where nobody counted."""

    payload_id: str
    prompt: str
    prompt_tokens: int | None


def read_payload(path: Path) -> list[PayloadRow]:
    r"""Read a payload file: JSON lines of ``{"prompt", "payload_id", "prompt_tokens"}``, blank lines apart.

    Only ``\n`` ends a line: JSON allows other line separators inside a text. A row without a ``payload_id``
    is named by its line.

    Raises:
        UserError: no file, no row, or a line that is not such a row.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except OSError as error:
        raise UserError(f"{path}: the payload cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the payload is not UTF-8 ({error.reason} at byte {error.start})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(_row(json.loads(line), number))
        except json.JSONDecodeError as error:
            raise UserError(f"{path} line {number}: not a JSON line ({error.msg})") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} line {number}: {error}") from None
    if not rows:
        raise UserError(f"{path}: the payload holds no prompts")
    return rows


def _row(content: Any, number: int) -> PayloadRow:
    if not isinstance(content, dict) or not isinstance(content.get("prompt"), str):
        raise _BadRowError('a payload line is {"prompt": "…", "payload_id": "…", "prompt_tokens": 12}')
    prompt, name, tokens = content["prompt"], content.get("payload_id"), content.get("prompt_tokens")
    name = f"line-{number}" if name is None else name
    if not isinstance(name, str | int):
        raise _BadRowError("payload_id is a text, or is left out")
    if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0):
        raise _BadRowError("prompt_tokens is a whole number, or is left out")
    for key, text in (("prompt", prompt), ("payload_id", str(name))):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise _BadRowError(f"{key} holds half a surrogate pair (such as \\ud83d), which is no character")
    return PayloadRow(str(name), prompt, tokens)
