"""The section `load` of a plan: the steps, their lengths, and the timeouts of a request."""

from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from common.formatting import listed
from configs.arrivals import Arrivals
from configs.durations import Seconds
from configs.dwell import Measure, MeasureUntil, WarmUp, WarmUpUntil
from configs.fields import Number, Strict, Whole
from configs.search import Search
from configs.shape import Shape

_KINDS = ("concurrency", "rate", "trace", "shape", "search")
_OWNERS = {
    "spawn_rate": ("concurrency", "search"),
    "arrivals": ("rate", "shape", "search"),
    "max_in_flight": ("rate", "trace", "shape", "search"),
    "measure": ("concurrency", "rate", "search"),
    "min_requests": ("concurrency", "rate"),
    "confirm": ("search",),
}
"""Keys that only some kinds of load have."""


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


class TraceReplay(Strict):
    """Production traffic to replay: requests arrive when they did, and are as long as they were."""

    file: str = Field(
        description="A trace as CSV or JSON lines, a folder of them, or an S3 URI; see "
        "[docs/traces.md](traces.md)."
    )
    speed: Annotated[tuple[Annotated[Number, Field(gt=0, le=1000)], ...], Field(min_length=1)] = Field(
        default=(1.0,), description="The steps in order: at `2`, the trace is replayed twice as fast."
    )
    limit: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, description="Replay only this much from the start of the trace, in its own time."
    )
    bodies: bool = Field(
        default=False,
        description="Send the bodies that SageMaker's data capture has kept, as they were, in place of "
        "prompts of equal lengths. They are not kept with the run.",
    )
    skip_malformed: bool = Field(
        default=False, description="Leave out lines that cannot be read, instead of refusing the trace."
    )
    sessions: bool = Field(
        default=True,
        description="Replay the requests of one session as the turns of a conversation: each waits for the "
        "answer before it and carries it. With `false`, every request stands alone.",
    )


class TraceSize(NamedTuple):
    """What a replay takes."""

    requests: int
    seconds: float
    """At the trace's own speed."""


class Load(Strict):
    """The steps of the load. A measurement ends after ``measure``, or earlier at ``min_requests``.

    Closed loop: ``concurrency`` users, each of which sends its next request when its last one has ended.
    Open loop: requests arrive at a ``rate``, or as in a ``trace``, whether or not earlier ones have ended.
    A ``search`` chooses its own steps.
    """

    concurrency: (
        Annotated[tuple[Annotated[Whole, Field(ge=1, le=100_000)], ...], Field(min_length=1)] | None
    ) = Field(
        default=None,
        description="The steps in order, each a number of concurrent users. A user sends its next request "
        "when its last one has ended. Set `concurrency`, `rate`, or both, one after the other.",
    )
    rate: Annotated[tuple[Annotated[Number, Field(gt=0, le=10_000)], ...], Field(min_length=1)] | None = (
        Field(
            default=None,
            description="The steps in order, each a rate of arrivals in requests per second. Requests are "
            "sent when they arrive, however many are in flight.",
        )
    )
    trace: TraceReplay | None = Field(
        default=None, description="Production traffic to replay, in place of `rate`."
    )
    shape: Shape | None = Field(
        default=None,
        description="Pieces of load that follow each other without a pause, such as a ramp, a spike or a "
        "soak, in place of the steps. Each piece is measured from its start to its end.",
    )
    search: Search | None = Field(
        default=None,
        description="Find the highest load that meets the `slo`, in place of a list of steps; see "
        "[docs/search.md](search.md).",
    )
    confirm: bool = Field(
        default=True,
        description="Play the load that a search over `concurrency` recommends again, as `arrivals` at the "
        "rate it implies.",
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
    warm_up: WarmUp = Field(
        default=30.0,
        description="The time before the measurement of each step, or `{until: steady}`.",
    )
    measure: Measure = Field(
        default=120.0,
        description="The length of the measurement of each step; in a search, the longest measurement of a "
        "level. Or a mapping such as `{until: 5%, of: e2e_p95, at_most: 10m}`; see "
        "[docs/dwell.md](dwell.md).",
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
        kinds = {kind for kind in _KINDS if getattr(self, kind) is not None}
        if not kinds or (len(kinds) > 1 and kinds != {"concurrency", "rate"}):
            raise ValueError(
                "give concurrency (a list of users), rate (a list of requests per second) or both, a trace, "
                "a shape, or a search"
            )
        if len({piece.rate is None for piece in self.shape or ()}) > 1:
            raise ValueError("give all pieces of a shape a rate, or all of them a concurrency")
        fields = type(self).model_fields
        for key, owners in _OWNERS.items():
            if kinds.isdisjoint(owners) and getattr(self, key) != fields[key].default:
                raise ValueError(f"{key} belongs to {listed(list(owners))}; leave it out")
        self._check_adaptive(kinds)
        return self

    def _check_adaptive(self, kinds: set[str]) -> None:
        if self.measure_until is not None and "search" in kinds:
            raise ValueError(
                "a search decides by itself how long it measures; give measure the longest time as a duration"
            )
        if self.measure_until is not None and self.min_requests is not None:
            raise ValueError("min_requests belongs to a measure of a fixed length; leave it out")
        if self.warm_up_until is not None and not kinds.isdisjoint(("trace", "shape")):
            raise ValueError(
                "a trace or a shape needs a fixed warm_up, because its arrivals are planned ahead"
            )

    @property
    def measure_until(self) -> MeasureUntil | None:
        """What ends a measurement; None where it has a fixed length."""
        return self.measure if isinstance(self.measure, MeasureUntil) else None

    @property
    def warm_up_until(self) -> WarmUpUntil | None:
        """What ends a warm-up; None where it has a fixed length."""
        return self.warm_up if isinstance(self.warm_up, WarmUpUntil) else None

    @property
    def measure_s(self) -> float:
        """The longest measurement of a step, in seconds."""
        return self.measure.at_most if isinstance(self.measure, MeasureUntil) else self.measure

    @property
    def warm_up_s(self) -> float:
        """The longest warm-up of a step, in seconds."""
        return self.warm_up.at_most if isinstance(self.warm_up, WarmUpUntil) else self.warm_up

    @property
    def least_measure_s(self) -> float:
        """The shortest measurement of a step that no request count ends, in seconds."""
        return self.measure.floor_s(None) if isinstance(self.measure, MeasureUntil) else self.measure

    @property
    def least_warm_up_s(self) -> float:
        """The shortest warm-up of a step, in seconds."""
        return self.warm_up.floor_s if isinstance(self.warm_up, WarmUpUntil) else self.warm_up

    @property
    def open_loop(self) -> bool:
        """Whether requests arrive by themselves in any step."""
        if self.search is not None:
            return self.search.over == "rate" or self.confirm
        return self.rate is not None or self.trace is not None or self._shape_of_rates

    @property
    def _users_of_pieces(self) -> list[int]:
        ramps = [piece.users for piece in self.shape or () if piece.users is not None]
        return [max(ramp.start, ramp.end) for ramp in ramps]

    @property
    def _shape_of_rates(self) -> bool:
        return any(piece.rate is not None for piece in self.shape or ())

    @property
    def most_in_flight(self) -> int:
        """The most requests that can be in flight at a time."""
        users = [*(self.concurrency or ()), *self._users_of_pieces]
        if self.search is not None and self.search.over == "concurrency":
            users.append(int(self.search.high))
        return max(*users, self.max_in_flight if self.open_loop else 0, 0)
