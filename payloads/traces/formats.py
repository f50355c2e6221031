"""The formats of traces: which columns or keys hold the time, the lengths and the session.

- plain (CSV, JSON lines): ``time`` in seconds or as ISO 8601; where known, ``prompt_tokens``,
  ``output_tokens``, ``session``, ``prefix_group`` and the ``prefix_tokens`` that the group's prompts share
- Azure LLM inference 2023 and 2024 (CSV): ``TIMESTAMP`` in UTC, ``ContextTokens``, ``GeneratedTokens``
- BurstGPT (CSV): ``Timestamp`` in seconds, ``Request tokens``, ``Response tokens`` (0: the request failed),
  ``Session ID``
- Mooncake (JSON lines): ``timestamp`` in ms, ``input_length``, ``output_length``, ``hash_ids`` of blocks
- SageMaker Data Capture (JSON lines): ``eventMetadata.inferenceTime``, ``usage`` in the captured answer
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payloads.traces.trace import BLOCK_TOKENS, Arrival

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One format: how it is recognized by its first record, and how a record is read."""

    name: str
    keys: frozenset[str]
    """Columns or top-level keys that every record has."""
    read: Callable[[Record], Arrival | None]
    """Raises ValueError with what is wrong. None: the record is not an answered request."""


def recognize(keys: Sequence[str]) -> Format | None:
    """The format with these columns or keys; None if there is none."""
    present = {key.strip() for key in keys}
    return next((known for known in FORMATS if known.keys <= present), None)


def _plain(record: Record) -> Arrival:
    group, prefix_tokens = _text(record.get("prefix_group")), _tokens(record, "prefix_tokens")
    return Arrival(
        at_s=_time(record["time"]),
        prompt_tokens=_tokens(record, "prompt_tokens"),
        output_tokens=_tokens(record, "output_tokens"),
        session=_text(record.get("session")),
        prefix=(group,) if group else (),
        block_tokens=BLOCK_TOKENS if prefix_tokens is None else prefix_tokens,
    )


def _azure(record: Record) -> Arrival:
    return Arrival(
        at_s=_time(record["TIMESTAMP"]),
        prompt_tokens=_tokens(record, "ContextTokens"),
        output_tokens=_tokens(record, "GeneratedTokens"),
    )


def _burstgpt(record: Record) -> Arrival | None:
    output = _tokens(record, "Response tokens")
    if output == 0:  # BurstGPT's mark of a request that failed
        return None
    return Arrival(
        at_s=_time(record["Timestamp"]),
        prompt_tokens=_tokens(record, "Request tokens"),
        output_tokens=output,
        session=_text(record.get("Session ID")),
    )


def _mooncake(record: Record) -> Arrival:
    blocks = record.get("hash_ids") or []
    if not isinstance(blocks, list):
        raise ValueError("hash_ids is not a list")  # noqa: TRY004 - the file's fault, not the program's
    return Arrival(
        at_s=_time(record["timestamp"]) / 1000,
        prompt_tokens=_tokens(record, "input_length"),
        output_tokens=_tokens(record, "output_length"),
        prefix=tuple(str(block) for block in blocks),
    )


def _data_capture(record: Record) -> Arrival:
    moment = _at(record, "eventMetadata", "inferenceTime")
    if moment is None:
        raise ValueError("eventMetadata.inferenceTime is missing")
    usage = _usage(_captured(record, "endpointOutput"))
    return Arrival(
        at_s=_time(moment),
        prompt_tokens=_tokens(usage, "prompt_tokens"),
        output_tokens=_tokens(usage, "completion_tokens"),
        body=_captured(record, "endpointInput"),
    )


FORMATS = (
    Format("SageMaker Data Capture", frozenset({"captureData", "eventMetadata"}), _data_capture),
    Format("Azure LLM inference", frozenset({"TIMESTAMP", "ContextTokens", "GeneratedTokens"}), _azure),
    Format("BurstGPT", frozenset({"Timestamp", "Request tokens", "Response tokens"}), _burstgpt),
    Format("Mooncake", frozenset({"timestamp", "input_length", "output_length"}), _mooncake),
    Format("plain", frozenset({"time"}), _plain),
)
"""Every format, the most specific first."""


def _time(value: Any) -> float:
    """Seconds, from a number or from ISO 8601 (UTC where no zone is given).

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a time")
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return _moment(str(value).strip())
    if not 0 <= seconds < 1e14:  # in milliseconds, the year 5138; nan fails too
        raise ValueError(f"{value!r} is not a time")
    return seconds


def _moment(text: str) -> float:
    # Azure writes seven decimals; datetime reads six.
    head, point, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    trimmed = f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}" if point and digits else text
    try:
        moment = datetime.fromisoformat(trimmed)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: neither seconds nor ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tokens(record: Record, key: str) -> int | None:
    value = record.get(key)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} is {value!r}, not a number of tokens") from None
    if number != number // 1 or not 0 <= number < 1e9 or isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, not a number of tokens")
    return int(number)


def _text(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def _at(record: Any, *keys: str) -> Any:
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _captured(record: Any, side: str) -> bytes | None:
    """The captured bytes of one side; None if that side was not captured."""
    data = _at(record, "captureData", side, "data")
    if not isinstance(data, str):
        return None
    if _at(record, "captureData", side, "encoding") != "BASE64":
        return data.encode()
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"captureData.{side}.data is not Base64") from None


def _usage(answer: bytes | None) -> dict[str, Any]:
    """``usage`` of a captured answer: a JSON document, or the last event of a stream that has it."""
    data = (answer or b"").decode(errors="replace")
    for text in (data, *(line.removeprefix("data:") for line in reversed(data.splitlines()))):
        try:
            usage = _at(json.loads(text), "usage")
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(usage, dict):
            return usage
    return {}
