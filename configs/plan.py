"""The plan: one benchmark as a user writes it. ``configs/local.yml`` is a short example."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.durations import Seconds
from configs.fields import (
    VARIABLE,
    EndpointName,
    Environment,
    Name,
    Number,
    OneOrMore,
    Region,
    Strict,
    Whole,
    as_tuple,
)
from configs.load import Load
from configs.slo import Objective, Slo
from configs.workload import MAX_TOKENS_KEYS, Workload

Source = Literal["jumpstart", "huggingface", "image", "local", "endpoint"]


class Model(Strict):
    """The model and its source. With the source ``endpoint``, the model of an existing endpoint."""

    name: str = Field(
        default="", description="What the report calls the model. Required, except for the source `endpoint`."
    )
    source: Source = Field(
        description="Where the model comes from: SageMaker JumpStart, Hugging Face, an image of your own, "
        "this machine (`local`), or the existing endpoint in `endpoint.name` (`endpoint`)."
    )
    id: str | None = Field(
        default=None,
        description="The JumpStart or Hugging Face model id. A Hugging Face model is served by vLLM unless "
        "`image` names another container.",
    )
    version: str | None = Field(
        default=None, description="The version of the JumpStart model, such as `3.*`."
    )
    image: str | None = Field(
        default=None, description="The container: `vllm`, `sglang`, `lmi`, `tgi` or a full image URI."
    )
    model_data: str | None = Field(
        default=None,
        description="The S3 URI of the model's files: a gzip archive, or a prefix that ends in `/`. By "
        "default, JumpStart's value.",
    )
    env: Environment = Field(default_factory=dict, description="Environment variables of the container.")
    accept_eula: bool = Field(default=False, description="Accept the model's end-user license agreement.")
    hub_token_env: str | None = Field(
        default=None,
        description="The environment variable that holds a gated model's token; never the token itself.",
    )
    hub_token_secret: str | None = Field(
        default=None, description="The secret in AWS Secrets Manager that holds a gated model's token."
    )
    context_length: Annotated[Whole, Field(gt=0)] | None = Field(
        default=None,
        description="The model's context length in tokens. Prompts are checked against it before the "
        "deployment.",
    )
    tokenizer: str | None = Field(
        default=None,
        description="A `tokenizer.json` of this model, for answers without a token count from the server.",
    )

    @field_validator("hub_token_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not VARIABLE.fullmatch(value):
            raise ValueError("name the environment variable, without $ and without its value")
        return value

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        if not self.name and self.source != "endpoint":
            raise ValueError("model.name is needed: the report calls the model by it")
        if self.source in ("jumpstart", "huggingface") and not self.id:
            raise ValueError(f"model.id is needed when model.source is {self.source}")
        if self.source == "image" and not self.image:
            raise ValueError("model.image is needed when model.source is image")
        return self


class Component(Strict):
    """An inference component: copies of a model on a shared endpoint."""

    name: Name = Field(
        description="The name of the inference component. A run that creates the endpoint puts the "
        "endpoint's name before it; for an existing endpoint, give the full name."
    )
    model: Model | None = Field(
        default=None, description="The component's model; the default is the plan's own model."
    )
    copies: Annotated[Whole, Field(ge=1)] = Field(default=1, description="The number of copies.")
    accelerators: Annotated[Number, Field(ge=1)] | None = Field(
        default=None, description="Accelerators for each copy."
    )
    cpus: Annotated[Number, Field(ge=0.25)] | None = Field(default=None, description="vCPUs for each copy.")
    memory_mb: Annotated[Whole, Field(ge=128)] = Field(
        default=1024, description="The least memory for each copy in MB."
    )


class Endpoint(Strict):
    """Where the model is served. An existing endpoint, set by ``name``, is never changed or deleted."""

    instance_type: OneOrMore = Field(
        default=("ml.g5.xlarge",),
        description="One instance type or a list. Each type is a separate experiment.",
    )
    instance_count: Annotated[Whole, Field(ge=1)] = Field(default=1, description="The number of instances.")
    name: EndpointName | None = Field(default=None, description="An existing endpoint, which is not changed.")
    target_variant: EndpointName | None = Field(
        default=None,
        description="The production variant that receives every request; by default, SageMaker splits the "
        "requests by weight.",
    )
    role: str | None = Field(default=None, description="The execution role of the endpoint.")
    scheduler_role: str | None = Field(
        default=None, description="The role of the safety schedule that deletes the endpoint."
    )
    region: Region | None = Field(
        default=None, description="The AWS Region; by default, the one that boto3 finds."
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the AWS resources.")
    startup_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = Field(
        default=None,
        description="The longest time for the container's health check: 60 s to 1 h. By default, JumpStart's "
        "value, else 15 min.",
    )
    download_timeout: Annotated[Seconds, Field(ge=60, le=3600)] | None = Field(
        default=None,
        description="The longest time for the download of the model: 60 s to 1 h. By default, JumpStart's "
        "value, else 20 min.",
    )
    inference_ami: str | None = Field(
        default=None,
        description="The host's AMI, as SageMaker's `InferenceAmiVersion`. By default, JumpStart's value, "
        "else an AMI with the driver for the image's CUDA version.",
    )
    volume_gb: Annotated[Whole, Field(ge=1, le=512)] | None = Field(
        default=None,
        description="The size of the storage volume in GB. By default, JumpStart's value, else SageMaker's.",
    )
    max_lifetime: Annotated[Seconds, Field(gt=0)] = Field(
        default=4 * 3600.0, description="The time after which the safety schedule deletes the endpoint."
    )
    components: tuple[Component, ...] = Field(
        default=(), description="Inference components on the endpoint. The first receives the requests."
    )

    _listify = field_validator("instance_type", mode="before")(as_tuple)

    @field_validator("instance_type")
    @classmethod
    def _each_type_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((kind for kind in value if value.count(kind) > 1), None):
            raise ValueError(f"{twice} is named twice: name each type once")
        return value


class Budget(Strict):
    """A limit of the cost of the run."""

    max_spend_usd: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="The most that the run may cost in USD. An estimate above it prevents the start; "
        "reaching it ends the run.",
    )


class Price(Strict):
    """A price that you set, for all instance types or for each, and its source."""

    usd_per_hour: Annotated[Number, Field(gt=0)] | dict[str, Annotated[Number, Field(gt=0)]] | None = Field(
        default=None,
        description="The price in USD per instance-hour: one number, or one for each instance type. By "
        "default, from the AWS Price List API, else from a dated table.",
    )
    source: str = Field(
        default="set in the plan", description="Where the price comes from; the report prints it."
    )
    discount: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="The factor for the price: 0.7 for 30% off."
    )


class Plan(Strict):
    """One benchmark. Each instance type × payload is an experiment, and each concurrency a step of it."""

    name: Name = Field(description="The name of the benchmark. It names the run folder.")
    model: Model = Field(description="The model.")
    endpoint: Endpoint = Field(default=Endpoint(), description="Where the model is served.")
    workload: Workload = Field(description="What is sent.")
    load: Load = Field(description="How the load is stepped.")
    slo: Slo = Field(default=Slo(), description="Service level objectives.")
    budget: Budget = Field(default=Budget(), description="A limit of the run's cost.")
    price: Price = Field(default=Price(), description="A price that you set yourself.")

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        longest_s = self.load.timeouts.total
        for objective in self.objectives:
            if objective.limit_ms > longest_s * 1000:
                seconds = objective.limit_ms / 1000
                raise ValueError(
                    f"slo.{objective.key}: {seconds:g} s is longer than load.timeouts.total "
                    f"({longest_s:g} s), so no request can miss it; for milliseconds write {seconds:g}ms"
                )
        if self.load.search is not None and not self.objectives:
            raise ValueError(
                "load.search looks for the highest load under the SLO, but the plan has no latency "
                "objective; set one, such as slo.ttft_p95: 1s"
            )
        if self.load.trace is not None and self.workload.mix is not None:
            raise ValueError(
                "workload.mix: a trace itself says what each arrival asks for; name one workload.payload"
            )
        self._check_in_flight()
        if self.model.source == "endpoint" and not self.endpoint.name:
            raise ValueError("model.source: endpoint needs an existing endpoint; name it in endpoint.name")
        if self.workload.max_tokens and (twice := MAX_TOKENS_KEYS & set(self.workload.parameters)):
            raise ValueError(
                f"workload.max_tokens and workload.parameters.{min(twice)} set the same limit; "
                "keep one of them"
            )
        return self

    def _check_in_flight(self) -> None:
        """Refuse rates that cannot be carried, by Little's law: in flight = rate × turns × mean E2E."""
        search = self.load.search
        key, rate = "load.rate", max(self.load.rate or (0.0,))
        if search is not None and search.over == "rate":
            key, rate = "load.search.to", search.high
        turns = self.workload.turns
        arrivals = f"{rate:g} requests/s" if turns == 1 else f"{rate:g} conversations/s of {turns} turns"
        for objective in self.slo.objectives:
            in_flight = rate * turns * objective.limit_ms / 1000
            if objective.metric == "e2e" and in_flight > self.load.max_in_flight:
                raise ValueError(
                    f"{key}: {arrivals} with an E2E of {objective.limit} "
                    f"are {in_flight:,.0f} requests in flight, but load.max_in_flight is "
                    f"{self.load.max_in_flight:,}; lower the rate or raise load.max_in_flight"
                )

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The latency limits of all requests, then those of the parts of a mix."""
        return self.slo.objectives + self.workload.part_objectives

    @property
    def models(self) -> tuple[Model, ...]:
        """The plan's model, and the models of its inference components."""
        return (self.model, *(part.model for part in self.endpoint.components if part.model))

    @property
    def token_variables(self) -> frozenset[str]:
        """Environment variables that hold a gated model's token. Only the deployment may read them."""
        return frozenset(model.hub_token_env for model in self.models if model.hub_token_env)
