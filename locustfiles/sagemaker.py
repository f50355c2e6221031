"""Plain Locust against one endpoint.

locust -f locustfiles/sagemaker.py --endpoint my-endpoint --payload prompts.jsonl -u 8 -t 60s --headless

The prompts come from a payload file, each user plays them in an order of its own, and a user sends its next
request when the last one has ended. For tasks of your own, see ``locustfiles/user.py``.
"""

from locust import events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

import itertools
from pathlib import Path
from typing import Any, ClassVar

import gevent

from common.errors import UserError
from configs.experiment import length_parameter
from configs.payload import read_payload
from locustfiles.client.request_bodies import BodyFactory
from locustfiles.user import SageMakerUser

__all__ = ["EndpointUser"]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class EndpointUser(SageMakerUser):
    """Sends the prompts of ``--payload``, one after the other.

    After a failure it pauses, longer each time up to five seconds, so as not to flood a broken endpoint.
    """

    bodies: ClassVar[BodyFactory]
    prompts: ClassVar[dict[str, str]]
    _numbers: ClassVar[Any] = itertools.count()

    @classmethod
    def prepare(cls, options: Any) -> None:
        """Read the prompts."""
        if not options.payload:
            raise UserError(
                "no payload is named", "pass --payload FILE; `make setup` writes some to payloads/built"
            )
        cls.schema, cls.stream = options.schema, not options.no_stream
        rows = read_payload(Path(options.payload))
        if any(row.turns for row in rows):
            raise UserError(f"{options.payload} holds conversations", "play it with `make bench`")
        parameters = {length_parameter(cls.schema): options.max_tokens} if options.max_tokens else {}
        cls.prompts = {row.payload_id: row.shown for row in rows}
        cls.bodies = BodyFactory(
            rows,
            schema=cls.schema,
            route=cls.route,
            stream=cls.stream,
            parameters=parameters,
            unique_prefix=not options.same_prompts,
        )

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._own = self.bodies.bodies(f"{self._process.request_log.worker}/{next(self._numbers)}")
        self._pause_s = 0.0

    @task
    def request(self) -> None:
        """One invocation."""
        body, endpoint = next(self._own), self._endpoint_name()
        text, stream = self.schema not in ("raw", "embeddings"), self.stream and self.schema != "embeddings"
        target = self._target(endpoint, stream=stream, text=text)
        self._process.tell_name(endpoint, endpoint)
        shown = self.prompts[body.payload_id]
        answer = self._send(body, target, name=endpoint, stream=stream, shown=shown)
        self._pause_s = 0.0 if answer else min(_LONGEST_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
        if self._pause_s:
            gevent.sleep(self._pause_s)


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the options of this locustfile."""
    parser.add_argument(
        "--payload", default="", metavar="FILE", include_in_web_ui=False, help="prompts, as JSON lines"
    )
    parser.add_argument(
        "--schema", default="openai", choices=["openai", "completions", "tgi", "lmi", "embeddings", "raw"],
        help="the container's request schema",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=int, default=0, help="longest answer; 0: the container's default"
    )
    parser.add_argument("--no-stream", action="store_true", help="do not request a stream")
    parser.add_argument(
        "--same-prompts", action="store_true",
        help="send prompts unchanged, so that a prefix cache may answer; else each begins with a nonce",
    )  # fmt: skip


hooks: Any = events  # Locust's hooks carry no types
hooks.init_command_line_parser.add_listener(add_arguments)
