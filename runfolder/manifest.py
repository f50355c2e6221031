"""The manifest of a run: the plan, the endpoints as the API describes them, prices, versions and times."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.errors import UserError
from common.files import write_atomically
from runfolder.layout import MANIFEST

FORMAT = 2
"""2: notices have a kind; 1 had sentences, which are still read."""
RunState = Literal["running", "complete", "interrupted", "failed"]
PriceKind = Literal["plan", "api", "table", "command_line"]
"""The plan, AWS's price list, the price table of this suite, or the command line of `report`."""
NoticeKind = Literal["shortened_rehearsal", "endpoint", "trace", "locust_files", "fmbench_files", "other"]
"""A rehearsal with short windows; an existing endpoint that is not as the plan says; a trace that is not
replayed as it is; a run read from another tool's files; a notice of an older or newer version."""


class Part(BaseModel):
    """Base of the manifest's parts; unknown keys of a later version are kept."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)


class PriceQuote(Part):
    """Dollars per instance-hour with source and date; ``assumption`` marks a price that is not billed."""

    kind: PriceKind | None = None
    """Where the price comes from; None if there is no price, and in manifests before version 0.2."""
    usd_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """None if no price is known. 0 is refused: at that price, every choice costs the same."""
    source: str = ""
    as_of: str | None = None
    assumption: bool = False


class Notice(Part):
    """What a reader of the report must know. Programs decide by ``kind``; ``text`` is shown on every page."""

    kind: NoticeKind
    text: str

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_of_another_version(cls, value: object) -> object:
        return "other" if isinstance(value, str) and value not in get_args(NoticeKind) else value


class TokenScale(Part):
    """The length of a prompt of one language in tokens: overhead + tokens per unit × units."""

    language: str
    counted_by: str
    """``tokenizer``: the plan's; ``endpoint``: its counts of some probes; ``estimate``: neither."""
    overhead_tokens: float
    """Tokens of the chat template, around every prompt."""
    tokens_per_unit: float
    """Per token of the tokenizer, else per word or mark."""
    probes: int = 0
    """Prompts that the endpoint counted before the load."""
    residual: float | None = None
    """The largest |foretold − counted| / counted of the probes."""


class MadePrompts(Part):
    """The prompts that were made for an experiment. The same plan and scales make the same prompts again."""

    lengths: str | None = None
    """As the plan asks for them; None for a file with a template."""
    prompts: int
    """Different prompts; of a replayed trace, its requests."""
    replayed: bool = False
    """Whether they are those of the trace that is replayed, each made when it is sent."""
    prompt_tokens: float | None = None
    """Mean of the lengths that were asked for; None for a file."""
    output_tokens: float | None = None
    """Mean of the answers' lengths that are asked for; None where the plan asks for none."""
    longer_than_asked: int = 0
    """Prompts whose drawn length was raised to the shortest possible one; their rows ask for that length."""
    prefix_groups: int | None = None
    prefix_share: float = 0.0
    """Tokens of shared prefixes / tokens of all prompts. Of a replayed trace, tokens that an earlier prompt
    began with too."""
    scales: list[TokenScale] = []
    probes: int = 0
    """Requests to the endpoint before the load, to have it count their tokens. They have no rows."""
    no_counts: str | None = None
    """Why the endpoint counted no probe; None if it did."""
    exact_output: list[str] = []
    """Parameters that keep an answer from ending early; empty if the container has none."""


class Rival(Part):
    """The best price that the searches before have confirmed for the same payload.

    A search ends early once its instance type cannot beat it.
    """

    experiment: str
    usd_per_request: float
    spent_s: float
    """Load time of its search."""
    must_beat: float
    """Answered requests per second that this instance type must exceed to be cheaper."""


class ExperimentEntry(Part):
    """One instance type × payload: what was deployed, its price and its end state."""

    name: str
    model: str
    instance_type: str
    instance_label: str | None = None
    """A name for the instance if the type alone would mislead (this machine, a rehearsal)."""
    instance_count: Annotated[int, Field(ge=1)] = 1
    payload: str
    payload_file: str
    made_prompts: MadePrompts | None = None
    """How the prompts were made for this run; None if they are those of a file."""
    session_probes: int = 0
    """Requests before the load that checked whether the container opens sessions. They have no rows."""
    steps: list[str] = []
    locust_prefix: str = "locust"
    endpoint_name: str | None = None
    component: str | None = None
    endpoint: dict[str, Any] = {}
    price: PriceQuote = PriceQuote()
    rival: Rival | None = None
    """What its search must beat; None for the first search of a payload, and without prices."""
    create_started_at: float | None = None
    in_service_at: float | None = None
    load_started_at: float | None = None
    load_ended_at: float | None = None
    deleted_at: float | None = None
    cloudwatch: str | None = None
    """Why CloudWatch's metrics are missing or incomplete; None if they are complete or not needed."""
    state: RunState = "running"
    error: str | None = None


class Manifest(Part):
    """The whole run. ``plan`` is the validated plan without secrets; every page shows the ``notices``."""

    format: int = FORMAT
    run_id: str
    plan: dict[str, Any]
    plan_file: str | None = None
    notices: list[Notice] = []
    rehearsal: bool = False
    experiments: list[ExperimentEntry] = []
    started_at: float
    ended_at: float | None = None
    state: RunState = "running"
    error: str | None = None
    versions: dict[str, str] = {}
    host: dict[str, Any] = {}
    calibration: dict[str, Any] | None = None
    seed: int | None = None

    @field_validator("notices", mode="before")
    @classmethod
    def _notices_of_format_1(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"kind": "other", "text": notice} if isinstance(notice, str) else notice for notice in value]

    @field_validator("experiments")
    @classmethod
    def _each_name_once(cls, value: list[ExperimentEntry]) -> list[ExperimentEntry]:
        names = [entry.name for entry in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice} is named twice: its rows would count twice")
        return value

    def save(self, folder: Path) -> None:
        """Write ``manifest.json`` atomically."""
        write_atomically(folder / MANIFEST, self.model_dump_json(indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read a run's manifest.

    Raises:
        FileNotFoundError: the folder has no manifest.
        ValueError: it is damaged, or has a newer format than this code reads.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged (line {error.lineno}: {error.msg})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged (byte {error.start + 1} is not UTF-8)") from None
    except RecursionError:
        raise ValueError(f"{path} is damaged (nested too deeply)") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (not a mapping)")  # noqa: TRY004 - a value's fault, not a type's
    if isinstance(version := content.get("format"), int) and version > FORMAT:
        raise ValueError(f"{path} has format {version}; this version reads up to {FORMAT}: update it")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        finding = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{path}: {'.'.join(map(str, first['loc']))}: {finding}") from None


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a folder that a user names.

    Raises:
        UserError: no such folder, no manifest in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder", "name a folder below your results folder")
    try:
        return read_manifest(folder)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no manifest.json, so it is not a run folder",
            "name one; for the results of other tools, see LOCUST= and FMBENCH= of `make report`",
        ) from None
    except ValueError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{folder / MANIFEST}: cannot be read ({error.strerror or error})") from None
