"""The section `load` of a plan: the steps, their lengths, and the timeouts of a request."""

from typing import Annotated

from pydantic import Field

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
    """The steps of the load. A measurement ends after ``measure``, or earlier at ``min_requests``."""

    concurrency: Annotated[tuple[Annotated[Whole, Field(ge=1, le=100_000)], ...], Field(min_length=1)] = (
        Field(description="The steps in order, each a number of concurrent users.")
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
    seed: Whole = Field(default=20240322, description="The seed of the random order of prompts.")
