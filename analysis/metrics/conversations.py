"""Conversations: which rows belong to one, and how many were completed. Pure functions of records."""

import numpy as np
import pandas as pd

from analysis.metrics.definitions import Window, ended_at, numbers
from analysis.metrics.statistics import Floats


def completed_turns(rows: pd.DataFrame, window: Window) -> Floats:
    """Conversations completed: those whose last turn was answered inside the window.

    Formula: one element per conversation with an ok row of its last turn and start ≤ its end < end, its value
    the number of turns. Rows are of one conversation if session is the same, in closed loop worker too; its
    last turn is the greatest, because every turn has a row.
    Unit: turns.
    Source: what happened inside the window is its throughput, as for requests.
    """
    turns = rows[rows["turn"].notna().to_numpy()]
    if turns.empty:
        return np.empty(0)
    arrived = turns["arrival"].notna().to_numpy()
    of_worker = turns["worker"].astype(object).where(~arrived, "")
    last = turns.groupby([of_worker, turns["session"]], sort=False)["turn"].transform("max")
    end = ended_at(turns)
    whole = (turns["turn"] == last).to_numpy() & (turns["outcome"] == "ok").to_numpy()
    return numbers(turns, "turn")[whole & (end >= window.start) & (end < window.end)]


def conversations_per_minute(rows: pd.DataFrame, window: Window) -> float | None:
    """Throughput in conversations.

    Formula: 60 × conversations completed in the window / seconds of the window.
    Unit: conversations per minute; absent without one.
    Source: as requests per minute.
    """
    count = len(completed_turns(rows, window))
    return 60 * count / window.seconds if count and window.seconds > 0 else None


def session_share(turns: pd.DataFrame) -> float | None:
    """Share of the turns that were served in a stateful session.

    Formula: answered turns with a session_id / answered turns. SageMaker sends every request that names a
    session to the instance that opened it.
    Unit: 0 to 1; absent without an answered turn.
    Source: AWS's documentation of stateful sessions.
    """
    return float(turns["session_id"].notna().mean()) if len(turns) else None
