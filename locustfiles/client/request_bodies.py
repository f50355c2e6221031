"""Request bodies: payload rows in the container's request schema, built before timing starts."""

import hashlib
import json
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from common.errors import UserError
from configs.containers import Family, WireSchema, exact_output
from configs.experiment import length_parameter
from configs.nonce import LONGEST_NONCE, nonce
from configs.payload import PayloadRow, with_prefix
from configs.trace_text import TokenSource
from configs.workload import MAX_TOKENS_KEYS, Route

_MARK = hashlib.sha256(b"place of the nonce").hexdigest()
_BETWEEN_TURNS = "\n\n"


@dataclass(slots=True)
class Body:
    """The bytes of a request, with their hash and the prompt's token count if known."""

    payload_id: str
    prompt_tokens: int | None
    data: bytes
    sha256: str
    prompt_tokens_source: TokenSource = "tokenizer"
    asked_prompt_tokens: int | None = None
    """The prompt's length that was asked for, in tokens as the endpoint counts them."""
    asked_output_tokens: int | None = None
    """The answer's length that is asked for."""
    part: str | None = None
    """The part of a mix that it belongs to."""


class BodyFactory:
    """Turns payload rows into bodies; one factory serves all users of a process.

    With ``unique_prefix`` every prompt, or the first user text of a chat, begins with its own short nonce, so
    that no server can answer it from a prefix cache. Without it, and for raw bodies, the bodies are complete
    and hashed in advance.

    Raises:
        UserError: a row has no text that a prefix could precede.
    """

    def __init__(
        self,
        rows: Sequence[PayloadRow],
        *,
        schema: WireSchema,
        route: Route,
        stream: bool,
        parameters: dict[str, Any],
        unique_prefix: bool,
        running_usage: bool = False,
        exact_for: Family | None = None,
    ) -> None:
        unique_prefix = unique_prefix and schema != "raw"
        self.unique = unique_prefix
        """Whether every prompt begins with a nonce of its own."""
        self._rows = rows
        self._turn: tuple[str, int] | None = None
        self._order: list[int] = []
        """Of the rows in that turn."""
        self._schema = schema
        self._parameters = parameters
        self._exact_for = exact_for
        """The container whose answers are made exactly as long as asked."""
        self._content = partial(
            request_content, schema=schema, route=route, stream=stream, running_usage=running_usage
        )
        self._by_length = sorted(
            (row.prompt_tokens, index) for index, row in enumerate(rows) if row.prompt_tokens is not None
        )
        self._templates: list[tuple[bytes, bytes]] = []
        self._complete: list[Body] = []
        for row in rows:
            own = self._parameters_for(row.output_tokens)
            if unique_prefix:
                self._templates.append(self._template(row, own))
            else:
                self._complete.append(_complete_body(row, self._content(row, parameters=own)))

    def _parameters_for(self, output_tokens: int | None) -> dict[str, Any]:
        """The parameters of a request that asks for so many output tokens; None: as the plan has it."""
        if output_tokens is None or self._schema in ("raw", "embeddings"):
            return self._parameters
        others = {key: value for key, value in self._parameters.items() if key not in MAX_TOKENS_KEYS}
        exact = exact_output(self._exact_for, self._schema, output_tokens) if self._exact_for else {}
        return exact | others | {length_parameter(self._schema): output_tokens}

    def _template(self, row: PayloadRow, parameters: dict[str, Any]) -> tuple[bytes, bytes]:
        """The bytes before and after the place of the nonce."""
        data = _encode(self._content(with_prefix(row, _MARK) or row, parameters=parameters))
        head, separator, tail = data.partition(_MARK.encode())
        if not separator:
            raise UserError(
                f"payload row {row.payload_id} has no text that a unique prefix could precede",
                "set workload.unique_prefix: false",
            )
        return head, tail

    @property
    def complete(self) -> Sequence[Body]:
        """One body for each row, in their order; empty with a unique prefix."""
        return self._complete

    @property
    def largest(self) -> int:
        """Bytes of the longest body."""
        complete = (len(body.data) for body in self._complete)
        unique = (len(head) + LONGEST_NONCE + len(tail) for head, tail in self._templates)
        return max((*complete, *unique))

    def bodies(self, seed: str) -> Iterator[Body]:
        """Endless bodies for one user: every row once in a seeded order, then again in another order."""
        order = list(range(len(self._rows)))
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        count = 0
        while True:
            chance.shuffle(order)
            for index in order:
                yield self._unique_body(index, f"{seed}/{count}") if self.unique else self._complete[index]
                count += 1

    def body(self, seed: str, number: int) -> Body:
        """The body of one request of a sequence: again every row once in a seeded order, then in another.

        Args:
            seed: of the sequence.
            number: of the request, from 1.
        """
        turn, place = divmod(number - 1, len(self._rows))
        if self._turn != (seed, turn):
            self._turn, self._order = (seed, turn), list(range(len(self._rows)))
            random.Random(f"{seed}/{turn}").shuffle(self._order)  # noqa: S311 - reproducible, not secret
        index = self._order[place]
        return self._unique_body(index, f"{seed}/{number}") if self.unique else self._complete[index]

    def sized_body(
        self, seed: str, number: int, *, prompt_tokens: int | None, output_tokens: int | None
    ) -> Body:
        """The body of a request of a trace: the prompt of the nearest length, and the length of its answer.

        Args:
            seed: of the sequence.
            number: of the request, from 1.
            prompt_tokens: length of the prompt; None: any row, in turn.
            output_tokens: the longest answer; None: as the parameters have it.
        """
        row = self.row_for(prompt_tokens, number)
        output_tokens = row.output_tokens if output_tokens is None else output_tokens
        row = replace(row, asked_prompt_tokens=prompt_tokens, output_tokens=output_tokens)
        parameters = self._parameters_for(output_tokens)
        if not self.unique:
            return _complete_body(row, self._content(row, parameters=parameters))
        return _with_nonce(row, self._template(row, parameters), f"{seed}/{number}")

    def whole_body(self, row: PayloadRow, *, output_tokens: int | None) -> Body:
        """The body of a row as it is, without a nonce.

        Args:
            row: the prompt.
            output_tokens: the longest answer; None: as the parameters have it.
        """
        row = replace(row, output_tokens=output_tokens)
        return _complete_body(row, self._content(row, parameters=self._parameters_for(output_tokens)))

    def chat_body(
        self,
        payload_id: str,
        said: Sequence[dict[str, Any]],
        prompt_tokens: int | None,
        *,
        output_tokens: int | None,
        asked_prompt_tokens: int | None = None,
    ) -> Body:
        """The body of a turn: all that was said, which a container without a chat gets as one text.

        Args:
            payload_id: of the conversation.
            said: the messages, the turn's own last.
            prompt_tokens: of all messages; None if not known.
            output_tokens: the longest answer; None: as the parameters have it.
            asked_prompt_tokens: the length that a trace asks for.
        """
        row = replace(
            spoken_row(payload_id, said, self._schema),
            prompt_tokens=prompt_tokens,
            asked_prompt_tokens=asked_prompt_tokens,
        )
        return self.whole_body(row, output_tokens=output_tokens)

    def row_for(self, tokens: int | None, number: int) -> PayloadRow:
        """The row whose prompt has the nearest length; without a length any row, in turn by the number."""
        if tokens is None or not self._by_length:
            return self._rows[(number - 1) % len(self._rows)]
        return self._rows[self._nearest(tokens, number)]

    def _nearest(self, tokens: int, number: int) -> int:
        """A row whose length is nearest; rows of one length take turns."""
        place = bisect_left(self._by_length, (tokens, 0))
        nearby = self._by_length[max(0, place - 1) : place + 1]
        length = min(nearby, key=lambda entry: abs(entry[0] - tokens))[0]
        first, last = (bisect_left(self._by_length, (length + more, 0)) for more in (0, 1))
        return self._by_length[first + number % (last - first)][1]

    def _unique_body(self, index: int, name: str) -> Body:
        return _with_nonce(self._rows[index], self._templates[index], name)


def spoken_row(payload_id: str, said: Sequence[dict[str, Any]], schema: WireSchema) -> PayloadRow:
    """All that was said: as messages, or for a container without a chat as one text."""
    if schema == "openai":
        return PayloadRow(payload_id, "", None, messages=list(said))
    return PayloadRow(payload_id, _BETWEEN_TURNS.join(str(message["content"]) for message in said), None)


def _with_nonce(row: PayloadRow, template: tuple[bytes, bytes], name: str) -> Body:
    head, tail = template
    return _body(row, b"".join((head, nonce(name).encode(), tail)))


def _complete_body(row: PayloadRow, content: Any) -> Body:
    return _body(row, _encode(content))


def _body(row: PayloadRow, data: bytes) -> Body:
    return Body(
        row.payload_id,
        row.prompt_tokens,
        data,
        hashlib.sha256(data).hexdigest(),
        row.prompt_tokens_source,
        row.asked_prompt_tokens,
        row.output_tokens,
        row.part or None,
    )


def _encode(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def request_content(
    row: PayloadRow,
    *,
    schema: WireSchema,
    route: Route,
    stream: bool,
    parameters: dict[str, Any],
    running_usage: bool = False,
) -> Any:
    """The request in the container's schema; it asks for the token counts that the container can give.

    Args:
        row: the prompt, messages or body.
        schema: the container's request schema.
        route: the runtime's route.
        stream: whether to request a stream.
        parameters: generation parameters, with the container's names.
        running_usage: whether the container can report token counts in every chunk.
    """
    if schema == "raw":
        return row.body
    if schema in ("tgi", "lmi"):
        return {"inputs": row.text, "parameters": {"details": True, **parameters}, "stream": stream}
    if schema == "embeddings":
        return {"input": row.text, **parameters}
    content: dict[str, Any] = {"stream": stream}
    if schema == "completions":
        content["prompt"] = row.text
    else:
        content["messages"] = row.messages or [{"role": "user", "content": row.text}]
    if route == "openai":
        content["model"] = ""
    content |= parameters
    if stream:
        usage = {"include_usage": True} | ({"continuous_usage_stats": True} if running_usage else {})
        content["stream_options"] = usage | (parameters.get("stream_options") or {})
    return content
