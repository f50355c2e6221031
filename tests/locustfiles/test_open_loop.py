"""Open-loop steps against fakes: every arrival is handed out once and ends as one row, whatever happens."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from locustfiles.master.arrival_schedule import HORIZON_S
from tests.locustfiles.fake import Play, floats
from tests.locustfiles.runs import rows_of


def play_rates(folder: Path, *rates: float, **load: Any) -> Play:
    return Play(folder, None, rate=rates, **load)


def test_every_arrival_is_handed_out_once_in_turn_and_ends_as_one_row(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 5.0, 20.0)
    assert play() == 0
    assert play.states() == ["complete", "complete"]
    numbers = [arrival.number for _, _, arrival in play.group.given]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    by_client = Counter(client for client, _, _ in play.group.given)
    assert abs(by_client["c0"] - by_client["c1"]) <= 1
    rows = rows_of(tmp_path / "requests.csv")
    answered = Counter(row["arrival"] for row in rows)
    assert set(answered.values()) == {1}
    assert [int(step["arrivals"]) for step in play.steps()] == [
        sum(row["step"] == step["step"] for row in rows) for step in play.steps()
    ]
    unsent = {str(n) for n in numbers} - set(answered)
    end = float(play.steps()[-1]["tail_ended_at"])
    assert all(a.at > end - HORIZON_S - 0.5 for _, _, a in play.group.given if str(a.number) in unsent)


def test_the_arrivals_of_a_step_follow_those_of_the_last_one_without_a_gap(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 10.0, 8.0, arrivals="constant")
    assert play() == 0
    times = sorted(arrival.at for _, _, arrival in play.group.given)
    assert max(b - a for a, b in pairwise(times)) == pytest.approx(0.125, abs=0.125)
    first, second = play.steps()
    last_of_first = max(a.at for _, step, a in play.group.given if step == first["step"])
    assert last_of_first <= float(first["tail_ended_at"]) <= float(second["announced_at"])


def test_arrivals_are_handed_out_ahead_of_their_time(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 50.0)
    late: list[float] = []
    hand_out = play.group.send_arrivals

    def send(client: str, step: object, arrivals: list[object], limit: int) -> None:
        late.extend(play.clock.time() - arrival.at for arrival in arrivals)  # type: ignore[attr-defined]
        hand_out(client, step, arrivals, limit)  # type: ignore[arg-type]

    play.group.send_arrivals = send  # type: ignore[method-assign, assignment]
    assert play() == 0
    assert max(late) < 0


def test_a_rate_that_the_endpoint_cannot_serve_ends_early_and_no_higher_one_is_played(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 10.0, 40.0, 80.0, 5.0, measure=120.0)
    for worker in play.group.workers:
        worker.per_report = 8  # both together: 32 requests a second
    assert play() == 0
    assert play.states() == ["complete", "complete", "planned", "complete"]
    assert play.codes(2) == ["saturated"]
    assert play.codes(3) == ["not_played"]
    assert "saturated at 40 requests/s" in play.steps()[2]["reasons"]
    start, planned, end = floats(
        play.steps()[1], "measure_started_at", "measure_planned_end_at", "measure_ended_at"
    )
    assert end - start < 0.6 * (planned - start)
    assert "saturated" not in play.codes(1) + play.codes(4)


def test_a_queue_that_shows_in_the_time_to_first_token_ends_a_step(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 20.0, 40.0, measure=60.0)
    for worker in play.group.workers:
        worker.ttft_grows_ms = 40.0
    assert play() == 0
    assert play.codes(1) == ["saturated"]
    assert play.steps()[0]["reasons"] == "saturated: the time to first token rose steadily"
    assert play.states() == ["complete", "planned"]


def test_the_arrivals_of_a_worker_that_is_lost_end_as_rows(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 20.0)
    lost = play.group.workers[0]
    play.during("measure", lambda: setattr(lost, "live", False), after=5.0)
    assert play() == 3
    assert "worker_lost" in play.codes(1)
    rows = rows_of(tmp_path / "requests.csv")
    cut_off = [row for row in rows if row["outcome"] == "censored"]
    assert cut_off
    assert {row["error_detail"] for row in cut_off} == {"its worker was lost"}
    assert set(Counter(row["arrival"] for row in rows).values()) == {1}
    due = [a for _, _, a in play.group.given if a.at <= float(play.steps()[0]["tail_ended_at"]) - HORIZON_S]
    assert {str(arrival.number) for arrival in due} <= {row["arrival"] for row in rows}


def test_a_closed_loop_is_followed_by_an_open_one(tmp_path: Path) -> None:
    play = Play(tmp_path, (2,), rate=(10.0,), arrivals="constant")
    assert play() == 0
    assert play.states() == ["complete", "complete"]
    closed, opened = play.steps()
    assert (closed["concurrency"], closed["rate"]) == ("2", "")
    assert (opened["concurrency"], opened["rate"]) == ("", "10.0")
    rows = rows_of(tmp_path / "requests.csv")
    assert {bool(row["arrival"]) for row in rows if row["step"] == closed["step"]} == {False}
    assert {bool(row["arrival"]) for row in rows if row["step"] == opened["step"]} == {True}
    assert play.group.users == 0


def test_the_limit_in_flight_is_shared_by_the_workers(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 5.0, max_in_flight=9)
    assert play() == 0
    assert play.group.max_in_flight == 4


def test_an_interrupt_accounts_for_what_came_due(tmp_path: Path) -> None:
    play = play_rates(tmp_path, 20.0)

    def interrupt() -> None:
        play.interrupts.record()

    play.during("measure", interrupt, after=3.0)
    assert play() == 130
    assert play.states() == ["interrupted"]
    step = play.steps()[0]
    rows = rows_of(tmp_path / "requests.csv")
    assert int(step["arrivals"]) == len(rows) == len({row["arrival"] for row in rows})
