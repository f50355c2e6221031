"""The types of a plan's values."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}")
"""What SageMaker accepts as the name of an environment variable."""
_NAME = re.compile(r"^[a-zA-Z0-9](?:[-_.]?[a-zA-Z0-9])*$")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > 40:
        raise ValueError("use up to 40 letters and digits, with single - _ . only between them")
    return value


Name = Annotated[str, AfterValidator(_check_name)]


def _check_endpoint_name(value: str) -> str:
    if value.startswith("arn:"):
        raise ValueError(f"give only the endpoint's name, {value.rsplit('/', 1)[-1]}")
    if not re.fullmatch(r"[A-Za-z0-9](?:-*[A-Za-z0-9]){0,62}", value):
        raise ValueError("use up to 63 letters and digits, with hyphens only between them")
    return value


def _check_region(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}", value):
        raise ValueError("write a region's code, such as us-east-1")
    return value


EndpointName = Annotated[str, AfterValidator(_check_endpoint_name)]
Region = Annotated[str, AfterValidator(_check_region)]


def _check_no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write a number")  # noqa: TRY004 - pydantic turns ValueErrors into its own
    return value


Whole = Annotated[int, BeforeValidator(_check_no_flag)]
"""A whole number. ``true`` is not a number, although Python counts it as 1."""
Number = Annotated[float, BeforeValidator(_check_no_flag)]


def _read_share(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
        if match is None:
            raise ValueError("write a share such as 5% or 0.05")
        return float(match[1]) / 100
    return value


Share = Annotated[
    Number,
    BeforeValidator(_read_share),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}]}
    ),
]
"""A share; a plan may write it as a percentage."""

OneOrMore = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
"""One text or a list of them; a model lists a single one with ``as_tuple``."""


def _check_environment(value: object) -> object:
    if not isinstance(value, dict):
        return value
    for key, text in value.items():
        if not VARIABLE.fullmatch(str(key)):
            raise ValueError(
                f"{key!r} is not a variable's name: use letters, digits and _, and do not begin with a digit"
            )
        if text is None:
            raise ValueError(f'the variable {key} has no value: give it one ("" for an empty one)')
        if isinstance(text, dict | list):
            raise ValueError(f"the variable {key} must be text: put JSON in single quotes")  # noqa: TRY004
    return {str(key): _as_text(text) for key, text in value.items()}


def _as_text(value: object) -> str:
    """A variable's value as YAML writes it: ``true``, not Python's ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


Environment = Annotated[
    dict[str, str],
    BeforeValidator(_check_environment),
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ),
]
"""Environment variables; YAML's numbers and booleans become text."""


def as_tuple(value: object) -> object:
    """One text as a list of one. Raises ValueError for a value that is neither a text nor a list."""
    if not isinstance(value, str | list | tuple):
        raise ValueError("write one text, or a list of them")  # noqa: TRY004 - as above
    return (value,) if isinstance(value, str) else value


class Strict(BaseModel):
    """Base of the plan's parts: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
