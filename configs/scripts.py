"""Scripts: what the users of each conversation say, from the rows of a payload."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from configs.conversation import Conversation, Turn
from configs.payload import PayloadRow


@dataclass(frozen=True, slots=True)
class Script:
    """What the users of one conversation say, and what comes before it."""

    payload_id: str
    turns: tuple[Turn, ...]
    prelude: tuple[dict[str, Any], ...] = ()
    """Messages before the first turn, such as a system message."""
    opening: str = ""
    """Text that other conversations begin with too."""


def scripts_of(rows: Sequence[PayloadRow], settings: Conversation | None) -> list[Script]:
    """The conversations of a payload; empty if its rows are single requests.

    They are conversations if a row has ``turns`` or the plan has ``workload.conversation``. A row of
    ``messages`` gives its user messages; what its assistant said is left out, as the model says it anew.
    """
    if settings is None and all(row.turns is None for row in rows):
        return []
    limit = None if settings is None else settings.turns
    scripts = [
        _script(row, limit) for row in rows if row.body is None and (row.turns or row.messages is not None)
    ]
    prompts = [row for row in rows if row.body is None and not row.turns and row.messages is None]
    size = limit or 1
    whole = len(prompts) - len(prompts) % size
    for start in range(0, whole or len(prompts), size):
        group = prompts[start : start + size]
        turns = tuple(Turn(row.prompt, None, row.output_tokens, row.prompt_tokens) for row in group)
        scripts.append(Script(group[0].payload_id, turns, opening=group[0].shared_prefix))
    return scripts


def _script(row: PayloadRow, limit: int | None) -> Script:
    messages = row.messages or []
    if row.turns is not None:
        return Script(row.payload_id, row.turns[:limit], tuple(messages))
    first = next((n for n, message in enumerate(messages) if message["role"] == "user"), len(messages))
    turns = tuple(Turn(message["content"]) for message in messages[first:] if message["role"] == "user")
    return Script(row.payload_id, turns[:limit], tuple(messages[:first]))


class ScriptOrder:
    """Which script each conversation of an experiment follows: every one once, in a seeded order, then again.

    Master and workers come to the same choice by the number of the conversation.
    """

    def __init__(self, scripts: Sequence[Script], seed: str) -> None:
        self._scripts = scripts
        self._seed = seed
        self._round: int | None = None
        self._order: list[int] = []

    @property
    def mean_turns(self) -> float:
        """Turns of a conversation, on average."""
        return sum(len(script.turns) for script in self._scripts) / len(self._scripts)

    def script(self, number: int) -> Script:
        """The script of a conversation; they are numbered from 1."""
        again, place = divmod(number - 1, len(self._scripts))
        if self._round != again:
            self._round, self._order = again, list(range(len(self._scripts)))
            Random(f"{self._seed}/{again}").shuffle(self._order)  # noqa: S311 - reproducible, not secret
        return self._scripts[self._order[place]]


def think_seconds(turn: Turn, settings: Conversation | None, seed: str) -> float:
    """Seconds from the answer of the turn before to this turn; the same seed gives the same time."""
    if turn.think_time is not None:
        return turn.think_time
    planned = None if settings is None else settings.think_time
    if isinstance(planned, dict):
        mean = planned["exponential"]
        return Random(seed).expovariate(1 / mean) if mean else 0.0  # noqa: S311 - reproducible, not secret
    return planned or 0.0


def first_words(script: Script, nonce: str) -> Script:
    """The script with its opening, and a nonce after it, before its first text."""
    first, before = script.turns[0], script.opening + nonce
    if not before:
        return script
    if isinstance(first.content, str):
        content: Any = before + first.content
    else:
        content = copy.deepcopy(first.content)
        part = next((part for part in content if isinstance(part.get("text"), str)), None)
        if part is None:
            return script
        part["text"] = before + part["text"]
    return replace(script, turns=(replace(first, content=content), *script.turns[1:]))
