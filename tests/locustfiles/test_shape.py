"""Shapes against fakes: pieces follow each other at once, and each is measured from its start to its end."""

import itertools
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.arrivals import ArrivalProcess
from configs.shape import Piece, RateRamp, UserRamp
from locustfiles.master.arrival_schedule import shape_arrivals
from locustfiles.master.user_ramp import ramp_changes
from tests.locustfiles.fake import Play, floats
from tests.locustfiles.runs import rows_of

SPIKE = [{"rate": 4, "for": 20}, {"rate": {"from": 4, "to": 24}, "for": 10}, {"rate": 4, "for": 20}]
NEVER_USED = Random()  # noqa: S311 - constant intervals are not random
RATES = st.floats(0.1, 50)
PIECES = st.builds(
    lambda start, end, seconds: Piece(rate=RateRamp(start=start, end=end), seconds=seconds),
    RATES,
    RATES,
    st.floats(1, 60),
)


@given(pieces=st.lists(PIECES, min_size=1, max_size=4), lead_s=st.sampled_from([0.0, 5.0]))
def test_a_piece_gets_as_many_arrivals_as_its_rate_asks_for(pieces: list[Piece], lead_s: float) -> None:
    ends = list(itertools.accumulate((p.seconds for p in pieces), initial=lead_s))
    arrivals = shape_arrivals(ArrivalProcess("constant"), pieces, NEVER_USED, lead_s)
    times = [a.at for a in itertools.takewhile(lambda a: a.at < ends[-1] + 5, arrivals)]
    assert times == sorted(times)
    for piece, (start, end) in zip(pieces, pairwise(ends), strict=True):
        assert piece.mean_rate is not None
        count = sum(start <= at < end for at in times)
        assert count == pytest.approx(piece.mean_rate * piece.seconds, abs=1.001)


def test_a_ramp_grows_evenly() -> None:
    pieces = [Piece(rate=RateRamp(start=1, end=9), seconds=100)]
    arrivals = shape_arrivals(ArrivalProcess("constant"), pieces, NEVER_USED, 0.0)
    times = [a.at for a in itertools.islice(arrivals, 500)]
    counts = [sum(start <= at < start + 25 for at in times) for start in (0, 25, 50, 75)]
    assert counts == pytest.approx([50, 100, 150, 200], abs=1)


def test_the_time_left_of_a_shape_is_that_of_its_pieces(tmp_path: Path) -> None:
    play = Play(tmp_path, None, shape=SPIKE, arrivals="constant", warm_up=5)
    left: list[float | None] = []
    for phase in ("warm_up", "measure"):
        play.during(phase, lambda: left.append(play.sequence.status.eta_s), after=1.0)
    assert play() == 0
    assert left == pytest.approx([5 + 50 - 1, 50 - 1], abs=1.0)


def test_a_spike_is_played_without_a_pause_and_its_recovery_is_measured(tmp_path: Path) -> None:
    play = Play(tmp_path, None, shape=SPIKE, arrivals="constant")
    assert play() == 0
    assert play.states() == ["complete"] * 3
    assert [step["step"].rsplit("/", 1)[-1] for step in play.steps()] == ["r4", "r4-24", "r4#2"]
    windows = [floats(step, "measure_started_at", "measure_ended_at") for step in play.steps()]
    for (_, end), (start, _) in pairwise(windows):
        assert start == end
    assert [end - start for start, end in windows] == pytest.approx([20, 10, 20], abs=0.1)
    rows = rows_of(tmp_path / "requests.csv")
    for step, (start, end), expected in zip(play.steps(), windows, (80, 140, 80), strict=True):
        own = [row for row in rows if row["step"] == step["step"]]
        inside = [row for row in own if start <= float(row["started_at"]) < end]
        assert len(inside) == pytest.approx(expected, abs=1)
    assert len({row["arrival"] for row in rows}) == len(rows)
    times = sorted(arrival.at for _, _, arrival in play.group.given)
    assert max(b - a for a, b in pairwise(times)) == pytest.approx(0.25)


def test_a_shape_of_users_changes_their_number_at_once(tmp_path: Path) -> None:
    shape = [{"concurrency": 2, "for": 10}, {"concurrency": 8, "for": 5}, {"concurrency": 1, "for": 10}]
    play = Play(tmp_path, None, shape=shape)
    assert play() == 0
    assert play.states() == ["complete"] * 3
    assert [step["concurrency"] for step in play.steps()] == ["2", "8", "1"]
    (_, first), (second, _) = (floats(s, "measure_started_at", "measure_ended_at") for s in play.steps()[:2])
    assert second == first


def test_a_piece_that_was_over_survives_an_interrupt(tmp_path: Path) -> None:
    play = Play(tmp_path, None, shape=SPIKE, arrivals="constant")

    def interrupt() -> None:
        play.interrupts.record()

    play.during("measure", interrupt, after=25.0)
    assert play() == 130
    assert play.states() == ["complete", "interrupted", "planned"]


def test_a_piece_goes_on_although_requests_pile_up(tmp_path: Path) -> None:
    play = Play(tmp_path, None, shape=SPIKE, max_in_flight=2)
    for worker in play.group.workers:
        worker.per_report = 3
    assert play() == 0
    assert play.states() == ["complete"] * 3
    assert [play.codes(n) for n in (1, 2, 3)] == [[], [], []]


@given(start=st.integers(1, 300), end=st.integers(1, 300), seconds=st.integers(1, 120))
def test_the_users_of_a_ramp_have_its_mean_and_change_once_a_second(
    start: int, end: int, seconds: int
) -> None:
    ramp = UserRamp(start=start, end=end)
    changes = list(ramp_changes(ramp, seconds))
    assert all(after < later for (after, _), (later, _) in pairwise(changes))
    levels = [users for _, users in changes]
    assert levels == sorted(levels, reverse=end < start), "it never turns back"
    moments = [*changes, (float(seconds), 0)]
    spans = [(start, moments[0][0]), *((u, later - at) for (at, u), (later, _) in pairwise(moments))]
    mean = sum(users * span for users, span in spans) / seconds
    assert mean == pytest.approx((start + end) / 2, abs=0.51)


def test_users_ramp_within_their_piece(tmp_path: Path) -> None:
    shape = [{"concurrency": {"from": 2, "to": 8}, "for": 12}, {"concurrency": 8, "for": 5}]
    play = Play(tmp_path, None, shape=shape)
    seen: list[tuple[float, int]] = []

    def sample() -> None:
        seen.append((play.clock.time(), play.group.users))
        play.clock.at(0.25, sample)

    sample()
    assert play() == 0
    ramp, flat = play.steps()
    assert (ramp["step"], ramp["concurrency"], ramp["ramp_from"], ramp["ramp_to"]) == (
        "x/c2-8",
        "5",
        "2",
        "8",
    )
    start, end = floats(ramp, "measure_started_at", "measure_ended_at")
    assert end - start == pytest.approx(12, abs=0.2)
    assert floats(flat, "measure_started_at")[0] == pytest.approx(end)
    users = [count for at, count in seen if start <= at < end]
    assert (users[0], users[-1]) == (2, 8)
    assert users == sorted(users)
