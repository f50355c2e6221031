"""Conversations in the report: completed ones, the latency of each turn, what a conversation costs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.metrics.conversations import completed_turns, conversations_per_minute
from analysis.metrics.cost import usd_per_conversation
from analysis.metrics.definitions import Window
from analysis.report import measure_and_judge
from tests.analysis.records import records
from tests.analysis.runs import SLO, summary_of
from tests.support.synthetic_run import Deployed, write_run

WINDOW = Window(100.0, 160.0)


def turn(session: int, number: int, ended_at: float, **more: object) -> dict[str, object]:
    row = {"session": session, "turn": number, "worker": "w0", "arrival": session}
    return row | {"started_at": ended_at - 1.0, "e2e_ms": 1000.0} | more


def test_a_conversation_counts_where_its_last_turn_is_answered() -> None:
    failed = {"outcome": "failed", "e2e_ms": None, "elapsed_ms": 10.0}
    rows = records(
        turn(1, 1, 90.0), turn(1, 2, 110.0),  # began before the window
        turn(2, 1, 105.0), turn(2, 2, 120.0), turn(2, 3, 130.0),
        turn(3, 1, 150.0), turn(3, 2, 161.0),  # ends after the window
        turn(4, 1, 140.0, **failed), turn(4, 2, 140.0, outcome="censored", error_class="predecessor"),
        {"started_at": 120.0, "e2e_ms": 500.0},  # a single request
    )  # fmt: skip
    assert sorted(completed_turns(rows, WINDOW)) == [2.0, 3.0]
    assert conversations_per_minute(rows, WINDOW) == pytest.approx(2.0)
    assert usd_per_conversation(6.0, 2, 2.0) == pytest.approx(0.1)


def test_two_workers_of_a_closed_loop_may_count_alike() -> None:
    rows = records(
        turn(1, 1, 110.0, arrival=None),
        turn(1, 2, 120.0, arrival=None),
        turn(1, 1, 115.0, arrival=None, worker="w1"),
    )
    assert sorted(completed_turns(rows, WINDOW)) == [1.0, 2.0]


def make_conversations(folder: Path) -> None:
    """Turn a run into conversations of three turns; of every tenth, only the first was answered."""
    rows = pd.read_csv(folder / "requests.csv").sort_values("started_at", kind="stable")
    place = np.arange(len(rows))
    rows["session"], rows["turn"] = place // 3 + 1, place % 3 + 1
    cut = (rows["session"] % 10 == 0) & (rows["turn"] > 1)
    for name in ("ttft_ms", "e2e_ms", "tpot_ms", "completion_tokens"):
        rows[name] = rows[name].mask(cut)
    for name, value in (("outcome", "censored"), ("error_class", "predecessor"), ("elapsed_ms", 0.0)):
        rows[name] = rows[name].astype(object).mask(cut, value)
    rows["prompt_tokens"] = 100 * rows["turn"]
    rows["cached_prompt_tokens"] = 100 * (rows["turn"] - 1)
    rows["session_id"] = np.where(cut | (rows["session"] % 5 == 1), "", "a-1")
    rows["session_open_ms"] = np.where((rows["turn"] == 1) & (rows["session_id"] == "a-1"), 12.0, np.nan)
    rows.to_csv(folder / "requests.csv", index=False)


def test_the_report_has_each_turn_and_the_price_of_a_conversation(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(4,)),), slo=SLO)
    make_conversations(tmp_path)
    result = measure_and_judge(tmp_path)
    step = result.steps[0]
    facts = step.conversations
    assert facts is not None
    assert [each.prompt_tokens_mean for each in facts.turns] == [100.0, 200.0, 300.0]
    assert facts.turns_mean == 3.0
    assert "cached_prompts" not in step.trust.codes, "later turns repeat what was said"
    assert facts.cut_off == sum(each.counts.censored for each in facts.turns) > 0
    assert facts.sessions is not None
    assert facts.sessions.share == pytest.approx(0.8, abs=0.05), "of the answered turns"
    assert facts.sessions.opening is not None
    assert facts.sessions.opening.mean == 12.0
    assert "censored_requests" not in step.trust.codes
    [written] = summary_of(result)["experiments"][0]["steps"]
    assert written["conversations"]["sessions"]["opening_ms"]["n"] == facts.sessions.opening.n
    price = result.experiments[0].usd_per_hour or 0.0
    assert written["conversations"]["usd"] == pytest.approx(price / 60 / (facts.per_minute or 1.0))
