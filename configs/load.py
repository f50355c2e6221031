"""The section `load` of a plan: the steps, their lengths, and the timeouts of a request."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from configs.arrivals import Arrivals
from configs.durations import Seconds
from configs.fields import Number, Strict, Whole

_DAY_S = 86_400.0


class Timeouts(Strict):
    """When an invocation is given up, in seconds. The defaults lie above SageMaker's own limits."""

    connect: Annotated[Seconds, Field(gt=0)] = Field(
        default=10.0, description="The longest time to open a connection."
    )
    first_byte: Annotated[Seconds, Field(gt=0)] = Field(
        default=70.0, description="The longest time from the request to the first byte of the answer."
    )
    total: Annotated[Seconds, Field(gt=0)] = Field(
        default=500.0, description="The longest time for a whole request."
    )


class Load(Strict):
    """The steps of the load. A measurement ends after ``measure``, or earlier at ``min_requests``.

    Closed loop: ``concurrency`` users, each of which sends its next request when its last one has ended.
    Open loop: requests arrive at a ``rate``, whether or not earlier ones have ended.
    """

    concurrency: (
        Annotated[tuple[Annotated[Whole, Field(ge=1, le=100_000)], ...], Field(min_length=1)] | None
    ) = Field(
        default=None,
        description="The steps in order, each a number of concurrent users. A user sends its next request "
        "when its last one has ended. Set either `concurrency` or `rate`.",
    )
    rate: Annotated[tuple[Annotated[Number, Field(gt=0, le=10_000)], ...], Field(min_length=1)] | None = (
        Field(
            default=None,
            description="The steps in order, each a rate of arrivals in requests per second. Requests are "
            "sent when they arrive, however many are in flight.",
        )
    )
    arrivals: Arrivals = Field(
        default="poisson",
        description="The arrival process at each `rate`: `poisson`, `constant`, `{gamma: SHAPE}` or "
        "`{weibull: SHAPE}`. A shape below 1 makes bursts, 1 is Poisson.",
    )
    max_in_flight: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        default=1000,
        description="The most requests in flight at a `rate`. A request that arrives when as many are in "
        "flight is withheld and recorded.",
    )
    spawn_rate: Annotated[Number, Field(gt=0, le=1000)] | None = Field(
        default=None, description="Users started per second. By default, it grows with the step."
    )
    warm_up: Annotated[Seconds, Field(le=_DAY_S)] = Field(
        default=30.0, description="The time before the measurement of each step."
    )
    measure: Annotated[Seconds, Field(gt=0, le=_DAY_S)] = Field(
        default=120.0, description="The length of the measurement of each step."
    )
    min_requests: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="End the measurement early once this many of its requests have ended."
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="When a request is given up.")
    seed: Whole = Field(
        default=20240322, description="The seed of the random order of prompts and of the arrivals."
    )

    @model_validator(mode="after")
    def _one_kind_of_steps(self) -> Self:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError(
                "give either concurrency (a list of users) or rate (a list of requests per second)"
            )
        foreign = ("spawn_rate",) if self.rate else ("arrivals", "max_in_flight")
        fields = type(self).model_fields
        if extra := next((key for key in foreign if getattr(self, key) != fields[key].default), None):
            kind = "concurrency" if self.rate else "rate"
            raise ValueError(f"{extra} belongs to {kind}; leave it out")
        return self

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.concurrency or self.rate or ())

    @property
    def most_in_flight(self) -> int:
        """The most requests that can be in flight at a time."""
        return max(self.concurrency) if self.concurrency else self.max_in_flight
