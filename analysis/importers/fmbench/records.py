"""FMBench's records as typed values: one per request, one per burst, from JSON objects or CSV rows alike.

FMBench 1.x stores the mean latency of a burst, 2.x its percentiles; both are read. What a record does not say
is None.
"""

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Fields = Mapping[str, object]
LARGEST = 1e12
"""No count, rate or time of a benchmark is larger."""
ECHO_CHARACTERS = 20
"""A shorter prompt may begin a genuine answer by chance."""


class RecordError(Exception):
    """A record holds a value that cannot be used; the text names the field and the value."""


@dataclass(frozen=True)
class RequestRecord:
    """One request as FMBench's client saw it: seconds and its client's token counts."""

    experiment: str
    concurrency: int
    payload: str | None
    endpoint: str | None
    recorded_at: float | None
    """When its file was written, after the answer; None in the CSV form."""
    answered: bool
    latency: float | None
    ttft: float | None
    prompt_tokens: float | None
    completion_tokens: float | None
    max_tokens: float | None
    """The limit that the request set for its answer."""
    has_text: bool
    """Whether prompt and completion are on record, so that one can be looked for in the other."""
    repeats_prompt: bool
    """Whether the text of the completion starts with the prompt."""


@dataclass(frozen=True)
class BurstRecord:
    """One burst: FMBench sends ``size`` requests at once and waits for all of them."""

    experiment: str
    concurrency: int
    payload: str | None
    endpoint: str | None
    recorded_at: float | None
    size: int
    successes: int
    prompt_tokens: float | None
    """Of all requests, failed ones included, as FMBench counts them."""
    failed_prompt_tokens: float | None
    """The part of failed requests; None where the record does not tell."""
    completion_tokens: float | None
    prompt_rate: float | None
    completion_rate: float | None
    request_rate: float | None
    latency_mean: float | None
    ttft: float | None
    """Of a burst of one request; None for larger ones."""


def request_record(fields: Fields, recorded_at: float | None = None) -> RequestRecord:
    """Read one request.

    Raises:
        RecordError: a value is of the wrong type, negative or beyond any measurement, or an answer has no
            latency.
    """
    latency = number(fields, "latency")
    if latency is None:
        latency = number(fields, "time_to_last_token")
    ttft = number(fields, "time_to_first_token")
    prompt, completion = text(fields, "prompt"), text(fields, "completion")
    stripped = (prompt or "").strip()
    rest = (completion or "").strip()
    repeats = len(stripped) >= ECHO_CHARACTERS and rest.startswith(stripped)
    output = rest[len(stripped) :].strip() if repeats else rest
    if output and latency is None:
        raise RecordError("it has a completion but no latency")
    return RequestRecord(
        experiment=text(fields, "experiment_name") or "unknown",
        concurrency=_concurrency(fields),
        payload=text(fields, "payload_file"),
        endpoint=text(fields, "endpoint_name"),
        recorded_at=recorded_at,
        answered=bool(output),
        latency=latency,
        ttft=ttft if ttft is not None and latency is not None and ttft <= latency else None,
        prompt_tokens=number(fields, "prompt_tokens"),
        completion_tokens=number(fields, "completion_tokens"),
        max_tokens=next((n for key in _LIMITS if (n := number(fields, key)) is not None), None),
        has_text=len(stripped) >= ECHO_CHARACTERS and bool(rest),
        repeats_prompt=repeats,
    )


_LIMITS = ("max_new_tokens", "max_tokens", "max_tokens_to_sample")


def burst_record(fields: Fields, recorded_at: float | None = None) -> BurstRecord:
    """Read one burst.

    Raises:
        RecordError: a value is of the wrong type, negative or beyond any measurement.
    """
    concurrency = _concurrency(fields)
    successes = int(number(fields, "successes") or 0)
    size = max(int(number(fields, "transactions") or concurrency), successes)
    alone = size == 1 and successes == 1
    of_errors = _failed_prompt_tokens(fields.get("errors"))
    mean = number(fields, "latency_mean")
    if mean is None and 1 <= successes <= 2:
        mean = number(fields, "latency_p50")  # of one or two values the median is the mean
    return BurstRecord(
        experiment=text(fields, "experiment_name") or "unknown",
        concurrency=concurrency,
        payload=text(fields, "payload_file"),
        endpoint=text(fields, "EndpointName"),
        recorded_at=recorded_at,
        size=size,
        successes=successes,
        prompt_tokens=number(fields, "all_prompts_token_count"),
        failed_prompt_tokens=0.0 if successes == size else of_errors,
        completion_tokens=number(fields, "all_completions_token_count"),
        prompt_rate=number(fields, "prompt_token_throughput"),
        completion_rate=number(fields, "completion_token_throughput"),
        request_rate=number(fields, "transactions_per_second"),
        latency_mean=mean,
        ttft=number(fields, "TTFT_p50") if alone else None,
    )


def recorded_at(path: Path) -> float | None:
    """The time in a record's file name, in epoch seconds; None for files named otherwise."""
    try:
        value = float(path.name.removesuffix(".json"))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value < LARGEST else None


def number(fields: Fields, name: str) -> float | None:
    """A number, also as text; None where it is absent, null or NaN.

    Raises:
        RecordError: anything else, a negative number, or one above `LARGEST`.
    """
    value = fields.get(name)
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none", "null")):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RecordError(f"{name} is {_kind(value)}, not a number")
    try:
        found = float(value)
    except ValueError:
        raise RecordError(f"{name} is {str(value)[:40]!r}, not a number") from None
    except OverflowError:
        found = LARGEST * 10
    if not math.isfinite(found):
        return None
    if found < 0 or found > LARGEST:
        raise RecordError(f"{name} is {found:g}, which cannot be")
    return found


def text(fields: Fields, name: str) -> str | None:
    """A text; None where it is absent, null or empty.

    Raises:
        RecordError: it is no text.
    """
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RecordError(f"{name} is {_kind(value)}, not a text")
    return value


def _concurrency(fields: Fields) -> int:
    value = number(fields, "concurrency")
    if value is None:
        raise RecordError("it has no concurrency")
    if value < 1 or value != int(value) or value > 1_000_000:
        raise RecordError(f"concurrency is {value:g}, which cannot be")
    return int(value)


def _failed_prompt_tokens(errors: object) -> float | None:
    """Prompt tokens of the requests in FMBench's list of errors, which CSV holds as Python's text."""
    if not isinstance(errors, list | str | None):
        raise RecordError(f"errors is {_kind(errors)}, not a list")
    listed = _literal(errors) if isinstance(errors, str) else errors
    if not isinstance(listed, list):
        return None
    total = 0.0
    for failed in listed:
        if not isinstance(failed, dict):
            return None
        try:
            total += number(failed, "prompt_tokens") or 0.0  # null is not in FMBench's sum either
        except RecordError:
            return None
    return total


def _literal(value: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _kind(value: object) -> str:
    names = {bool: "true or false", dict: "an object", list: "a list", str: "a text", int: "a number"}
    return names.get(type(value), "a number" if isinstance(value, float) else "something else")
