"""Locust's cumulative counters over time as what happened between two rows. Pure functions.

Statistics that are reset in mid-run (``--reset-stats``, the web page's button) make the counters go back.
What happened between the last row before a reset and the reset itself is in no file: that interval is left
out of every amount, and its seconds out of every rate.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.importers.locust.files import AGGREGATED
from analysis.measure.locust_run import Key
from analysis.metrics.statistics import Floats

TOTAL: Key = ("", AGGREGATED)


@dataclass(frozen=True)
class Amounts:
    """What happened in each interval between two rows: answered and failed requests, summed milliseconds."""

    requests: Floats
    failures: Floats
    response_ms: Floats


@dataclass(frozen=True)
class Timeline:
    """A run over time. Interval ``i`` lies between ``at[i]`` and ``at[i + 1]``.

    Attributes:
        at: the rows' times in epoch seconds, each once.
        users: running users at those times; NaN where the file does not say.
        seconds: length of each interval, 0 where the counters were reset in it.
        reset: whether the counters were reset in the interval.
        amounts: per method and name; the aggregate is `TOTAL`.
    """

    at: Floats
    users: Floats
    seconds: Floats
    reset: np.ndarray
    amounts: dict[Key, Amounts]

    @property
    def names(self) -> list[Key]:
        """Methods and names that have a history of their own: none without ``--csv-full-history``."""
        return [key for key in self.amounts if key != TOTAL]

    def added(self, keys: Iterable[Key]) -> Amounts | None:
        """The sum of several names; None when one of them has no history."""
        parts = [self.amounts.get(key) for key in keys]
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return Amounts(
            requests=np.sum([part.requests for part in known], axis=0),
            failures=np.sum([part.failures for part in known], axis=0),
            response_ms=np.sum([part.response_ms for part in known], axis=0),
        )


def timeline(history: pd.DataFrame) -> Timeline | None:
    """The history as intervals; None with fewer than two times.

    A name counts nothing before its first row. Of several rows of one name and time the last one holds.
    """
    history = history[history["Timestamp"].notna()]
    at = np.unique(history["Timestamp"].to_numpy(dtype=float))
    if len(at) < 2:
        return None
    named = [
        (_key(str(method), str(name)), rows.drop_duplicates("Timestamp", keep="last").set_index("Timestamp"))
        for (method, name), rows in history.groupby(["Type", "Name"], sort=False)
    ]
    counters = {key: _counters(rows, at) for key, rows in named}
    reset = np.any([_went_back(each) for each in counters.values()], axis=0)
    seconds = np.where(reset, 0.0, np.diff(at))
    amounts = {}
    for key, frame in counters.items():
        sent, failed = frame["sent"].to_numpy(), frame["failed"].to_numpy()
        response_ms = np.diff(sent * frame["mean"].to_numpy())
        parts = (np.diff(sent), np.diff(failed), response_ms)
        amounts[key] = Amounts(*(np.where(reset, 0.0, part) for part in parts))
    users = np.full(len(at), np.nan)
    if "User Count" in history:
        last = history.drop_duplicates("Timestamp", keep="last").set_index("Timestamp")["User Count"]
        users = last.reindex(at).to_numpy(dtype=float)
    return Timeline(at, users, seconds, reset, amounts)


def _key(method: str, name: str) -> Key:
    return TOTAL if name == AGGREGATED and method in ("", "N/A", "None") else (method, name)


def _counters(rows: pd.DataFrame, at: Floats) -> pd.DataFrame:
    """A name's counters at every time of the run."""
    columns = {
        "sent": "Total Request Count",
        "failed": "Total Failure Count",
        "mean": "Total Average Response Time",
        "low": "Total Min Response Time",
        "high": "Total Max Response Time",
    }
    own = pd.DataFrame(
        {short: rows.get(column, np.nan) for short, column in columns.items()},
        index=rows.index,
    )
    own = own.reindex(at).ffill()
    counts = own[["sent", "failed"]].fillna(0.0)
    return own.assign(
        sent=counts["sent"], failed=counts["failed"], mean=own["mean"].where(counts["sent"] > 0, 0)
    )


def _went_back(counters: pd.DataFrame) -> np.ndarray:
    """Intervals after which less was counted, the fastest was slower, or the slowest faster than before.

    The last two find a reset after which more was counted within the interval than had been before it.
    """
    sent, low, high = (counters[name].to_numpy(dtype=float) for name in ("sent", "low", "high"))
    fewer = (np.diff(sent) < 0) | (np.diff(counters["failed"].to_numpy(dtype=float)) < 0)
    counted = sent[:-1] > 0
    with np.errstate(invalid="ignore"):
        narrower = (np.diff(low) > 0) | (np.diff(high) < 0)
    return np.asarray(fewer | (counted & narrower))
