"""The conversations of a process: which turn comes next and when, and a row for each that never comes."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from locustfiles.client.response import InvocationResult
from locustfiles.messages import Arrival
from locustfiles.worker.dialogue import Dialogue, Dialogues

if TYPE_CHECKING:
    from runfolder.records import ErrorClass, Outcome

RUN_ENDED = "the run ended before this turn"
STOPPED = "its user was stopped before this turn"
NOT_ANSWERED = "an earlier turn of the conversation was not answered"


class Unsent(NamedTuple):
    """A turn that was due, or would have been, and is not sent."""

    step: str
    payload_id: str
    session: int
    turn: int
    at: float
    """Epoch seconds."""
    arrival: int | None
    outcome: "Outcome"
    detail: str

    @property
    def why(self) -> "ErrorClass | None":
        """The error class of its row."""
        return "predecessor" if self.detail == NOT_ANSWERED else None


class Conversations:
    """Keeps every turn of a conversation behind its predecessor.

    In an open loop, the next turn of a script is scheduled when its predecessor was answered: it comes due
    after the user's think time. The turns of a trace have times of their own; one that is due waits for its
    predecessor. When a turn is not answered, the later ones end as rows too, cut off.

    Args:
        dialogues: begins conversations and writes bodies.
        schedule: hands an arrival on at its time.
        record: makes a row of a turn that is not sent.
        step: the current step.
    """

    def __init__(
        self,
        dialogues: Dialogues,
        *,
        schedule: Callable[[str, Arrival], None],
        record: Callable[[Unsent], None],
        step: Callable[[], str | None],
    ) -> None:
        self._dialogues = dialogues
        self._schedule = schedule
        self._record = record
        self._step = step
        self._arrived: dict[int, Dialogue] = {}
        """Conversations of the open loop that have turns to come, by session."""
        self._of_users: set[Dialogue] = set()
        self._ended_at: float | None = None
        """When the run ended."""
        self.scripted = dialogues.scripted
        """Whether the payload holds conversations. In a trace, the sessions do."""
        self.body = dialogues.body
        self.think_s = dialogues.think_s

    def begin_of_user(self, dialogues: Iterator[Dialogue]) -> Dialogue:
        """The next conversation of a user of a closed loop."""
        dialogue = next(dialogues)
        self._of_users.add(dialogue)
        return dialogue

    def due(self, step: str, arrival: Arrival) -> Dialogue | None:
        """The conversation whose turn is due; None if the turn must wait, or has ended as a row."""
        dialogue = self._arrived.get(arrival.session or 0)
        if arrival.turn == 1:
            dialogue = self._arrived[arrival.session or 0] = self._dialogues.begin(arrival)
        elif dialogue is None:
            self._record_turn(step, arrival, "censored", NOT_ANSWERED)
            return None
        elif dialogue.in_flight:
            dialogue.waiting.append((step, arrival))
            return None
        elif not dialogue.scripted:
            self._dialogues.add_turn(dialogue, arrival)
        # A later turn of a script belongs to the step in which it is due.
        later = dialogue.scripted and arrival.turn != 1
        dialogue.step = self._step() or step if later else step
        return dialogue

    def withhold(self, dialogue: Dialogue, arrival: Arrival, detail: str) -> None:
        """Record the turn that is due as withheld, and cut off the later ones."""
        dialogue.answered += 1
        self._record_turn(dialogue.step, arrival, "withheld", detail, dialogue.payload_id)
        self._cut_off(dialogue, NOT_ANSWERED)

    def end_turn(self, dialogue: Dialogue, outcome: InvocationResult) -> None:
        """Carry on after a turn: with the next one, or with rows for those that will not come."""
        dialogue.in_flight = False
        request = outcome.request
        if request.outcome != "ok":
            dialogue.answered += 1
            self._cut_off(dialogue, RUN_ENDED if request.outcome == "censored" else NOT_ANSWERED)
            return
        self._dialogues.record_answer(dialogue, outcome)
        if dialogue.answered == dialogue.last_turn:
            self._forget(dialogue)
        elif self._ended_at is not None:
            self._cut_off(dialogue, RUN_ENDED)
        elif dialogue.arrival is not None and dialogue.scripted:
            answered_at = request.started_at + (request.e2e_ms or 0.0) / 1000
            at, turn = answered_at + self.think_s(dialogue), dialogue.answered + 1
            arrival = Arrival(dialogue.arrival, at, None, None, dialogue.session, turn, dialogue.last_turn)
            self._schedule(dialogue.step, arrival)
        elif dialogue.waiting:
            self._schedule(*dialogue.waiting.popleft())

    def stop(self, until: float) -> None:
        """Cut off every conversation that waits for its next turn; one in flight is cut off after it."""
        self._ended_at = until
        for dialogue in [*self._arrived.values(), *self._of_users]:
            if not dialogue.in_flight:
                self._cut_off(dialogue, RUN_ENDED)

    def leave(self, dialogue: Dialogue) -> None:
        """End the conversation of a user that Locust stops."""
        if not dialogue.over and not dialogue.in_flight:
            self._cut_off(dialogue, STOPPED)

    def _cut_off(self, dialogue: Dialogue, detail: str) -> None:
        self._forget(dialogue)
        now = time.time()
        at = now if self._ended_at is None else min(now, self._ended_at)
        if not dialogue.scripted:
            for step, arrival in dialogue.waiting:
                self._record_turn(step, arrival, "censored", detail)
            return
        step, payload_id, session = dialogue.step, dialogue.payload_id, dialogue.session
        for turn in range(dialogue.answered + 1, dialogue.last_turn + 1):
            self._record(Unsent(step, payload_id, session, turn, at, dialogue.arrival, "censored", detail))

    def _forget(self, dialogue: Dialogue) -> None:
        dialogue.over = True
        if dialogue.arrival is None:
            self._of_users.discard(dialogue)
        else:
            self._arrived.pop(dialogue.session, None)

    def _record_turn(
        self, step: str, arrival: Arrival, outcome: "Outcome", detail: str, payload_id: str = ""
    ) -> None:
        session, turn = arrival.session or 0, arrival.turn or 1
        self._record(Unsent(step, payload_id, session, turn, arrival.at, arrival.number, outcome, detail))
