"""A load shape: pieces that follow each other without a pause, such as a ramp, a spike or a soak."""

from typing import Annotated, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from configs.durations import Seconds
from configs.fields import Number, Strict, Whole

_Rate = Annotated[Number, Field(gt=0, le=10_000)]
_Users = Annotated[Whole, Field(ge=1, le=100_000)]


class RateRamp(Strict):
    """A rate that changes evenly."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    start: _Rate = Field(alias="from", description="The rate at the start of the piece, in requests/s.")
    end: _Rate = Field(alias="to", description="The rate at its end.")


class UserRamp(Strict):
    """A number of users that changes evenly."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    start: _Users = Field(alias="from", description="The users at the start of the piece.")
    end: _Users = Field(alias="to", description="The users at its end.")


_RateOrRamp = Annotated[
    Annotated[_Rate, Tag("rate")] | Annotated[RateRamp, Tag("ramp")],
    Discriminator(lambda value: "ramp" if isinstance(value, dict | RateRamp) else "rate"),
]
"""A mistake in a ramp is reported as one, and not as a number that is none."""
_UsersOrRamp = Annotated[
    Annotated[_Users, Tag("users")] | Annotated[UserRamp, Tag("ramp")],
    Discriminator(lambda value: "ramp" if isinstance(value, dict | UserRamp) else "users"),
]


class Piece(Strict):
    """One piece of a shape: a level of load for a time."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    rate: _RateOrRamp | None = Field(
        default=None,
        description="The arrivals per second, or a ramp such as `{from: 2, to: 20}`.",
    )
    concurrency: _UsersOrRamp | None = Field(
        default=None, description="The number of users, or a ramp of it, in place of `rate`."
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
    def rates(self) -> RateRamp | None:
        """Its arrivals per second; None for a concurrency."""
        if self.rate is None or isinstance(self.rate, RateRamp):
            return self.rate
        return RateRamp(start=self.rate, end=self.rate)

    @property
    def users(self) -> UserRamp | None:
        """Its users; None for a rate."""
        if self.concurrency is None or isinstance(self.concurrency, UserRamp):
            return self.concurrency
        return UserRamp(start=self.concurrency, end=self.concurrency)

    @property
    def mean_rate(self) -> float | None:
        """Its arrivals per second on average; None for a concurrency."""
        return None if self.rates is None else (self.rates.start + self.rates.end) / 2

    @property
    def mean_users(self) -> int | None:
        """Its users on average, rounded; None for a rate."""
        return None if self.users is None else round((self.users.start + self.users.end) / 2)


Shape = Annotated[tuple[Piece, ...], Field(min_length=1)]
