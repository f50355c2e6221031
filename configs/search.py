"""The section `load.search` of a plan: where to look for the highest load under the SLO, and how closely."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from configs.durations import Seconds
from configs.fields import Number, Strict

LEAST_PROBE_S = 20.0
"""Shortest measurement of a level, unless the plan's own is shorter."""


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


class Search(Strict):
    """A search for the highest load under the SLO, in place of a list of steps."""

    over: Literal["concurrency", "rate"] = Field(
        description="What is searched: `concurrency` (users) or `rate` (arrivals per second)."
    )
    low: Annotated[Number, Field(gt=0, le=100_000)] = Field(
        alias="from", description="The lowest level, at which the search starts."
    )
    high: Annotated[Number, Field(gt=0, le=100_000)] = Field(
        alias="to", description="The highest level that is tried."
    )
    resolution: Annotated[Share, Field(ge=0.01, le=1)] = Field(
        default=0.05,
        description="How close the highest level that meets the SLO and the lowest that misses it must be.",
    )
    at_most: Annotated[Seconds, Field(gt=0, le=86_400)] = Field(
        default=3600.0,
        description="The longest load of the search, with its confirmation. At its end, the bracket found so "
        "far counts.",
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"to ({self.high:g}) must be higher than from ({self.low:g})")
        if self.over == "concurrency" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("from and to are whole numbers of users when over is concurrency")
        if self.over == "rate" and self.high > 10_000:
            raise ValueError("to is at most 10,000 requests per second")
        return self
