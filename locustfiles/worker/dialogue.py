"""The turns of a conversation: each request holds what was said before, with the model's own answers."""

import itertools
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.conversation import Conversation, Turn
from configs.nonce import nonce
from configs.payload import PayloadRow
from configs.scripts import Script, ScriptOrder, first_words, think_seconds
from locustfiles.client.request_bodies import Body, BodyFactory
from locustfiles.client.response import InvocationResult
from locustfiles.client.session_id import Session
from locustfiles.messages import Arrival
from locustfiles.worker.trace_prompts import TracePrompts


@dataclass(eq=False, slots=True)
class Dialogue:
    """One conversation as far as it has come."""

    session: int
    payload_id: str
    turns: list[Turn]
    """Of the script; in a trace, those that have come due."""
    last_turn: int
    """Number of its last turn."""
    name: str
    """Unique in the run: what is drawn for the conversation depends on it."""
    messages: list[dict[str, Any]]
    """What was said before the next turn."""
    arrival: int | None = None
    """Number of its arrival, in an open loop."""
    scripted: bool = True
    """Whether it follows the payload; otherwise a trace."""
    step: str = ""
    """Of the turn that was due last."""
    answered: int = 0
    """Turns that have their answer."""
    tokens: int = 0
    """Of ``messages``, as far as the server counted them."""
    stateful: Session | None = None
    """The session that keeps it on one instance, once it is open."""
    interrupted: bool = False
    """Its user was stopped while it closed the session."""
    in_flight: bool = False
    over: bool = False
    """Every turn has a row, or will have none."""
    waiting: deque[tuple[str, Arrival]] = field(default_factory=deque)
    """Turns of a trace that are due and wait for the answer before them."""

    @property
    def turn(self) -> Turn:
        """The turn that is next, or in flight."""
        return self.turns[self.answered]

    @property
    def shown(self) -> str:
        """What the turn says, for a reader."""
        content = self.turn.content
        return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


class Dialogues:
    """Begins the conversations of a process and writes the bodies of their turns.

    Args:
        scripts: of the payload; none if it holds single requests.
        bodies: writes requests, and has the rows from which a trace's turns take their text.
        settings: the plan's.
        seed: of the experiment.
        trace_prompts: makes the text of a trace's turns; None if it comes from rows of the nearest length.
    """

    def __init__(
        self,
        scripts: Sequence[Script],
        bodies: BodyFactory,
        settings: Conversation | None,
        seed: str,
        trace_prompts: TracePrompts | None = None,
    ) -> None:
        self._scripts = scripts
        self._bodies = bodies
        self._settings = settings
        self._seed = seed
        self._trace_prompts = trace_prompts
        self._order = ScriptOrder(scripts, seed) if scripts else None
        self._numbers = itertools.count(1)

    @property
    def scripted(self) -> bool:
        """Whether the payload holds conversations. In a trace, the sessions do."""
        return self._order is not None

    def of_user(self, seed: str) -> Iterator[Dialogue]:
        """Endless conversations for one user of a closed loop; the seed is the user's own."""
        order = ScriptOrder(self._scripts, seed)
        for count in itertools.count(1):
            yield self._follow(order.script(count), f"{seed}/{count}", next(self._numbers), None)

    def begin(self, arrival: Arrival) -> Dialogue:
        """The conversation that an arrival begins: it depends on the arrival and not on the worker."""
        session = arrival.session or arrival.number
        name = f"{self._seed}/{session}"
        if self._order is not None:
            return self._follow(self._order.script(session), name, session, arrival.number)
        dialogue = Dialogue(session, "", [], arrival.turns or 1, name, [], arrival.number, scripted=False)
        self.add_turn(dialogue, arrival)
        return dialogue

    def _follow(self, script: Script, name: str, session: int, arrival: int | None) -> Dialogue:
        script = first_words(script, nonce(name) if self._bodies.unique else "")
        turns, prelude = list(script.turns), list(script.prelude)
        return Dialogue(session, script.payload_id, turns, len(turns), name, prelude, arrival)

    def add_turn(self, dialogue: Dialogue, arrival: Arrival) -> None:
        """Add the turn of a trace that comes next.

        The trace's prompt is the whole prompt: the new text has the length that is not yet in the messages.
        """
        row = self._row_of_turn(dialogue, arrival)
        content: Any = row.text
        if row.messages is not None:
            content = next(m["content"] for m in reversed(row.messages) if m["role"] == "user")
        unique = self._bodies.unique and self._trace_prompts is None
        if unique and not dialogue.turns and isinstance(content, str):
            content = nonce(dialogue.name) + content
        dialogue.payload_id = row.payload_id
        turn = Turn(content, None, arrival.output_tokens, row.prompt_tokens, arrival.prompt_tokens)
        dialogue.turns.append(turn)

    def _row_of_turn(self, dialogue: Dialogue, arrival: Arrival) -> PayloadRow:
        if self._trace_prompts is None:
            wanted = arrival.prompt_tokens
            new = None if wanted is None else max(1, wanted - dialogue.tokens)
            return self._bodies.row_for(new, arrival.number)
        if not dialogue.turns:
            return self._trace_prompts.row(arrival)
        return self._trace_prompts.further_turn(arrival, dialogue.tokens)

    def think_s(self, dialogue: Dialogue) -> float:
        """Seconds from the last answer to the next turn; 0 before the first."""
        if not dialogue.answered:
            return 0.0
        return think_seconds(dialogue.turn, self._settings, f"{dialogue.name}/{dialogue.answered}")

    def body(self, dialogue: Dialogue) -> Body:
        """The body of the next turn."""
        turn = dialogue.turn
        said = [*dialogue.messages, {"role": "user", "content": turn.content}]
        known = None if dialogue.messages else turn.prompt_tokens
        return self._bodies.chat_body(
            dialogue.payload_id,
            said,
            known,
            output_tokens=turn.output_tokens,
            asked_prompt_tokens=turn.asked_prompt_tokens,
        )

    def record_answer(self, dialogue: Dialogue, outcome: InvocationResult) -> None:
        """Carry an answer into the next turn: what the model said, without its reasoning."""
        request, turn = outcome.request, dialogue.turn
        dialogue.messages += [
            {"role": "user", "content": turn.content},
            {"role": "assistant", "content": outcome.text[len(outcome.reasoning) :]},
        ]
        said = (request.completion_tokens or 0) - (request.reasoning_tokens or 0)
        dialogue.tokens = (request.prompt_tokens or 0) + max(0, said)
        dialogue.answered += 1
