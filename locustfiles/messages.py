"""What master and workers say to each other: names of the custom messages, and what a worker is told.

Locust's own ``spawn`` message says how many users, never which step; nothing in it is acknowledged. So:
``hello`` → ``assignment`` → ``ready``; then per step ``step`` → ``step_ack`` and ``window``; ``report`` twice
a second; at the end ``finish`` → last ``report``, Locust's own last statistics → ``finished``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from configs.containers import WireSchema
from configs.errors import UserError
from configs.experiment import Experiment
from configs.payload import PayloadRow
from configs.plan import Route, Timeouts
from locustfiles.target import Target

HELLO = "llm_hello"
ASSIGNMENT = "llm_assignment"
READY = "llm_ready"
STEP = "llm_step"
STEP_ACK = "llm_step_ack"
WINDOW = "llm_window"
REPORT = "llm_report"
FINISH = "llm_finish"
FINISHED = "llm_finished"

Ending = Literal["drain", "abort"]
"""How requests in flight end: by themselves, or at once as censored rows."""


class Assignment(BaseModel):
    """Everything that a worker needs and no secret: workers have their own AWS credentials."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    seed: int
    target: dict[str, Any]
    payload: list[PayloadRow]
    stream: bool
    request_schema: WireSchema
    route: Route
    parameters: dict[str, Any]
    running_usage: bool
    unique_prefix: bool
    samples: bool
    timeouts: Timeouts
    tokenizer: str | None
    """Content of a ``tokenizer.json``."""


def make_assignment(experiment: Experiment, target: Target, rows: list[PayloadRow]) -> Assignment:
    """What the workers are told about ``experiment``.

    Raises:
        UserError: its tokenizer cannot be read.
    """
    return Assignment(
        run_id=experiment.run_id,
        seed=experiment.load.seed,
        target=target.as_message(),
        payload=rows,
        stream=experiment.stream,
        request_schema=experiment.request_schema,
        route=experiment.route,
        parameters=experiment.parameters,
        running_usage=experiment.running_usage,
        unique_prefix=experiment.unique_prefix,
        samples=experiment.samples,
        timeouts=experiment.load.timeouts,
        tokenizer=_read_tokenizer(experiment.tokenizer),
    )


def _read_tokenizer(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the tokenizer cannot be read ({error})") from None


@dataclass(slots=True)
class Report:
    """One report of one worker. Times are in the worker's clock; the master knows the offset."""

    worker: str
    client_id: str
    number: int
    """1 for the first report of this worker, one more for each."""
    host: str
    sent_at: float
    step: str | None
    users: int
    in_flight: int
    oldest_start: float | None
    rows: list[Any]
    gaps: list[Any]
    samples: list[Any]
    counts: dict[str, Any]
    """Step → (started, ok, failed, censored) since the start."""
    health: dict[str, Any] | None
