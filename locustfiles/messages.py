"""Messages between master and workers: their names and fields.

Locust's own ``spawn`` message carries the number of users but not the step, and is never acknowledged.
Therefore: ``hello`` → ``assignment`` → ``ready``; per step ``step`` → ``step_ack`` and ``window``, and in an
open loop ``arrivals`` again and again; ``report`` → ``report_ack`` twice a second; at the end ``finish`` →
last ``report``, Locust's own last statistics → ``finished``. Rows of a process that was killed come from
another process of its host: ``recovered`` → ``recovered_ack``.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from common.code_version import code_version
from common.errors import UserError
from configs.containers import Family, WireSchema
from configs.conversation import Conversation, Sticky
from configs.experiment import Experiment
from configs.load import Timeouts
from configs.payload import PayloadRow
from configs.workload import Route
from locustfiles.client.invocation_url import InvocationTarget
from locustfiles.message_seal import MessageError
from runfolder.records import Request

HELLO = "llm_hello"
ASSIGNMENT = "llm_assignment"
READY = "llm_ready"
STEP = "llm_step"
STEP_ACK = "llm_step_ack"
WINDOW = "llm_window"
ARRIVALS = "llm_arrivals"
REPORT = "llm_report"
REPORT_ACK = "llm_report_ack"
RECOVERED = "llm_recovered"
RECOVERED_ACK = "llm_recovered_ack"
FINISH = "llm_finish"
FINISHED = "llm_finished"
NAME = "llm_name"
"""In plain Locust: a name of invocations, and the endpoint that they go to."""

MOST_ASSIGNMENT_BYTES = 1_000_000_000
"""An assignment holds all prompts of an experiment: 1,000 of 4,000 tokens are 18 MB."""

REQUEST_TYPE = "POST"
"""Type of the invocations in Locust's statistics; their name is the step."""

Ending = Literal["drain", "abort"]
"""How requests in flight end: normally, or at once as censored rows."""


class MeasureWindow(NamedTuple):
    """A measure window in epoch seconds; ``end`` is infinite while it is open."""

    start: float
    end: float


class Arrival(NamedTuple):
    """One arrival of an open loop."""

    number: int
    """Counts the experiment's arrivals from 1."""
    at: float
    """Epoch seconds."""
    prompt_tokens: int | None = None
    """Length of its prompt; None: as the payload has it."""
    output_tokens: int | None = None
    """Length of its answer; None: as the plan has it."""
    session: int | None = None
    """Number of its conversation, which is the number of the arrival of its first turn; None without one."""
    turn: int | None = None
    """Number of its turn, from 1; None without a conversation."""
    turns: int | None = None
    """The turns of its conversation."""
    body: bytes | None = None
    """What to send, where a captured body is replayed."""
    place: int = 0
    """Place of its request in the trace, from 1."""
    blocks: tuple[int, ...] = ()
    """Names of the blocks of text that its prompt begins with, which begin other prompts too."""
    block_tokens: int = 0
    """Length of each of them."""


class Assignment(BaseModel):
    """Everything that a worker needs except secrets: workers have their own AWS credentials."""

    model_config = ConfigDict(frozen=True)

    version: str
    """The master's `code_version`."""
    run_id: str
    experiment: str
    seed: int
    target: dict[str, Any]
    payload: list[PayloadRow]
    stream: bool
    request_schema: WireSchema
    route: Route
    parameters: dict[str, Any]
    running_usage: bool
    exact_for: Family | None
    """The container whose answers are made exactly as long as asked; None: they may be shorter."""
    unique_prefix: bool
    samples: bool
    inference_prefix: str | None
    """Begins the ``InferenceId`` of every request; None: requests have none of their own."""
    mix: dict[str, int]
    """The requests of each part in a full turn of a mix; empty without one."""
    conversation: Conversation | None
    sticky: Sticky | None
    timeouts: Timeouts
    tokenizer: str | None
    """Content of a ``tokenizer.json``."""


def make_assignment(experiment: Experiment, target: InvocationTarget, rows: list[PayloadRow]) -> Assignment:
    """The assignment for an experiment's workers.

    Raises:
        UserError: the tokenizer cannot be read.
    """
    return Assignment(
        version=code_version(),
        run_id=experiment.run_id,
        experiment=experiment.name,
        seed=experiment.load.seed,
        target=target.as_message(),
        payload=rows,
        stream=experiment.stream,
        request_schema=experiment.request_schema,
        route=experiment.route,
        parameters=experiment.parameters,
        running_usage=experiment.running_usage,
        exact_for=experiment.exact_for,
        unique_prefix=experiment.unique_prefix,
        samples=experiment.samples,
        inference_prefix=_inference_prefix(experiment),
        mix=experiment.mix,
        conversation=experiment.conversation,
        sticky=experiment.sticky,
        timeouts=experiment.load.timeouts,
        tokenizer=_read_tokenizer(experiment.tokenizer),
    )


def _inference_prefix(experiment: Experiment) -> str | None:
    """A short text for the run and the experiment: an ``InferenceId`` has at most 64 characters."""
    if experiment.route == "openai" or "InferenceId" in experiment.headers:
        return None
    name = f"{experiment.run_id}/{experiment.name}"
    return hashlib.blake2b(name.encode(), digest_size=6).hexdigest()


def _read_tokenizer(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the tokenizer {path} cannot be read ({error})", "check model.tokenizer") from None


Name = Annotated[str, StringConstraints(max_length=200)]
_FINITE = ConfigDict(allow_inf_nan=False, str_max_length=5_000)
_ROW = tuple.__class_getitem__(tuple(field.type for field in fields(Request)))


@dataclass(slots=True)
class HelloMessage:
    """A worker asks for an assignment."""

    client_id: Name
    worker: Name
    host: Name


@dataclass(slots=True)
class ReadyMessage:
    """A worker's answer to its assignment."""

    client_id: Name
    error: str | None
    """Why the worker cannot take part; None if it can."""
    proxy: Name | None
    """The proxy through which the worker reaches the endpoint."""

    __pydantic_config__: ClassVar[ConfigDict] = _FINITE


@dataclass(slots=True)
class StepAckMessage:
    """A worker's answer to a step, with its clock."""

    client_id: Name
    step: Name
    sent_at: float
    worker_time: float

    __pydantic_config__: ClassVar[ConfigDict] = _FINITE


@dataclass(slots=True)
class FinishedMessage:
    """A worker has sent everything."""

    client_id: Name


@dataclass(slots=True)
class Counts:
    """Requests of one step on one worker since the start of the run."""

    started: int = 0
    ok: int = 0
    failed: int = 0
    censored: int = 0
    withheld: int = 0

    @property
    def ended(self) -> int:
        """Requests that have ended, or were never sent, and have a row."""
        return self.ok + self.failed + self.censored + self.withheld


@dataclass(slots=True)
class WorkerHealth:
    """Health of one worker over one interval. Lags are None if nothing was sampled."""

    cpu_percent: float
    memory_mb: float
    lag_p50_ms: float | None
    lag_p99_ms: float | None
    clock_lag_p50_ms: float | None
    clock_lag_p99_ms: float | None
    clock_step_ms: float
    """Change of the wall clock against the monotonic one: more than slewing means that it was set."""
    rtt_ms: float | None = None
    """As in `runfolder.records.WorkerReport`."""


@dataclass(slots=True)
class ReportMessage:
    """One report of one worker. Times are in the worker's clock; the master corrects them."""

    worker: Name
    client_id: Name
    number: int
    """Counts this worker's reports from 1."""
    host: Name
    sent_at: float
    step: Name | None
    users: Annotated[int, Field(ge=0)]
    in_flight: Annotated[int, Field(ge=0)]
    oldest_start: float | None
    first_row: Annotated[int, Field(ge=1)]
    """Number of the first row; the worker counts its rows from 1."""
    rows: list[_ROW]  # type: ignore[valid-type]  # made from the fields of `Request`
    gaps: list[tuple[Name, int, int]]
    """(step, index of the bucket, count)."""
    samples: list[dict[str, str | int | None]]
    counts: dict[Name, tuple[int, int, int, int, int]]
    """Step → (started, ok, failed, censored, withheld) since the start."""
    health: WorkerHealth | None

    __pydantic_config__: ClassVar[ConfigDict] = _FINITE

    def __post_init__(self) -> None:
        """Convert ``health`` from a dict: in a local run the message is not validated."""
        health: Any = self.health
        if isinstance(health, dict):
            self.health = WorkerHealth(**health)


@dataclass(slots=True)
class RecoveredMessage:
    """Rows of a process that was killed, from its spool. Times are in that process's clock."""

    client_id: Name
    """Who sends them."""
    killed: Name
    """Client id of the process that measured them."""
    worker: Name
    """Its name."""
    number: int
    """Counts the sender's messages from 1."""
    offset: float
    """Seconds by which its clock was ahead of the master's, where the master does not know better."""
    rows: list[tuple[int, int, _ROW]]  # type: ignore[valid-type]
    """(number of the row, requests of its step that were started by then, row)."""

    __pydantic_config__: ClassVar[ConfigDict] = _FINITE


_KINDS: dict[str, type] = {
    HELLO: HelloMessage,
    READY: ReadyMessage,
    STEP_ACK: StepAckMessage,
    REPORT: ReportMessage,
    RECOVERED: RecoveredMessage,
    FINISHED: FinishedMessage,
}
_SHAPES: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(shape) for kind, shape in _KINDS.items()}


def read_message(kind: str, content: Any, *, trusted: bool = False) -> Any:
    """A worker's message as the dataclass of its kind; one from this process (``trusted``) is not checked.

    Raises:
        MessageError: its fields are not those of its kind.
    """
    if trusted:
        return _KINDS[kind](**content)
    try:
        return _SHAPES[kind].validate_python(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][:3])
        raise MessageError(f"{kind} with invalid fields ({place}: {first['msg'][:80]})") from None
