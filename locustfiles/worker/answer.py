"""The answer to an invocation, as the tasks of a locustfile see it."""

import json
from typing import TYPE_CHECKING, Any

from locustfiles.client.response import InvocationResult
from locustfiles.client.session_id import read_session

if TYPE_CHECKING:
    from runfolder.records import Request


class Answer:
    """The answer to one invocation. Durations are milliseconds; None is "not measured"."""

    __slots__ = ("_result", "request")

    def __init__(self, result: InvocationResult) -> None:
        self._result = result
        self.request: Request = result.request
        """Every figure of the invocation, as it stands in ``requests.csv``."""

    def __bool__(self) -> bool:
        """Whether the invocation succeeded."""
        return self.ok

    @property
    def ok(self) -> bool:
        """Whether the invocation succeeded."""
        return self.request.outcome == "ok"

    @property
    def error(self) -> str | None:
        """The error class, such as ``throttled``; None if it succeeded."""
        return self.request.error_class

    @property
    def error_detail(self) -> str | None:
        """One line about the error."""
        return self.request.error_detail

    @property
    def text(self) -> str:
        """The generated text, without the model's reasoning."""
        return self._result.text.removeprefix(self._result.reasoning)

    @property
    def reasoning(self) -> str:
        """The model's reasoning before the text."""
        return self._result.reasoning

    @property
    def content(self) -> bytes:
        """The bytes of the answer to a ``body``, and of embeddings; empty for a prompt or messages."""
        return self._result.content

    def json(self) -> Any:
        """The content as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.content)

    @property
    def message(self) -> dict[str, str]:
        """The text as the assistant's message, for the ``messages`` of the next turn."""
        return {"role": "assistant", "content": self.text}

    @property
    def new_session_id(self) -> str | None:
        """Id of the session that an invocation with ``session_id="NEW_SESSION"`` opened."""
        session = None if self._result.granted is None else read_session(self._result.granted)
        return None if session is None else session.id

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt, as the endpoint counts them."""
        return self.request.prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """Tokens of the answer."""
        return self.request.completion_tokens

    @property
    def ttft_ms(self) -> float | None:
        """Time to first token; None if the answer was not streamed."""
        return self.request.ttft_ms

    @property
    def tpot_ms(self) -> float | None:
        """Time per output token after the first chunk."""
        return self.request.tpot_ms

    @property
    def e2e_ms(self) -> float | None:
        """Time to the last token, or to the last byte of an answer that was not streamed."""
        return self.request.e2e_ms
