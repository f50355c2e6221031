"""Durations as a plan writes them: ``500ms``, ``5s``, ``2m``, ``1h`` or a number of seconds."""

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)\s*$")


def parse_seconds(value: object) -> float:
    """Read a duration into seconds.

    Args:
        value: a number of seconds, or text such as ``500ms``, ``5s``, ``2m``, ``1h``.

    Raises:
        ValueError: it is neither, or it is negative or infinite.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _PATTERN.match(value)):
        seconds = float(match[1]) * _UNITS[match[2]]
    else:
        raise ValueError("write a duration such as 500ms, 5s, 2m or 1h")
    if not 0 <= seconds < float("inf"):
        raise ValueError("a duration cannot be negative or infinite")
    return seconds


DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|min|m|h)\s*$"},
    ]
}
"""JSON schema of a duration in a plan."""
Seconds = Annotated[float, BeforeValidator(parse_seconds), WithJsonSchema(DURATION_SCHEMA)]
"""A float of seconds; a plan may write it as a duration."""
