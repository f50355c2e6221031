"""Request bodies: payload rows in the container's request schema, built before anything is timed."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from configs.containers import WireSchema
from configs.payload import PayloadRow
from configs.plan import Route


@dataclass(slots=True)
class Body:
    """Bytes to send with what is known about them."""

    payload_id: str
    prompt_tokens: int | None
    data: bytes
    sha256: str


class BodyFactory:
    """Turns payload rows into bodies; one for all users of a process.

    With ``unique_prefix`` every body begins with a short nonce of its own, so that no server can answer its
    prompt from a prefix cache; without it the bodies are complete and hashed in advance.
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
    ) -> None:
        self._unique = unique_prefix
        self._rows = rows
        mark = hashlib.sha256(b"place of the nonce").hexdigest()
        self._templates: list[tuple[bytes, bytes]] = []
        self._complete: list[Body] = []
        for row in rows:
            prompt = mark + row.prompt if unique_prefix else row.prompt
            content = request_content(
                prompt, schema=schema, route=route, stream=stream, parameters=parameters
            )
            data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
            if unique_prefix:
                head, _, tail = data.partition(mark.encode())
                self._templates.append((head, tail))
            else:
                self._complete.append(
                    Body(row.payload_id, row.prompt_tokens, data, hashlib.sha256(data).hexdigest())
                )

    def bodies(self, seed: str) -> Iterator[Body]:
        """Endless bodies for one user: every row once in a seeded order, then again in another one."""
        order = list(range(len(self._rows)))
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        count = 0
        while True:
            chance.shuffle(order)
            for index in order:
                yield self._unique_body(index, f"{seed}/{count}") if self._unique else self._complete[index]
                count += 1

    def _unique_body(self, index: int, name: str) -> Body:
        row = self._rows[index]
        head, tail = self._templates[index]
        nonce = hashlib.blake2b(name.encode(), digest_size=5).hexdigest()
        data = b"".join((head, nonce.encode(), b" ", tail))
        return Body(row.payload_id, row.prompt_tokens, data, hashlib.sha256(data).hexdigest())


def request_content(
    prompt: str, *, schema: WireSchema, route: Route, stream: bool, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The request as the container reads it, asking for the counts that it can give."""
    if schema in ("tgi", "lmi"):
        return {"inputs": prompt, "parameters": {"details": True, **parameters}, "stream": stream}
    content: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}], "stream": stream}
    if stream:
        content["stream_options"] = {"include_usage": True}
    if route == "openai":
        content["model"] = ""
    return {**content, **parameters}
