"""Coordinated omission: a server stalls, users wait, and each way of measuring shows another part of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.calibration.probe import run_load
from bench.calibration.truth import AnswerSchedule, Stall
from configs.load import Load, Timeouts

pytestmark = pytest.mark.e2e

ANSWERS = AnswerSchedule(ttft=0.05, gap=0.005, tokens=4)
STALL = Stall(after_s=2.0, seconds=3.0)
RATE, USERS = 40.0, 2
TIMEOUTS = Timeouts(connect=60.0, first_byte=60.0, total=120.0)
TOLERANCE_MS = 100.0
"""A busy machine is late by far less than the stall."""


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pd.DataFrame]:
    """The rows of a loop, of one server that stalls, joined with the server's own log."""

    def rows_of(name: str, **load: Any) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp(name)
        whole = Load(warm_up=0.0, measure=12.0, timeouts=TIMEOUTS, **load)
        log = run_load(whole, folder, schedule=ANSWERS, stall=STALL)
        rows = pd.read_csv(folder / "requests.csv")
        rows["number"] = rows["finish_reason"].str[1:].astype(int)
        return rows.merge(pd.read_csv(log), on="number", validate="one_to_one").sort_values("started_at")

    made = {
        "open": rows_of("open", rate=(RATE,), arrivals="constant"),
        "closed": rows_of("closed", concurrency=(USERS,)),
    }
    return made.__getitem__


def p99(values: "pd.Series[float]") -> float:
    return float(np.percentile(values, 99))


def test_latency_from_the_arrival_shows_the_stall_as_the_servers_log_has_it(
    play: Callable[[str], pd.DataFrame],
) -> None:
    rows = play("open").sort_values("arrival")
    first = rows.iloc[0]
    came = (
        first["started_at"] - first["schedule_delay_ms"] / 1000 + (rows["arrival"] - first["arrival"]) / RATE
    )
    truth = 1000 * (rows["last_sent_at"] - came)
    measured = rows["e2e_ms"] + rows["schedule_delay_ms"]
    assert p99(measured) == pytest.approx(p99(truth), abs=TOLERANCE_MS)
    assert p99(measured) > 0.8 * 1000 * STALL.seconds
    assert (measured > 1000).mean() > 0.1, "two of three seconds of arrivals waited for more than one"


def test_latency_from_the_start_and_the_closed_loop_hide_it(play: Callable[[str], pd.DataFrame]) -> None:
    started, closed = play("open"), play("closed")
    assert (started["e2e_ms"] > 1000).mean() < 0.05, (
        "most could not even connect, and started after the stall"
    )
    assert (closed["e2e_ms"] > 1000).sum() == USERS, "each user waited once"
    assert np.percentile(closed["e2e_ms"], 95) < 1000
