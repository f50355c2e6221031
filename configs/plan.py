"""The plan: one benchmark as a person writes it. See ``configs/local.yml`` for a short one."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.durations import Seconds
from configs.fields import VARIABLE, EndpointName, Name, Number, OneOrMore, Region, Strict, Whole, as_tuple
from configs.slo import Slo

Source = Literal["jumpstart", "huggingface", "image", "local", "endpoint"]
RequestSchema = Literal["auto", "tgi", "openai", "lmi", "completions", "embeddings", "raw"]
Route = Literal["invocations", "openai"]

MAX_TOKENS_KEYS = frozenset({"max_new_tokens", "max_tokens", "max_completion_tokens", "n_predict"})
"""How the containers call the longest answer."""
_DAY_S = 86_400.0
_ROWS = "write it into the rows of the payload"
_WRITTEN = {
    "messages": 'give rows of {"messages": […]} in the payload, with workload.schema: openai',
    "prompt": _ROWS,
    "inputs": _ROWS,
    "input": f"{_ROWS}, with workload.schema: embeddings where it is to be embedded",
    "body": 'give rows of {"body": …} in the payload, with workload.schema: raw',
    "stream": "set workload.stream",
}
"""Keys of a request that the suite itself writes, and what to set instead."""
_SEVERAL_ANSWERS = ("n", "num_return_sequences")


class Model(Strict):
    """What is served, and from where it comes. ``endpoint``: what an existing endpoint serves."""

    name: str = ""
    source: Source
    id: str | None = None
    version: str | None = None
    image: str | None = None
    model_data: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    accept_eula: bool = False
    hub_token_env: str | None = None
    hub_token_secret: str | None = None
    context_length: Annotated[Whole, Field(gt=0)] | None = None
    tokenizer: str | None = None
    """A ``tokenizer.json`` of this model, for answers whose server gives no count."""

    @field_validator("env", mode="before")
    @classmethod
    def _env_is_text(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        for key, text in value.items():
            if not VARIABLE.fullmatch(str(key)):
                raise ValueError(
                    f"{key!r} cannot be a variable's name: use letters, digits and _, a digit not first"
                )
            if text is None:
                raise ValueError(f'the variable {key} has no value: give it one ("" for an empty one)')
            if isinstance(text, dict | list):
                raise ValueError(f"the variable {key} is a text: put JSON in single quotes")  # noqa: TRY004
        return {str(key): _as_text(text) for key, text in value.items()}

    @field_validator("hub_token_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not VARIABLE.fullmatch(value):
            raise ValueError("name the environment variable, without $ and without its value")
        return value

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        if not self.name and self.source != "endpoint":
            raise ValueError("model.name is needed: what the report calls the model")
        if self.source in ("jumpstart", "huggingface") and not self.id:
            raise ValueError(f"model.id is needed when model.source is {self.source}")
        if self.source == "image" and not self.image:
            raise ValueError("model.image is needed when model.source is image")
        return self


def _as_text(value: object) -> str:
    """A variable's value as YAML has it: ``true``, not Python's ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Component(Strict):
    """An inference component: copies of a model, the plan's own unless it names one, on a shared endpoint."""

    name: Name
    model: Model | None = None
    copies: Annotated[Whole, Field(ge=1)] = 1
    accelerators: Annotated[Number, Field(ge=1)] | None = None
    cpus: Annotated[Number, Field(ge=0.25)] | None = None
    memory_mb: Annotated[Whole, Field(ge=128)] = 1024


class Endpoint(Strict):
    """Where it is served. With ``name`` an existing endpoint is used and never changed or deleted."""

    instance_type: OneOrMore = ("ml.g5.xlarge",)
    instance_count: Annotated[Whole, Field(ge=1)] = 1
    name: EndpointName | None = None
    target_variant: EndpointName | None = None
    """The production variant that every request goes to; None: SageMaker splits them by weight."""
    role: str | None = None
    scheduler_role: str | None = None
    region: Region | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    startup_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = None
    download_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = None
    inference_ami: str | None = None
    volume_gb: Annotated[Whole, Field(ge=1, le=512)] | None = None
    max_lifetime: Annotated[Seconds, Field(gt=0)] = 4 * 3600.0
    components: tuple[Component, ...] = ()

    _listify = field_validator("instance_type", mode="before")(as_tuple)

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
    parameters: dict[str, Any] = Field(default_factory=dict)
    max_tokens: Annotated[Whole, Field(ge=1)] | None = None
    """Longest answer; sent as ``max_tokens`` or ``max_new_tokens``, as the request schema calls it."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Members of the runtime API's InvokeEndpoint that are sent as headers, such as CustomAttributes."""
    unique_prefix: bool = True
    samples: bool = True

    _listify = field_validator("payload", mode="before")(as_tuple)

    @field_validator("parameters")
    @classmethod
    def _leave_what_the_suite_writes(cls, value: dict[str, Any]) -> dict[str, Any]:
        if key := next((key for key in value if key in _WRITTEN), None):
            raise ValueError(f"the suite itself writes {key}; {_WRITTEN[key]}")
        for key in _SEVERAL_ANSWERS:
            if value.get(key) not in (None, 1):
                raise ValueError(
                    f"{key} asks for several answers, and a request is measured by one; leave it out"
                )
        return value

    @model_validator(mode="after")
    def _schema_fits(self) -> Self:
        schema = self.request_schema
        if self.route == "openai" and schema not in ("auto", "openai"):
            raise ValueError(
                f"the openai route serves chat alone; for schema {schema} set route: invocations"
            )
        if self.route == "openai" and self.headers:
            raise ValueError("headers belong to InvokeEndpoint; set route: invocations, or leave them out")
        if schema == "embeddings" and self.stream:
            raise ValueError("embeddings are not streamed; set stream: false")
        if schema == "raw" and (self.parameters or self.max_tokens):
            raise ValueError(
                "a raw body is sent as it is; write parameters and max_tokens into each row's body"
            )
        if schema == "embeddings" and self.max_tokens:
            raise ValueError("embeddings have no tokens to limit; leave max_tokens out")
        return self


class Timeouts(Strict):
    """Seconds after which an invocation is given up; the defaults lie above SageMaker's own limits."""

    connect: Annotated[Seconds, Field(gt=0)] = 10.0
    first_byte: Annotated[Seconds, Field(gt=0)] = 70.0
    total: Annotated[Seconds, Field(gt=0)] = 500.0


class Load(Strict):
    """How the load is stepped. A window closes after ``measure``, or earlier at ``min_requests``."""

    concurrency: Annotated[tuple[Annotated[Whole, Field(ge=1, le=100_000)], ...], Field(min_length=1)]
    spawn_rate: Annotated[Number, Field(gt=0, le=1000)] | None = None
    warm_up: Annotated[Seconds, Field(le=_DAY_S)] = 30.0
    measure: Annotated[Seconds, Field(gt=0, le=_DAY_S)] = 120.0
    min_requests: Annotated[Whole, Field(ge=1)] | None = None
    timeouts: Timeouts = Timeouts()
    seed: Whole = 20240322


class Budget(Strict):
    """What the run may cost."""

    max_spend_usd: Annotated[Number, Field(gt=0)] | None = None


class Price(Strict):
    """A price set by hand, for all instance types or by type, and where it comes from."""

    usd_per_hour: Annotated[Number, Field(gt=0)] | dict[str, Annotated[Number, Field(gt=0)]] | None = None
    source: str = "set in the plan"
    discount: Annotated[Number, Field(gt=0, le=1)] = 1.0


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

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        longest_s = self.load.timeouts.total
        for objective in self.slo.objectives:
            if objective.limit_ms > longest_s * 1000:
                seconds = objective.limit_ms / 1000
                raise ValueError(
                    f"slo.{objective.key}: {seconds:g} s is beyond load.timeouts.total ({longest_s:g} s), so "
                    f"it could not be missed; for milliseconds write {seconds:g}ms"
                )
        if self.model.source == "endpoint" and not self.endpoint.name:
            raise ValueError(
                "model.source endpoint is what an existing endpoint serves; name it in endpoint.name"
            )
        if self.workload.max_tokens and (twice := MAX_TOKENS_KEYS & set(self.workload.parameters)):
            raise ValueError(
                f"workload.max_tokens and workload.parameters.{min(twice)} say the same; keep one of them"
            )
        return self

    @property
    def models(self) -> tuple[Model, ...]:
        """Its own model, and those that its inference components have for themselves."""
        return (self.model, *(part.model for part in self.endpoint.components if part.model))

    @property
    def token_variables(self) -> frozenset[str]:
        """Environment variables that hold a gated model's token: for nobody but the deploy."""
        return frozenset(model.hub_token_env for model in self.models if model.hub_token_env)
