"""The plan: one benchmark as a person writes it. See ``configs/local.yml`` for a short one."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from configs.durations import Seconds, parse_seconds

Source = Literal["jumpstart", "huggingface", "image", "local"]
RequestSchema = Literal["auto", "tgi", "openai", "lmi"]
Route = Literal["invocations", "openai"]

SLO_KEY = re.compile(r"^(ttft|tpot|e2e)_(mean|p50|p90|p95|p99)$")
_NAME = re.compile(r"^[a-zA-Z0-9](?:[-_.]?[a-zA-Z0-9])*$")


def _check_name(value: str) -> str:
    if not _NAME.match(value) or len(value) > 40:
        raise ValueError("use up to 40 letters, digits and single - _ . between them")
    return value


Name = Annotated[str, AfterValidator(_check_name)]
OneOrMore = Annotated[tuple[str, ...], Field(min_length=1)]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Strict(BaseModel):
    """Base of the plan's parts: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Strict):
    """What is served, and from where it comes."""

    name: str
    source: Source
    id: str | None = None
    version: str | None = None
    image: str | None = None
    model_data: str | None = None
    env: dict[str, str] = {}
    accept_eula: bool = False
    hub_token_env: str | None = None
    hub_token_secret: str | None = None
    context_length: Annotated[int, Field(gt=0)] | None = None
    tokenizer: str | None = None
    """A ``tokenizer.json`` of this model, for answers whose server gives no count."""

    @field_validator("env", mode="before")
    @classmethod
    def _env_is_text(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if empty := next((key for key, text in value.items() if text is None), None):
            raise ValueError(f'the variable {empty} has no value: give it one ("" for an empty one)')
        return {key: str(text) for key, text in value.items()}

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        if self.source in ("jumpstart", "huggingface") and not self.id:
            raise ValueError(f"model.id is needed when model.source is {self.source}")
        if self.source == "image" and not self.image:
            raise ValueError("model.image is needed when model.source is image")
        return self


class Component(Strict):
    """An inference component: copies of a model, the plan's own unless it names one, on a shared endpoint."""

    name: Name
    model: Model | None = None
    copies: Annotated[int, Field(ge=1)] = 1
    accelerators: Annotated[float, Field(ge=1)] | None = None
    cpus: Annotated[float, Field(ge=0.25)] | None = None
    memory_mb: Annotated[int, Field(ge=128)] = 1024


class Endpoint(Strict):
    """Where it is served. With ``name`` an existing endpoint is used and never changed or deleted."""

    instance_type: OneOrMore = ("ml.g5.xlarge",)
    instance_count: Annotated[int, Field(ge=1)] = 1
    name: str | None = None
    role: str | None = None
    scheduler_role: str | None = None
    region: str | None = None
    tags: dict[str, str] = {}
    startup_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = None
    download_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = None
    inference_ami: str | None = None
    volume_gb: Annotated[int, Field(ge=1, le=512)] | None = None
    max_lifetime: Seconds = 4 * 3600.0
    components: tuple[Component, ...] = ()

    _listify = field_validator("instance_type", mode="before")(_as_tuple)

    @field_validator("instance_type")
    @classmethod
    def _each_type_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((kind for kind in value if value.count(kind) > 1), None):
            raise ValueError(f"{twice} is named twice: name each type once")
        return value


class Workload(Strict):
    """What is sent: the prompts and the parameters of the answer."""

    payload: OneOrMore
    stream: bool = True
    request_schema: RequestSchema = Field(default="auto", alias="schema")
    route: Route = "invocations"
    parameters: dict[str, Any] = {}
    unique_prefix: bool = True
    samples: bool = True

    _listify = field_validator("payload", mode="before")(_as_tuple)


class Timeouts(Strict):
    """Seconds after which an invocation is given up; the defaults lie above SageMaker's own limits."""

    connect: Seconds = 10.0
    first_byte: Seconds = 70.0
    total: Seconds = 500.0


class Load(Strict):
    """How the load is stepped. A window closes after ``measure``, or earlier at ``min_requests``."""

    shape: Literal["steps"] = "steps"
    concurrency: Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1)]
    spawn_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    warm_up: Seconds = 30.0
    measure: Annotated[Seconds, Field(gt=0)] = 120.0
    min_requests: Annotated[int, Field(ge=1)] | None = None
    timeouts: Timeouts = Timeouts()
    seed: int = 20240322


class Objective(Strict):
    """One service level objective: a statistic of a latency metric and its limit in milliseconds."""

    metric: Literal["ttft", "tpot", "e2e"]
    statistic: Literal["mean", "p50", "p90", "p95", "p99"]
    limit_ms: float

    @property
    def key(self) -> str:
        """The objective as the plan spells it, for example ``ttft_p95``."""
        return f"{self.metric}_{self.statistic}"


class Slo(Strict):
    """Service level objectives: latency limits such as ``ttft_p95: 1s``, and the share of errors allowed.

    Without ``error_rate`` errors are told and only a step with many of them is not recommended.
    """

    objectives: tuple[Objective, ...] = ()
    error_rate: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_keys(cls, value: object) -> object:
        if not isinstance(value, dict) or "objectives" in value:
            return value
        objectives = []
        rest = {}
        for key, limit in value.items():
            if match := SLO_KEY.match(str(key)):
                objectives.append(
                    {"metric": match[1], "statistic": match[2], "limit_ms": parse_seconds(limit) * 1000}
                )
            elif key == "error_rate":
                rest[key] = limit
            else:
                raise ValueError(
                    f"slo.{key} is not known: write ttft_, tpot_ or e2e_ with mean, p50, p90, p95 or p99 "
                    "(for example ttft_p95: 1s), or error_rate"
                )
        return {"objectives": objectives, **rest}


class Budget(Strict):
    """What the run may cost."""

    max_spend_usd: Annotated[float, Field(gt=0)] | None = None


class Price(Strict):
    """A price set by hand, for all instance types or by type, and where it comes from."""

    usd_per_hour: Annotated[float, Field(ge=0)] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    source: str = "set in the plan"
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0


class Plan(Strict):
    """One benchmark: every instance type × payload is an experiment, every concurrency a step of each."""

    name: Name
    model: Model
    endpoint: Endpoint = Endpoint()
    workload: Workload
    load: Load
    slo: Slo = Slo()
    budget: Budget = Budget()
    price: Price = Price()

    @property
    def models(self) -> tuple[Model, ...]:
        """Its own model, and those that its inference components have for themselves."""
        return (self.model, *(part.model for part in self.endpoint.components if part.model))

    @property
    def token_variables(self) -> frozenset[str]:
        """Environment variables that hold a gated model's token: for nobody but the deploy."""
        return frozenset(model.hub_token_env for model in self.models if model.hub_token_env)
