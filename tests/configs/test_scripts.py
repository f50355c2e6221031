"""What the rows of a payload say as conversations."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from configs.conversation import Conversation, Turn
from configs.payload import read_payload
from configs.scripts import Script, ScriptOrder, first_words, scripts_of, think_seconds


def scripts(tmp_path: Path, *rows: Any, **settings: Any) -> list[Script]:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    plan = Conversation(**settings) if settings else None
    return scripts_of(read_payload(path, whole=plan is not None), plan)


def said(found: list[Script]) -> list[list[Any]]:
    return [[turn.content for turn in script.turns] for script in found]


def test_turns_are_a_conversation_without_a_plan(tmp_path: Path) -> None:
    row = {
        "turns": ["a", {"prompt": "b", "think_time": "2s", "output_tokens": 7, "prompt_tokens": 1}],
        "system": "s",
    }
    [script] = scripts(tmp_path, row)
    assert script.turns == (Turn("a"), Turn("b", 2.0, 7, 1))
    assert script.prelude == ({"role": "system", "content": "s"},)
    assert said(scripts(tmp_path, row, turns=1)) == [["a"]]


def test_the_user_messages_of_a_chat_are_its_turns(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "recorded"},
            {"role": "user", "content": "b"},
        ]
    }
    [script] = scripts(tmp_path, row, think_time=1)
    assert (said([script]), script.prelude) == ([["a", "b"]], ({"role": "system", "content": "s"},))
    assert scripts(tmp_path, row) == []


def test_all_of_a_sharegpt_conversation_is_played(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "x"}, {"from": "human", "value": "b"}]
    assert said(scripts(tmp_path, {"id": "q", "conversations": turns}, think_time=1)) == [["a", "b"]]


def test_prompts_in_a_row_make_conversations(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}"} for n in range(7)]
    assert said(scripts(tmp_path, *rows, turns=3)) == [["p0", "p1", "p2"], ["p3", "p4", "p5"]]
    assert said(scripts(tmp_path, *rows[:2], turns=3)) == [["p0", "p1"]]
    assert scripts(tmp_path, *rows) == []


@pytest.mark.parametrize(
    ("turns", "finding"),
    [
        ([], "turns must be a list"),
        ([{"think_time": 1}], "turn 1 must have a prompt"),
        (["a", {"prompt": "b", "output_tokens": 0}], "turn 2: output_tokens must be"),
        ([{"prompt": "a", "think_time": -1}], "turn 1: think_time"),
        ([{"prompt": "a", "thinktime": 1}], "unknown key thinktime"),
    ],
)
def test_a_wrong_turn_is_named(tmp_path: Path, turns: Any, finding: str) -> None:
    with pytest.raises(UserError, match=finding):
        scripts(tmp_path, {"turns": turns})


def test_every_script_comes_once_before_any_comes_again() -> None:
    chosen = [Script(f"p{n}", (Turn("a"),)) for n in range(5)]
    order, other = ScriptOrder(chosen, "seed"), ScriptOrder(chosen, "seed")
    names = [order.script(number).payload_id for number in range(1, 11)]
    assert sorted(names[:5]) == sorted(names[5:]) == [f"p{n}" for n in range(5)]
    assert [other.script(number).payload_id for number in (9, 2)] == [names[8], names[1]]


def test_think_times_are_of_the_turn_else_of_the_plan() -> None:
    plan = Conversation(think_time={"exponential": "4s"})
    drawn = [think_seconds(Turn("a"), plan, f"s/{n}") for n in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(4.0, rel=0.1)
    assert think_seconds(Turn("a"), plan, "s/1") == drawn[1]
    assert think_seconds(Turn("a", think_time=1.5), plan, "s") == 1.5
    assert think_seconds(Turn("a"), Conversation(think_time=2), "s") == 2.0
    assert think_seconds(Turn("a"), None, "s") == 0.0


def test_a_nonce_stands_after_what_conversations_share() -> None:
    script = Script("p", (Turn("question"), Turn("more")), opening="shared ")
    assert said([first_words(script, "nonce ")]) == [["shared nonce question", "more"]]
    parts = Script("p", (Turn([{"type": "text", "text": "look"}]),))
    assert said([first_words(parts, "n ")]) == [[[{"type": "text", "text": "n look"}]]]
    assert said([parts]) == [[[{"type": "text", "text": "look"}]]]
