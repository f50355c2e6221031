"""Conversations: the turns that a payload row holds, and the plan's settings for them."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from configs.durations import DURATION_SCHEMA, parse_seconds
from configs.fields import Strict, Whole


def _check_think_time(value: object) -> float | dict[str, float]:
    if isinstance(value, dict):
        if list(value) != ["exponential"]:
            raise ValueError("write a duration such as 5s, or {exponential: 5s} for random times")
        return {"exponential": parse_seconds(value["exponential"])}
    return parse_seconds(value)


ThinkTime = Annotated[
    float | dict[str, float],
    PlainValidator(_check_think_time),
    WithJsonSchema(
        {
            "anyOf": [
                *DURATION_SCHEMA["anyOf"],
                {
                    "type": "object",
                    "properties": {"exponential": DURATION_SCHEMA},
                    "required": ["exponential"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""As a plan writes it: ``5s``, or ``{exponential: 5s}`` for random times with this mean."""


class Conversation(Strict):
    """How the rows of a payload become conversations."""

    turns: Annotated[Whole, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="The turns of a conversation. So many prompts of the payload, one after the other, make "
        "one conversation. Rows of `messages` or `turns` are cut after as many turns.",
    )
    think_time: ThinkTime | None = Field(
        default=None,
        description="The time from an answer to the next turn where the payload gives none: `5s`, or "
        "`{exponential: 5s}` for random times with this mean. By default, none.",
    )


class Sticky(Strict):
    """The requests that open and close a stateful session; the container defines them, and not SageMaker.

    The defaults are those of the LMI, vLLM and SGLang containers.
    """

    open: dict[str, Any] = Field(
        default={"requestType": "NEW_SESSION"},
        description="The body of the request that opens the session of a conversation.",
    )
    close: dict[str, Any] | None = Field(
        default={"requestType": "CLOSE"},
        description="The body of the request that closes it; `null` to let it expire.",
    )


def _read_switch(value: object) -> object:
    if isinstance(value, bool):
        return Sticky() if value else None
    if not isinstance(value, dict | Sticky | None):
        raise ValueError("write true, or a mapping with open and close")  # noqa: TRY004 - as in `fields`
    return value


def _switch_schema(schema: dict[str, Any]) -> None:
    """Let the JSON schema accept ``true`` and ``false`` in place of the mapping."""
    schema["anyOf"].insert(0, {"type": "boolean"})


StickySwitch = Annotated[
    Sticky | None, BeforeValidator(_read_switch), Field(json_schema_extra=_switch_schema)
]
"""A plan writes ``true`` for the defaults."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a user says in one turn of a conversation."""

    content: Any
    """Text, or a list of parts in the format of OpenAI's chat."""
    think_time: float | None = None
    """Seconds from the answer of the turn before; None: as the plan has it."""
    output_tokens: int | None = None
    """The longest answer; None: as the plan has it."""
    prompt_tokens: int | None = None
    """Tokens of the content alone; None if not counted."""
    asked_prompt_tokens: int | None = None
    """Tokens that a trace asks of the whole prompt."""
