"""Whatever becomes of its turns, a conversation ends with exactly one row of each, in their order."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.conversation import Conversation, Turn
from configs.payload import PayloadRow
from configs.scripts import scripts_of
from locustfiles.client.request_bodies import BodyFactory
from locustfiles.client.response import InvocationResult
from locustfiles.messages import Arrival
from locustfiles.worker.conversation import Conversations, Unsent
from locustfiles.worker.dialogue import Dialogue, Dialogues
from runfolder.records import Request

THINK_S = 3.0


class Desk:
    """The conversations of a process without Locust: what is scheduled, sent and recorded."""

    def __init__(self, turns: int = 0, schema: str = "openai") -> None:
        rows = [PayloadRow("p1", "a trace's text", 4)]
        if turns:
            say = tuple(Turn(f"turn {n}") for n in range(1, turns + 1))
            rows = [PayloadRow("p1", "", None, turns=say)]
        plan = Conversation(think_time=THINK_S)
        scripts = scripts_of(rows, plan) if turns else []
        self.bodies = BodyFactory(
            [] if scripts else rows,
            schema=schema,  # type: ignore[arg-type]
            route="invocations",
            stream=True,
            parameters={"max_tokens": 9},
            unique_prefix=False,
        )
        self.scheduled: list[tuple[str, Arrival]] = []
        self.unsent: list[Unsent] = []
        self.sent: list[tuple[int, int]] = []
        self.talks = Conversations(
            Dialogues(scripts, self.bodies, plan, "seed"),
            schedule=lambda step, arrival: self.scheduled.append((step, arrival)),
            record=self.unsent.append,
            step=lambda: "now",
        )

    def due(self, arrival: Arrival, step: str = "s") -> Dialogue | None:
        dialogue = self.talks.due(step, arrival)
        if dialogue is not None:
            dialogue.in_flight = True
            self.sent.append((dialogue.session, dialogue.answered + 1))
        return dialogue

    def answer(self, dialogue: Dialogue, outcome: Any = "ok", text: str = "yes", **more: Any) -> None:
        request = Request("r", dialogue.step, "w0", "p1", 100.0, e2e_ms=500.0, outcome=outcome, **more)
        self.talks.end_turn(dialogue, InvocationResult(request, [], text, 500.0))


def first(turns: int, session: int = 1) -> Arrival:
    return Arrival(session, 99.0, session=session, turn=1, turns=turns)


def messages(desk: Desk, dialogue: Dialogue) -> Any:
    return json.loads(desk.talks.body(dialogue).data)["messages"]


def test_a_turn_carries_the_answers_before_it_and_follows_after_the_think_time() -> None:
    desk = Desk(turns=3)
    dialogue = desk.due(first(3))
    assert dialogue is not None
    assert messages(desk, dialogue) == [{"role": "user", "content": "turn 1"}]
    desk.answer(dialogue, text="one")
    [(_, second)] = desk.scheduled
    assert (second.number, second.turn, second.at) == (1, 2, pytest.approx(100.5 + THINK_S))
    again = desk.due(second, step="old")
    assert again is dialogue
    assert dialogue.step == "now"
    assert messages(desk, dialogue) == [
        {"role": "user", "content": "turn 1"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "turn 2"},
    ]


def test_a_container_without_a_chat_gets_one_text() -> None:
    desk = Desk(turns=2, schema="tgi")
    dialogue = desk.due(first(2))
    assert dialogue is not None
    desk.answer(dialogue, text="one")
    assert json.loads(desk.talks.body(dialogue).data)["inputs"] == "turn 1\n\none\n\nturn 2"


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(["failed", "censored", "withheld", "stop"]))
def test_every_turn_ends_as_one_row(turns: int, last: int, end: str) -> None:
    desk, last = Desk(turns), min(last, turns)
    arrival = first(turns)
    for turn in range(1, last + 1):
        dialogue = desk.talks.due("s", arrival)
        assert dialogue is not None
        if turn == last and end == "withheld":
            desk.talks.withhold(dialogue, arrival, "full")
            break
        dialogue.in_flight = True
        desk.sent.append((1, turn))
        desk.answer(dialogue, end if turn == last and end != "stop" else "ok")
        if turn < last:
            arrival = desk.scheduled.pop()[1]
    desk.talks.stop(200.0)
    assert sorted([turn for _, turn in desk.sent] + [row.turn for row in desk.unsent]) == list(
        range(1, turns + 1)
    )
    cut_off = [row for row in desk.unsent if row.outcome == "censored"]
    assert {row.why for row in cut_off} <= {"predecessor" if end in ("failed", "withheld") else None}


def test_a_turn_in_flight_when_the_run_ends_is_the_last_one_that_is_sent() -> None:
    desk = Desk(turns=3)
    dialogue = desk.due(first(3))
    assert dialogue is not None
    desk.talks.stop(150.0)
    assert desk.unsent == []
    desk.answer(dialogue)
    assert desk.scheduled == []
    assert [(row.turn, row.outcome, row.at) for row in desk.unsent] == [
        (2, "censored", 150.0),
        (3, "censored", 150.0),
    ]


def trace(turn: int, turns: int = 3, prompt_tokens: int | None = None) -> Arrival:
    return Arrival(10 + turn, 100.0 + turn, prompt_tokens, 5, session=11, turn=turn, turns=turns)


def test_a_turn_of_a_trace_waits_until_its_predecessor_is_answered() -> None:
    desk = Desk()
    dialogue = desk.due(trace(1))
    assert dialogue is not None
    assert desk.due(trace(2)) is None
    desk.answer(dialogue, text="one", prompt_tokens=30, completion_tokens=5)
    assert desk.scheduled == [("s", trace(2))]
    assert desk.due(trace(2)) is dialogue
    assert [m["role"] for m in messages(desk, dialogue)] == ["user", "assistant", "user"]
    desk.answer(dialogue, "failed")
    assert desk.due(trace(3)) is None
    assert [(row.arrival, row.turn, row.outcome, row.why) for row in desk.unsent] == [
        (13, 3, "censored", "predecessor")
    ]


def test_a_waiting_turn_of_a_trace_ends_as_a_row_when_the_run_ends() -> None:
    desk = Desk()
    dialogue = desk.due(trace(1))
    assert dialogue is not None
    assert desk.due(trace(2)) is None
    desk.talks.stop(103.0)
    desk.answer(dialogue)
    assert [(row.arrival, row.outcome, row.at) for row in desk.unsent] == [(12, "censored", 102.0)]
    assert desk.scheduled == []


def test_the_reasoning_of_an_answer_is_not_carried() -> None:
    desk = Desk(turns=2)
    dialogue = desk.due(first(2))
    assert dialogue is not None
    request = Request("r", "s", "w0", "p1", 100.0, e2e_ms=500.0)
    desk.talks.end_turn(dialogue, InvocationResult(request, [], "hm, yes", 500.0, reasoning="hm, "))
    assert messages(desk, dialogue)[1] == {"role": "assistant", "content": "yes"}
