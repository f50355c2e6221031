"""The section `workload` of a plan: the requests, their prompts and the parameters of the answers."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.conversation import Conversation, StickySwitch
from configs.fields import Strict, Whole
from configs.mix import MIX, Mix, deck_counts
from configs.payload_spec import Payloads, PayloadSpec, also_one_or_text
from configs.slo import Objective

RequestSchema = Literal["auto", "tgi", "openai", "lmi", "completions", "embeddings", "raw"]
Route = Literal["invocations", "openai"]

MAX_TOKENS_KEYS = frozenset({"max_new_tokens", "max_tokens", "max_completion_tokens", "n_predict"})
"""The names of the longest answer's length in the containers."""
_ROWS = "write it into the rows of the payload"
_WRITTEN = {
    "messages": 'give rows of {"messages": […]} in the payload, with workload.schema: openai',
    "prompt": _ROWS,
    "inputs": _ROWS,
    "input": f"{_ROWS}, with workload.schema: embeddings for an embedding model",
    "body": 'give rows of {"body": …} in the payload, with workload.schema: raw',
    "stream": "set workload.stream",
}
"""The keys of a request that the suite itself writes, each with what to set instead."""
_SEVERAL_ANSWERS = ("n", "num_return_sequences")


class Workload(Strict):
    """The requests: their prompts and the parameters of the answers."""

    payload: Payloads = Field(
        default=(),
        exclude_if=lambda payloads: not payloads,
        description="A label in `payloads/built` (`en_1000-2000`), a JSON Lines file of your own, a mapping "
        "of the keys below, or a list of them. Each is an experiment of its own. Set `payload` or `mix`.",
        json_schema_extra=also_one_or_text,
    )
    mix: Mix | None = Field(
        default=None,
        description="Several payloads in one load, each with its weight, in place of `payload`. They are one "
        "experiment, with figures for the whole and for each part; see [docs/prompts.md](prompts.md#mixes).",
    )
    stream: bool = Field(default=True, description="Stream the answers.")
    request_schema: RequestSchema = Field(
        default="auto",
        alias="schema",
        description="The format of the request's body. `auto` chooses by the container; `raw` sends the "
        "`body` of each row unchanged. See [docs/formats.md](formats.md#requests).",
    )
    route: Route = Field(
        default="invocations", description="`invocations` (SigV4) or `openai` (bearer token)."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters for the request's body, sent unchanged. Keys that the suite writes itself "
        "(`messages`, `inputs`, `prompt`, `stream`) and several answers (`n`) are refused.",
    )
    max_tokens: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None,
        description="The longest answer in tokens. Sent as `max_tokens` or `max_new_tokens`, depending on "
        "the schema.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Headers of InvokeEndpoint by their API names, such as `CustomAttributes`, `SessionId` "
        "or `TargetModel`.",
    )
    unique_prefix: bool = Field(
        default=True, description="Put five random words before each prompt, so that prefix caches stay cold."
    )
    samples: bool = Field(default=True, description="Keep the first prompts and answers in the run folder.")
    conversation: Conversation | None = Field(
        default=None,
        description="Play the payload as conversations; see [docs/conversations.md](conversations.md).",
    )
    sticky: StickySwitch = Field(
        default=None,
        description="Open a stateful session for each conversation, so that one instance serves all its "
        "turns; see [docs/conversations.md](conversations.md#stickiness). `true`, or a mapping of the keys "
        "below.",
    )

    pin_output: bool = Field(
        default=True,
        description="Where a payload or a trace asks for a number of output tokens, make the answer exactly "
        "as long, if the container can (`ignore_eos`).",
    )

    @field_validator("parameters")
    @classmethod
    def _leave_what_the_suite_writes(cls, value: dict[str, Any]) -> dict[str, Any]:
        if key := next((key for key in value if key in _WRITTEN), None):
            raise ValueError(f"the suite itself writes {key}; {_WRITTEN[key]}")
        for key in _SEVERAL_ANSWERS:
            if value.get(key) not in (None, 1):
                raise ValueError(
                    f"{key} asks for several answers, but a request is measured by one answer; leave it out"
                )
        return value

    @model_validator(mode="after")
    def _payload_or_mix(self) -> Self:
        if not self.payload and self.mix is None:
            raise ValueError("workload.payload is missing: name the prompts to send, or give a mix of them")
        if self.payload and self.mix is not None:
            raise ValueError("set either payload or mix")
        if self.mix is not None and self.conversation is not None:
            raise ValueError(
                "a mix is of single requests, because the turns of a conversation must follow each other; "
                "leave conversation out, or name a payload"
            )
        return self

    @property
    def specs(self) -> tuple[PayloadSpec, ...]:
        """Every payload, those of the parts of a mix included."""
        return self.payload if self.mix is None else tuple(part.payload for part in self.mix)

    @property
    def turns(self) -> int:
        """Turns that the plan cuts conversations to; 1 where it does not say, or requests are single ones."""
        return 1 if self.conversation is None else self.conversation.turns or 1

    @property
    def labels(self) -> tuple[str, ...]:
        """What each experiment sends: the label of each payload, or ``mix``."""
        return tuple(spec.label for spec in self.payload) if self.mix is None else (MIX,)

    @property
    def deck(self) -> dict[str, int]:
        """The requests of each part in a full turn of a mix; empty without one."""
        if self.mix is None:
            return {}
        counts = deck_counts([part.weight for part in self.mix])
        return {part.payload.label: count for part, count in zip(self.mix, counts, strict=True)}

    @property
    def part_objectives(self) -> tuple[Objective, ...]:
        """The latency limits of the parts of a mix."""
        return tuple(
            objective.model_copy(update={"part": part.payload.label})
            for part in self.mix or ()
            for objective in (part.slo.objectives if part.slo else ())
        )

    @model_validator(mode="after")
    def _sessions_fit(self) -> Self:
        if self.sticky is None:
            return self
        if self.route == "openai":
            raise ValueError("the openai route has no sessions; set route: invocations, or leave sticky out")
        if "SessionId" in self.headers:
            raise ValueError("sticky gives each conversation its SessionId; leave headers.SessionId out")
        return self

    @model_validator(mode="after")
    def _schema_fits(self) -> Self:
        schema = self.request_schema
        if self.route == "openai" and schema not in ("auto", "openai"):
            raise ValueError(f"the openai route serves only chat; for schema {schema} set route: invocations")
        if self.route == "openai" and self.headers:
            raise ValueError("headers belong to InvokeEndpoint; set route: invocations, or leave them out")
        if schema == "embeddings" and self.stream:
            raise ValueError("embeddings are not streamed; set stream: false")
        if schema == "raw" and (self.parameters or self.max_tokens):
            raise ValueError(
                "a raw body is sent unchanged; write parameters and max_tokens into each row's body"
            )
        if schema == "embeddings" and self.max_tokens:
            raise ValueError("embeddings have no tokens to limit; leave max_tokens out")
        return self
