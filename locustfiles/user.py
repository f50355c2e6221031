"""A base class for your own locustfiles: users that invoke SageMaker endpoints beside any other Locust user.

    from locustfiles.user import SageMakerUser

See ``docs/locust.md``. Importing this module adds ``--endpoint``, ``--region`` and ``--run-folder`` to
Locust's command line. The public names are those in ``__all__``.
"""

from locust import User, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

import hashlib
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from common.errors import UserError
from common.exit_codes import ExitCode
from configs.containers import WireSchema
from configs.load import Timeouts
from configs.payload import PayloadRow
from configs.plan import Route
from locustfiles.client.request_bodies import Body, request_content
from locustfiles.master.run_recorder import RunRecording
from locustfiles.messages import READY
from locustfiles.worker.answer import Answer
from locustfiles.worker.user import fire_events
from locustfiles.worker.user_process import EndpointKey, UserProcess, region_of

if TYPE_CHECKING:
    from locustfiles.client.invocation import Invoker
    from locustfiles.worker.endpoint import Endpoint

__all__ = ["Answer", "SageMakerUser"]

logger = logging.getLogger(__name__)

_JSON = "application/json"
_BYTES = "application/octet-stream"
_SEND_S = 0.1
"""Until a message has left."""


class SageMakerUser(User):
    """Invokes a SageMaker endpoint. Subclass it, write ``@task``s, and call `invoke` in them.

    The class attributes are defaults, and several classes may differ in all of them.
    """

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

    _process: ClassVar[UserProcess]

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

    def invoke(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        body: Any = None,
        name: str | None = None,
        endpoint: str | None = None,
        schema: WireSchema | None = None,
        parameters: Mapping[str, Any] | None = None,
        stream: bool | None = None,
        content_type: str | None = None,
        accept: str = _JSON,
    ) -> Answer:
        """Invoke the endpoint, and return when the answer is complete or the invocation has failed.

        Failures raise nothing: they are Locust failures, and ``answer.error`` names their class.

        Args:
            prompt: a text, sent in the ``schema``.
            messages: a chat, in the format of OpenAI's API.
            body: the whole body instead: bytes are sent unchanged, anything else as JSON.
            name: of the entry in Locust's statistics and in the report; None: the endpoint's name.
            endpoint: the endpoint of this invocation; None: the class's.
            schema: the request schema of this invocation; None: the class's.
            parameters: generation parameters beside the class's; they win over those.
            stream: whether to request a stream; None: as the class says, and for a body what its key
                ``stream`` says.
            content_type: of the body; None: JSON, or ``application/octet-stream`` for bytes.
            accept: content type that is asked of the answer.

        Raises:
            TypeError: not exactly one of prompt, messages and body is given.
            StopUser: the test has ended.
        """
        if sum(given is not None for given in (prompt, messages, body)) != 1:
            raise TypeError("invoke() takes exactly one of prompt, messages and body")
        schema = schema or self.schema
        if stream is None:
            stream = _streams(body) if body is not None else self.stream and schema != "embeddings"
        if body is None:
            own = {**self.parameters, **(parameters or {})}
            data = _encode(self._content(prompt, messages, schema, stream=stream, parameters=own))
        else:
            data = body if isinstance(body, bytes) else _encode(body)
            content_type = content_type or (_BYTES if isinstance(body, bytes) else _JSON)
        endpoint = endpoint or self._endpoint_name()
        target = self._endpoint(
            endpoint,
            stream=stream,
            text=body is None and schema != "embeddings",
            content_type=content_type or _JSON,
            accept=accept,
        )
        self._process.tell_name(name or endpoint, endpoint)
        named = Body(name or endpoint, None, data, hashlib.sha256(data).hexdigest())
        shown = prompt if prompt is not None else json.dumps(messages or "")
        return self.send(named, target, name=name or endpoint, stream=stream, shown=shown)

    def send(self, body: Body, endpoint: "Endpoint", *, name: str, stream: bool, shown: str) -> Answer:
        """Send a body that is ready. For subclasses in this package."""
        process = self._process
        if process.stopping:
            raise StopUser
        idle = self._idle.setdefault(endpoint, [])
        invoker = idle.pop() if idle else endpoint.invokers.new()
        request = process.request_log.open(name, body.payload_id, time.time())
        request.asked_output_tokens = body.asked_output_tokens
        result = invoker.invoke(body, request, stream=stream)
        idle.append(invoker)
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

    def _content(
        self,
        prompt: str | None,
        messages: Sequence[Mapping[str, Any]] | None,
        schema: WireSchema,
        *,
        stream: bool,
        parameters: dict[str, Any],
    ) -> Any:
        said = None if messages is None else [dict(message) for message in messages]
        if said is not None and schema != "openai":
            raise TypeError(f"messages need schema = 'openai', not {schema!r}")
        row = PayloadRow("", prompt or "", None, messages=said)
        return request_content(row, schema=schema, route=self.route, stream=stream, parameters=parameters)

    @classmethod
    def _endpoint_name(cls) -> str:
        return cls.endpoint or _options.get("endpoint", "")

    @classmethod
    def _endpoint(
        cls, endpoint: str, *, stream: bool, text: bool = True, content_type: str = _JSON, accept: str = _JSON
    ) -> "Endpoint":
        key = EndpointKey(
            endpoint, cls.region or _options["region"], cls.component, cls.route, stream, text,
            tuple(cls.headers.items()), content_type, accept, cls.timeouts,
        )  # fmt: skip
        return cls._process.endpoint(key, cls.headers)


_options: dict[str, Any] = {}
"""The endpoint and the region of the command line or the web form, for the test that runs."""


def _streams(body: Any) -> bool:
    return isinstance(body, Mapping) and bool(body.get("stream"))


def _encode(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _classes(environment: Environment) -> list[type[SageMakerUser]]:
    return [each for each in environment.user_classes if issubclass(each, SageMakerUser)]


def _read_options(environment: Environment) -> None:
    """Read what a test needs of the command line or the web form, and check it.

    Raises:
        UserError: an endpoint or the region is missing.
    """
    options = environment.parsed_options
    _options["endpoint"] = getattr(options, "endpoint", "")
    for each in _classes(environment):
        if not each._endpoint_name():
            raise UserError(
                f"no endpoint is named for {each.__name__}",
                f"pass --endpoint, or set {each.__name__}.endpoint",
            )
        if each.region is None:
            _options["region"] = region_of(getattr(options, "region", None))


def _add_arguments(parser: LocustArgumentParser) -> None:
    parser.add_argument("--endpoint", default="", metavar="NAME", help="SageMaker endpoint to invoke")
    parser.add_argument("--region", default="", metavar="REGION", help="AWS region; default: the profile's")
    parser.add_argument(
        "--run-folder", default="", metavar="FOLDER", include_in_web_ui=False,
        help="write every invocation to this new folder; `make report RUN=FOLDER` makes a report of it",
    )  # fmt: skip


def _on_init(environment: Environment, runner: Any, **_: object) -> None:
    if isinstance(runner, LocalRunner | WorkerRunner):
        SageMakerUser._process = UserProcess(environment, runner)
    recording = RunRecording(environment, runner) if isinstance(runner, LocalRunner | MasterRunner) else None
    options = environment.parsed_options
    if options is not None and (options.headless or options.autostart or getattr(options, "endpoint", "")):
        try:  # now, because a worker that prepares later would start its users late
            _prepare(environment, runner)
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            if isinstance(runner, WorkerRunner):
                _tell_refusal(runner, error)
            sys.exit(ExitCode.BAD_INPUT)

    def on_test_start(**_: object) -> None:
        try:
            _begin(environment, runner, recording)
        except UserError as error:
            logger.error("%s", error)  # noqa: TRY400 - for a person
            environment.process_exit_code = ExitCode.BAD_INPUT
            if isinstance(runner, WorkerRunner):
                _tell_refusal(runner, error)
            headless = isinstance(runner, WorkerRunner) or (options is not None and options.headless)
            gevent.spawn(runner.quit if headless else runner.stop)

    hooks.test_start.add_listener(on_test_start)
    # The seconds of all imports and of this preparation would otherwise count for --run-time: gevent's timers
    # begin at the time of the loop's last round.
    gevent.get_hub().loop.update_now()


def _tell_refusal(runner: WorkerRunner, error: UserError) -> None:
    """Tell the master why this worker cannot take part."""
    runner.send_message(READY, {"client_id": runner.client_id, "error": str(error), "proxy": None})
    gevent.sleep(_SEND_S)


def _prepare(environment: Environment, runner: Any) -> None:
    """Read the options, and make what the users of this process need.

    Raises:
        UserError: the test cannot start.
    """
    _read_options(environment)
    for each in _classes(environment):
        each.prepare(environment.parsed_options)
        if isinstance(runner, MasterRunner):
            continue
        text = each.schema not in ("raw", "embeddings")
        each._endpoint(each._endpoint_name(), stream=each.stream and each.schema != "embeddings", text=text)


def _begin(environment: Environment, runner: Any, recording: RunRecording | None) -> None:
    """Prepare a test in this process.

    Raises:
        UserError: the test cannot start.
    """
    _prepare(environment, runner)
    classes = _classes(environment)
    folder = getattr(environment.parsed_options, "run_folder", "")
    if isinstance(runner, LocalRunner | WorkerRunner):
        SageMakerUser._process.begin(recording=bool(folder))
    if recording is not None and folder:
        alone = len(environment.user_classes) == 1 and all(
            each.wait_time is User.wait_time for each in classes
        )
        recording.begin(Path(folder), users_in_flight=alone)


hooks: Any = events  # Locust's hooks carry no types
hooks.init_command_line_parser.add_listener(_add_arguments)
hooks.init.add_listener(_on_init)
