"""Request bodies: payload rows in the container's request schema, built before anything is timed."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.experiment import WireSchema
from configs.plan import Route


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """One prompt of known length."""

    payload_id: str
    prompt: str
    prompt_tokens: int | None


@dataclass(slots=True)
class Body:
    """Bytes to send with what is known about them."""

    payload_id: str
    prompt_tokens: int | None
    data: bytes
    sha256: str


def read_payload(path: Path) -> list[PayloadRow]:
    """Read a payload file: JSON lines of ``{"payload_id", "prompt", "prompt_tokens"}``.

    Raises:
        UserError: no file, or a line that is not such a row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path}: the payload cannot be read ({error.strerror})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            rows.append(PayloadRow(str(row["payload_id"]), str(row["prompt"]), row.get("prompt_tokens")))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(
                f'{path} line {number}: write {{"payload_id": …, "prompt": …, "prompt_tokens": …}}'
            ) from None
    if not rows:
        raise UserError(f"{path}: the payload holds no prompt")
    return rows


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
