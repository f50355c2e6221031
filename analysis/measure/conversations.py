"""The conversations of a step: how many were completed, and the latency of each turn."""

import pandas as pd

from analysis.measure.answers import cached_share
from analysis.measure.conversation_parts import ConversationFacts, SessionFacts, TurnFacts
from analysis.measure.step_window import count_outcomes, describe
from analysis.metrics.conversations import completed_turns, conversations_per_minute, session_share
from analysis.metrics.definitions import Window, measured, numbers

_MOST_TURNS = 20


def conversation_facts(rows: pd.DataFrame, started: pd.DataFrame, window: Window) -> ConversationFacts | None:
    """Describe a step's conversations; None if it has none.

    Args:
        rows: all rows of the experiment: a conversation may have begun in an earlier step.
        started: the step's rows that started in the window; in open loop, that arrived in it.
        window: the measure window.
    """
    if not started["turn"].notna().any():
        return None
    turns = completed_turns(rows, window)
    numbered = sorted(int(turn) for turn in started["turn"].dropna().unique())
    return ConversationFacts(
        completed=len(turns),
        per_minute=conversations_per_minute(rows, window),
        turns_mean=float(turns.mean()) if len(turns) else None,
        cut_off=int((started["error_class"] == "predecessor").sum()),
        sessions=_sessions(started, window),
        turns=tuple(
            _turn(turn, started[(started["turn"] == turn).to_numpy()], window)
            for turn in numbered[:_MOST_TURNS]
        ),
    )


def _sessions(started: pd.DataFrame, window: Window) -> SessionFacts | None:
    turns = started[(started["turn"].notna() & (started["outcome"] == "ok")).to_numpy()]
    share = session_share(turns)
    return SessionFacts(share, describe(turns, "session_open_ms", window)) if share else None


def _turn(turn: int, rows: pd.DataFrame, window: Window) -> TurnFacts:
    ok = rows[(rows["outcome"] == "ok").to_numpy()]
    prompts = measured(numbers(ok, "prompt_tokens"))
    return TurnFacts(
        turn=turn,
        counts=count_outcomes(rows["outcome"]),
        prompt_tokens_mean=float(prompts.mean()) if len(prompts) else None,
        cached_share=cached_share(ok),
        ttft=describe(ok, "ttft", window),
        e2e=describe(ok, "e2e", window),
    )
