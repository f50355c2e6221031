"""A base class for your own locustfiles: users that invoke SageMaker endpoints beside any other Locust user.

    from locustfiles.user import SageMakerUser

See ``docs/locust.md``. Importing this module adds ``--endpoint``, ``--region``, ``--tokenizer``,
``--run-folder`` and ``--shape`` to Locust's command line. The public names are those in ``__all__``.
"""

from locust import events

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from configs.containers import WireSchema
from configs.payload import PayloadRow
from locustfiles import plain_test, shapes
from locustfiles.client.request_bodies import Body, request_content
from locustfiles.worker.answer import Answer
from locustfiles.worker.plain_user import JSON, PlainUser

__all__ = ["Answer", "SageMakerUser"]

_BYTES = "application/octet-stream"


class SageMakerUser(PlainUser):
    """Invokes a SageMaker endpoint. Subclass it, write ``@task``s, and call `invoke` in them.

    The class attributes of its base are defaults, and several classes may differ in all of them.
    """

    abstract = True

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
        accept: str = JSON,
        session_id: str | None = None,
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
            session_id: the stateful session of this invocation; ``NEW_SESSION`` to ask for one.

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
            content_type = content_type or (_BYTES if isinstance(body, bytes) else JSON)
        endpoint = endpoint or self._endpoint_name()
        target = self._target(
            endpoint,
            stream=stream,
            text=body is None and schema != "embeddings",
            content_type=content_type or JSON,
            accept=accept,
        )
        self._process.tell_name(name or endpoint, endpoint)
        named = Body(name or endpoint, None, data, hashlib.sha256(data).hexdigest())
        shown = prompt if prompt is not None else json.dumps(messages or "")
        return self._send(
            named, target, name=name or endpoint, stream=stream, shown=shown, session_id=session_id
        )

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


def _streams(body: Any) -> bool:
    return isinstance(body, Mapping) and bool(body.get("stream"))


def _encode(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


hooks: Any = events  # Locust's hooks carry no types
hooks.init_command_line_parser.add_listener(plain_test.add_arguments)
hooks.init_command_line_parser.add_listener(shapes.add_argument)
hooks.init.add_listener(plain_test.on_init)
