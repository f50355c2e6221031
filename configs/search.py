"""The section `load.search` of a plan: where to look for the highest load under the SLO, and how closely."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.durations import Seconds
from configs.fields import Number, Share, Strict

LEAST_PROBE_S = 20.0
"""Shortest measurement of a level, unless the plan's own is shorter."""


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
