"""The description of one experiment for the load generator. It holds no secret."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from configs.containers import Family, WireSchema, schema_of
from configs.conversation import Conversation, Sticky
from configs.live_facts import LiveFacts
from configs.load import Load
from configs.shape import Piece
from configs.workload import Route, Workload


class Step(BaseModel):
    """One level of load. ``id`` is unique in the run and is the name of its requests in Locust."""

    model_config = ConfigDict(frozen=True)

    id: str
    concurrency: int | None = None
    """Users of a closed loop."""
    rate: float | None = None
    """Arrivals per second of an open loop; None for a trace."""
    speed: float | None = None
    """How fast a trace is replayed."""
    piece: Piece | None = None
    """In a shape, its piece, of which ``rate`` or ``concurrency`` is the mean."""
    continues: bool = False
    """Whether the next step follows without a pause: all pieces of a shape but the last."""
    purpose: Literal["probe", "confirmation"] | None = None
    """What a search plays it for."""

    @property
    def first_users(self) -> int:
        """Users of a closed loop at its start; 0 in an open loop."""
        if self.piece is not None and self.piece.users is not None:
            return self.piece.users.start
        return self.concurrency or 0


class Experiment(BaseModel):
    """One endpoint with one payload and all steps. Written as JSON, read by ``locustfiles``.

    ``payload`` is a JSON-lines file, see `configs.payload.read_payload`.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    run_id: str
    run_folder: Path
    endpoint_name: str
    component: str | None = None
    region: str
    payload: Path
    stream: bool
    request_schema: WireSchema
    route: Route
    parameters: dict[str, Any]
    headers: dict[str, str] = {}
    """Members of the runtime API that are sent as headers, by their API names."""
    running_usage: bool = False
    """Whether the container can count its tokens in every chunk."""
    exact_for: Family | None = None
    """The container whose answers are made exactly as long as asked; None: they may be shorter."""
    unique_prefix: bool
    samples: bool
    mix: dict[str, int] = {}
    """The requests of each part in a full turn of a mix; empty without one. Each row names its part."""
    conversation: Conversation | None = None
    """How the payload's rows become conversations."""
    sticky: Sticky | None = None
    """How each conversation opens a session that keeps it on one instance; None: it opens none."""
    tokenizer: Path | None = None
    """A ``tokenizer.json`` for answers without a token count from the server."""
    steps: tuple[Step, ...]
    load: Load
    trace_bodies: Path | None = None
    """A file of the bodies that the trace replays (`runfolder.replayed_trace.read_bodies`)."""
    live: LiveFacts = LiveFacts()
    """What the live page shows beside the figures."""

    @property
    def order_seed(self) -> str:
        """The seed of the order of prompts and of what is drawn for each of them."""
        return f"{self.run_id}/{self.load.seed}"


def experiment_name(instance_type: str, label: str) -> str:
    """The name of an experiment, unique in a plan: ``ml.g5.xlarge/en_1000-2000``."""
    return f"{instance_type}/{label}"


def load_steps(load: Load, experiment: str) -> tuple[Step, ...]:
    """The steps of an experiment, in order.

    ``c4`` (4 users), ``r0.5`` (arrivals per second), ``r2-20`` (a ramp), ``x2`` (speed). A repeated level
    gets its own id: ``c4#2``.

    Args:
        load: the plan's.
        experiment: its name, which begins every id.
    """
    shape = load.shape or ()
    levels = [
        *(Step(id=f"c{users}", concurrency=users) for users in load.concurrency or ()),
        *(Step(id=f"r{rate:g}", rate=rate) for rate in load.rate or ()),
        *(Step(id=f"x{speed:g}", speed=speed) for speed in (load.trace.speed if load.trace else ())),
        *(_piece_step(piece, last=number == len(shape)) for number, piece in enumerate(shape, 1)),
    ]
    seen: Counter[str] = Counter()
    steps = []
    for level in levels:
        seen[level.id] += 1
        again = f"#{seen[level.id]}" if seen[level.id] > 1 else ""
        steps.append(level.model_copy(update={"id": f"{experiment}/{level.id}{again}"}))
    return tuple(steps)


def _piece_step(piece: Piece, *, last: bool) -> Step:
    ends = piece.users or piece.rates
    assert ends is not None  # noqa: S101 - a piece has one of them
    name = f"{'c' if piece.users else 'r'}{ends.start:g}" + (
        f"-{ends.end:g}" if ends.start != ends.end else ""
    )
    return Step(id=name, concurrency=piece.mean_users, rate=piece.mean_rate, piece=piece, continues=not last)


def wire_schema(workload: Workload, family: Family | None) -> WireSchema:
    """The request schema of a workload; for ``auto``, the schema of the container.

    Args:
        workload: the plan's.
        family: of the container; None if it is not known.
    """
    if workload.request_schema != "auto":
        return workload.request_schema
    return "openai" if workload.route == "openai" else schema_of(family)


def request_parameters(workload: Workload, schema: WireSchema) -> dict[str, Any]:
    """The parameters of every request, with ``max_tokens`` under the schema's name for it."""
    if workload.max_tokens is None:
        return workload.parameters
    return {length_parameter(schema): workload.max_tokens, **workload.parameters}


def length_parameter(schema: WireSchema) -> str:
    """The schema's name for the longest answer in tokens."""
    return "max_new_tokens" if schema in ("tgi", "lmi") else "max_tokens"
