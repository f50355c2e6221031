"""A load shape: pieces that follow each other without a pause, such as a ramp, a spike or a soak."""

from typing import Annotated, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from configs.durations import Seconds
from configs.fields import Number, Strict, Whole

_Rate = Annotated[Number, Field(gt=0, le=10_000)]


class Ramp(Strict):
    """A rate that changes evenly."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    start: _Rate = Field(alias="from", description="The rate at the start of the piece, in requests/s.")
    end: _Rate = Field(alias="to", description="The rate at its end.")


_RateOrRamp = Annotated[
    Annotated[_Rate, Tag("rate")] | Annotated[Ramp, Tag("ramp")],
    Discriminator(lambda value: "ramp" if isinstance(value, dict | Ramp) else "rate"),
]
"""A mistake in a ramp is reported as one, and not as a number that is none."""


class Piece(Strict):
    """One piece of a shape: a level of load for a time."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    rate: _RateOrRamp | None = Field(
        default=None,
        description="The arrivals per second, or a ramp such as `{from: 2, to: 20}`.",
    )
    concurrency: Annotated[Whole, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="The number of users, in place of `rate`."
    )
    seconds: Annotated[Seconds, Field(gt=0, le=7 * 86_400.0)] = Field(
        alias="for", description="How long the piece lasts."
    )

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if (self.rate is None) == (self.concurrency is None):
            raise ValueError("give a piece a rate or a concurrency")
        return self

    @property
    def ramp(self) -> Ramp | None:
        """The change of its rate; None if it does not change."""
        if self.rate is None:
            return None
        return self.rate if isinstance(self.rate, Ramp) else Ramp(start=self.rate, end=self.rate)

    @property
    def mean_rate(self) -> float | None:
        """Its arrivals per second on average; None for a concurrency."""
        return None if self.ramp is None else (self.ramp.start + self.ramp.end) / 2


Shape = Annotated[tuple[Piece, ...], Field(min_length=1)]
