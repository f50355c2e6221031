"""A search in the report: its path, its answer, and what its confirmation does to the recommendation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.decide.recommendation import Choice, choose
from analysis.decide.search.course import Course
from analysis.measure.results import RunResult
from analysis.render.recommendation_text import answer_lines
from analysis.render.search_tables import search_table
from analysis.render.search_text import search_sentences
from analysis.report import measure_and_judge
from tests.analysis.test_conversations import make_conversations
from tests.support.search_run import make_search
from tests.support.synthetic_run import Deployed, Server, write_run

FAST = Server(tpot_ms=10, tpot_ms_per_user=1.0, noise=0.03, completion_tokens=(40, 60))


def slo(limit_ms: float) -> dict[str, Any]:
    return {"objectives": [{"metric": "e2e", "statistic": "p95", "limit_ms": limit_ms}]}


def searched(
    folder: Path, *levels: int, limit_ms: float = 1200.0, confirmations: int = 0, measure_s: float = 120
) -> tuple[RunResult, Choice, Course]:
    """A run whose E2E p95 is about 0.9 s at 4 users and 1.6 s at 8."""
    write_run(folder, (Deployed(server=FAST, measure_s=measure_s, concurrency=levels),), slo=slo(limit_ms))
    make_search(folder, confirmations=confirmations)
    result = measure_and_judge(folder)
    (choice,) = choose(result)
    (course,) = choice.searches.values()
    return result, choice, course


def test_the_first_paragraph_says_what_the_search_found(tmp_path: Path) -> None:
    result, choice, course = searched(tmp_path, 4, 8, 6, 5)
    low, high = course.bracket.low, course.bracket.high
    assert low is not None
    assert high is not None
    assert choice.best is not None
    assert choice.best.step.concurrency == low.level
    (line,) = answer_lines(result, [choice])
    assert (
        f"the SLO holds at {low.level:.0f} users and is missed at {high.level:.0f}, both beyond noise" in line
    )


def test_every_probe_is_in_the_table_in_the_order_of_play(tmp_path: Path) -> None:
    _, _, course = searched(tmp_path, 4, 8, 6, 5)
    table = search_table(course)
    assert [row[0] for row in table.rows] == ["4", "8", "6", "5"]
    assert [row[2] for row in table.rows[:2]] == ["met", "missed"]
    assert "5.0% allowed" in table.rows[0][-1]


def test_a_step_that_the_gate_voids_decides_nothing(tmp_path: Path) -> None:
    searched(tmp_path, 4, 8)
    steps = pd.read_csv(tmp_path / "steps.csv")
    steps["reason_codes"] = steps["reason_codes"].astype(object)
    steps.loc[1, "reason_codes"] = "worker_lost"
    steps.to_csv(tmp_path / "steps.csv", index=False)
    (course,) = choose(measure_and_judge(tmp_path))[0].searches.values()
    assert course.bracket.high is None
    assert [row[2] for row in search_table(course).rows] == ["met", "void"]
    assert search_table(course).rows[1][-1] == "worker lost"


def test_a_search_that_was_cut_short_says_so(tmp_path: Path) -> None:
    result, choice, course = searched(tmp_path, 4, 8)
    assert not course.ended
    (line,) = answer_lines(result, [choice])
    assert "The search was cut short after" in line
    assert "Beyond noise, the SLO is met up to 4 users and missed from 8 users" in line


def test_a_verdict_within_noise_says_so(tmp_path: Path) -> None:
    result, choice, course = searched(tmp_path, 4, measure_s=12)
    assert not course.is_sure
    (line,) = answer_lines(result, [choice])
    assert "the SLO holds at 4 users, as far as was measured" in line
    assert "Nothing is beyond noise yet" in line


def test_nothing_that_passes_is_explained_by_the_search(tmp_path: Path) -> None:
    result, choice, course = searched(tmp_path, 4, limit_ms=100.0)
    assert course.ended
    assert choice.best is None
    (line,) = answer_lines(result, [choice])
    assert "the SLO is missed even at 4 users" in line


def test_a_confirmation_that_holds_is_a_clause_and_no_rival(tmp_path: Path) -> None:
    result, choice, course = searched(tmp_path, 4, 8, 4, confirmations=1)
    assert course.confirmed is not None
    assert course.confirmed.rate == pytest.approx(0.4)
    assert choice.best is not None
    assert choice.best.step.concurrency == 4
    assert all(candidate.step.rate is None for candidate in choice.competing)
    (line,) = answer_lines(result, [choice])
    assert "when requests arrive independently, it holds at 0.400 requests/s" in line


def test_conversations_are_confirmed_at_the_rate_at_which_they_begin(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(server=FAST, measure_s=120, concurrency=(4, 8, 4)),), slo=slo(1200.0))
    make_conversations(tmp_path)
    make_search(tmp_path, confirmations=1)
    result = measure_and_judge(tmp_path)
    (choice,) = choose(result)
    (course,) = choice.searches.values()
    assert course.turns == pytest.approx(3.0)
    assert replace(course, confirmations=()).next_rate == pytest.approx(course.rates[4] / 3, rel=0.01)
    assert course.headroom == pytest.approx(0.4 * 3 / max(course.rates.values()))
    (line,) = answer_lines(result, [choice])
    assert "when conversations arrive independently, it holds at 0.400 conversations/s" in line


def test_a_failed_confirmation_lowers_the_recommendation(tmp_path: Path) -> None:
    """The last step stands for a lower rate that holds; what did more in the closed loop is ruled out."""
    result, choice, course = searched(tmp_path, 4, 8, 8, 2, confirmations=2)
    assert [each.holds for each in course.confirmations] == [False, True]
    assert choice.best is not None
    assert choice.best.step.rate == pytest.approx(0.2)
    assert choice.best.step.purpose == "confirmation"
    (line,) = answer_lines(result, [choice])
    assert "(not at 0.800)" in line


def test_a_confirmation_that_was_cut_short_is_no_failure(tmp_path: Path) -> None:
    _, choice, course = searched(tmp_path, 4, 8, 8, 2, confirmations=2)
    failed, held = course.confirmations
    (name,) = choice.searches
    unknown = replace(course, confirmations=(failed, replace(held, probes=(), state=None)))
    experiment = next(c.experiment for c in choice.competing)
    (first, *_) = search_sentences(replace(choice, searches={name: unknown}), experiment)
    assert "it did not hold at 0.800 requests/s, and 0.200 requests/s could not be judged" in first
