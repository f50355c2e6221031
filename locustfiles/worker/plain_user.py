"""The base of users in plain Locust tests: what they invoke, and how a body that is ready is sent."""

from locust import User
from locust.env import Environment
from locust.exception import StopUser

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from configs.containers import WireSchema
from configs.load import Timeouts
from configs.workload import Route
from locustfiles.client.request_bodies import Body
from locustfiles.client.session_id import mark_ended_session
from locustfiles.worker.answer import Answer
from locustfiles.worker.user import fire_events
from locustfiles.worker.user_process import EndpointKey, UserProcess

if TYPE_CHECKING:
    from locustfiles.client.invocation import Invoker
    from locustfiles.worker.endpoint import Endpoint

JSON = "application/json"


@dataclass(slots=True)
class GivenOptions:
    """What the command line or the web form says, for the classes that leave it open."""

    endpoint: str = ""
    region: str = ""
    tokenizer: str = ""


class PlainUser(User):
    """A Locust user that invokes SageMaker endpoints. Its class attributes are defaults."""

    abstract = True

    endpoint: str = ""
    """Name of the endpoint; empty: ``--endpoint``."""
    region: str | None = None
    """None: ``--region``, else AWS_REGION or the AWS profile's."""
    component: str | None = None
    """Name of the inference component."""
    schema: WireSchema = "openai"
    """The container's request schema for a prompt: ``openai``, ``completions``, ``tgi``, ``lmi``,
    ``embeddings``. Messages need ``openai``."""
    route: Route = "invocations"
    """``openai`` for the runtime's OpenAI-compatible path."""
    stream: bool = True
    """Whether answers to prompts and messages are streamed."""
    parameters: Mapping[str, Any] = {}
    """Generation parameters, with the container's names: ``{"max_tokens": 200}``."""
    headers: Mapping[str, str] = {}
    """Further members of InvokeEndpoint, such as ``{"CustomAttributes": "…"}``."""
    timeouts: Timeouts = Timeouts()
    """Limits in seconds to connect, until the first byte, and in total."""
    tokenizer: str = ""
    """Path of the model's ``tokenizer.json``, for answers without a token count; empty: ``--tokenizer``."""

    _process: ClassVar[UserProcess]
    _given: ClassVar[GivenOptions] = GivenOptions()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._idle: dict[Endpoint, list[Invoker]] = {}
        """Connections that no invocation uses: tasks may invoke in several greenlets."""

    @classmethod
    def prepare(cls, options: Any) -> None:
        """Called in every process before a test's users start, with Locust's options. Override to read files.

        Raises:
            UserError: the test cannot start.
        """

    def _send(
        self,
        body: Body,
        endpoint: "Endpoint",
        *,
        name: str,
        stream: bool,
        shown: str,
        session_id: str | None = None,
    ) -> Answer:
        """Send a body that is ready.

        Args:
            body: the request.
            endpoint: where it goes.
            name: of the entry in Locust's statistics and in the report.
            stream: whether the body asks for a stream.
            shown: the prompt, for a reader.
            session_id: the stateful session that it names.

        Raises:
            StopUser: the test has ended.
        """
        process = self._process
        if process.stopping:
            raise StopUser
        idle = self._idle.setdefault(endpoint, [])
        invoker = idle.pop() if idle else endpoint.invokers.new()
        request = process.request_log.open(name, body.payload_id, time.time())
        if not endpoint.takes_inference_ids:
            request.inference_id = None
        request.asked_output_tokens = body.asked_output_tokens
        request.session_id = session_id
        result = invoker.invoke(body, request, stream=stream)
        idle.append(invoker)
        if session_id is not None:
            mark_ended_session(request)
        if request.prompt_tokens is None and body.prompt_tokens is not None:
            request.prompt_tokens, request.prompt_tokens_source = (
                body.prompt_tokens,
                body.prompt_tokens_source,
            )
        process.request_log.close(result, shown)
        if request.outcome == "censored":
            raise StopUser  # as with every Locust user, what the end of a test cuts off is no event
        fire_events(self.environment, result, endpoint.url)
        return Answer(result)

    @classmethod
    def _endpoint_name(cls) -> str:
        """The class's endpoint; empty where neither it nor the command line names one."""
        return cls.endpoint or cls._given.endpoint

    @classmethod
    def _target(
        cls, endpoint: str, *, stream: bool, text: bool = True, content_type: str = JSON, accept: str = JSON
    ) -> "Endpoint":
        """An endpoint as this class invokes it; made once.

        Raises:
            UserError: there are no credentials, or a header, the region, the proxy or the tokenizer is wrong.
        """
        key = EndpointKey(
            endpoint, cls.region or cls._given.region, cls.component, cls.route, stream, text,
            tuple(cls.headers.items()), content_type, accept, cls.timeouts,
            cls.tokenizer or cls._given.tokenizer,
        )  # fmt: skip
        return cls._process.endpoint(key, cls.headers)

    @classmethod
    def _prepare_target(cls) -> None:
        """Make the endpoint of the class's own prompts, which finds its mistakes before the first user."""
        text = cls.schema not in ("raw", "embeddings")
        cls._target(cls._endpoint_name(), stream=cls.stream and cls.schema != "embeddings", text=text)
