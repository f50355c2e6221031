"""The answer: the cheapest that passes, and how sure."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.decide.recommendation import Choice, choose
from analysis.decide.slo import check_slo
from analysis.measure.results import RunResult
from analysis.metrics.cost import Cost
from analysis.render.fmbench_page import recommendation_table
from analysis.render.recommendation_text import answer_text
from analysis.report import measure_and_judge
from common.formatting import confidence, percent
from tests.support.synthetic_run import Deployed, Server, write_run


def slo(ttft_p95: float, e2e_p95: float = 60_000, error_rate: float = 0.0) -> dict[str, Any]:
    return {
        "objectives": [
            {"metric": "ttft", "statistic": "p95", "limit_ms": ttft_p95},
            {"metric": "e2e", "statistic": "p95", "limit_ms": e2e_p95},
        ],
        "error_rate": error_rate,
    }


def answered(folder: Path, *deployed: Deployed, **options: Any) -> tuple[RunResult, list[Choice], str]:
    write_run(folder, deployed, **options)
    return answered_again(folder)


def answered_again(folder: Path) -> tuple[RunResult, list[Choice], str]:
    result = measure_and_judge(folder)
    choices = choose(result)
    return result, choices, answer_text(result, choices)


def test_the_cheapest_step_within_the_slo_wins_and_not_the_cheapest_of_all(tmp_path: Path) -> None:
    _, (choice,), text = answered(tmp_path, Deployed(measure_s=200), slo=slo(230))
    assert choice.best is not None
    assert choice.best.step.concurrency == 4, "concurrency 8 is cheaper but its TTFT p95 is about 255 ms"
    assert choice.runner_up is not None
    assert choice.runner_up.step.concurrency == 2
    runner_up, best = choice.runner_up.cost_per_request, choice.best.cost_per_request
    assert runner_up is not None
    assert best is not None
    assert choice.extra_cost == Cost(runner_up.value - best.value, "usd")
    assert choice.sure
    assert "Use ml.g5.xlarge at concurrency 4" in text
    assert "The probability that this is the best of those measured is " in text


def test_nothing_passes_says_so_and_by_how_much(tmp_path: Path) -> None:
    _, (choice,), text = answered(tmp_path, Deployed(measure_s=200), slo=slo(80))
    assert choice.best is None
    assert choice.closest is not None
    assert choice.closest.step.concurrency == 1
    assert text.startswith("Nothing passes: no step meets TTFT p95 ≤ 80 ms")
    assert "above the limit of 80 ms" in text


def test_errors_above_the_slo_disqualify(tmp_path: Path) -> None:
    shaky = Deployed(measure_s=200, server=Server(failing=0.05))
    _, (choice,), text = answered(tmp_path, shaky, slo=slo(5000))
    assert choice.best is None
    assert "the SLO allows 0%" in text
    _, (choice,), _ = answered(tmp_path / "lenient", shaky, slo=slo(5000, error_rate=0.1))
    assert choice.best is not None


def test_a_sentence_that_begins_with_this_machine_begins_with_a_capital(tmp_path: Path) -> None:
    twins = [
        Deployed(name, measure_s=60, concurrency=(4,), instance_label=f"this machine (as {name})")
        for name in ("ml.g5.xlarge", "ml.g5b.xlarge")
    ]
    *_, text = answered(tmp_path, *twins, slo=slo(1000))
    assert "se this machine (as ml.g5" in text
    assert "\nThis machine (as ml.g5" in text
    assert "may be better" in text


def test_two_that_are_equal_are_not_told_apart_and_the_wait_is_named(tmp_path: Path) -> None:
    one, twin = (
        Deployed(measure_s=60, concurrency=(4,)),
        Deployed("ml.g5b.xlarge", measure_s=60, concurrency=(4,)),
    )
    result, (choice,), text = answered(tmp_path, one, twin, slo=slo(1000))
    assert choice.win_share is not None
    assert choice.win_share < 0.95
    assert [candidate.step.id for candidate, _ in choice.more_minutes_needed] == [
        candidate.step.id for candidate in (choice.best, choice.contender) if candidate is not None
    ]
    assert "may be better" in text
    assert "at each of the two would settle it" in text
    days = [(candidate, 3000.0) for candidate, _ in choice.more_minutes_needed]
    text = answer_text(result, [replace(choice, more_minutes_needed=days)])
    assert "too close for a longer measurement to tell them apart" in text
    assert "settle" not in text


def test_two_that_differ_by_a_third_are_told_apart(tmp_path: Path) -> None:
    one = Deployed(measure_s=120, concurrency=(4,))
    dear = Deployed("ml.g5.2xlarge", usd_per_hour=1.88, measure_s=120, concurrency=(4,))
    _, (choice,), text = answered(tmp_path, one, dear, slo=slo(1000))
    assert choice.win_share == 1.0
    assert choice.extra_share == pytest.approx(1.88 / 1.4084 - 1, abs=0.1)
    assert "The probability that this is the best of those measured is more than 99%." in text


def test_too_few_samples_for_p95_leave_the_step_open_and_say_how_long(tmp_path: Path) -> None:
    result, (choice,), text = answered(tmp_path, Deployed(measure_s=40, concurrency=(1,)), slo=slo(155))
    (step,) = result.steps
    assert step.window_counts.ok < 100
    finding = check_slo(step, result.objectives)[0]
    assert finding.status == "open"
    assert finding.more_minutes == pytest.approx((100 - finding.samples) * 40 / finding.samples / 60)
    assert choice.best is None
    assert "has too few samples to judge" in text
    assert "more minute" in text


def test_few_samples_can_still_be_certain(tmp_path: Path) -> None:
    """80 answers, none above the limit: the share above is under 5% with 95% confidence."""
    result, _, _ = answered(tmp_path, Deployed(measure_s=150, concurrency=(1,)), slo=slo(1000))
    (step,) = result.steps
    assert 75 <= step.window_counts.ok < 100
    assert {f.status for f in check_slo(step, result.objectives)} == {"met"}


def test_few_samples_can_be_certain_of_a_miss_and_the_sentence_says_so(tmp_path: Path) -> None:
    result, _, text = answered(tmp_path, Deployed(measure_s=150, concurrency=(1,)), slo=slo(20))
    assert result.steps[0].window_counts.ok < 100
    assert "where TTFT p95 is above 20 ms (" in text


def test_a_limit_on_a_mean_counts_in_the_draws_too(tmp_path: Path) -> None:
    """Both pass or both fail for sure: the cheaper one that fails wins no draw, the dearer one every draw."""
    within = {"objectives": [{"metric": "e2e", "statistic": "mean", "limit_ms": 2500.0}], "error_rate": 0.0}
    slow = Deployed(
        "ml.g6.xlarge", usd_per_hour=0.2, measure_s=120, concurrency=(4,), server=Server(tpot_ms=60)
    )
    _, (choice,), _ = answered(tmp_path, Deployed(measure_s=120, concurrency=(4,)), slow, slo=within)
    assert [c.slo_status for c in choice.candidates] == ["met", "missed"]
    assert choice.best is not None
    assert choice.best.experiment.instance_type == "ml.g5.xlarge"
    assert choice.win_share == 1.0


def test_one_answer_per_payload(tmp_path: Path) -> None:
    short, long = Deployed(measure_s=120), Deployed(payload="en_500-1000", measure_s=120)
    _, choices, text = answered(tmp_path, short, long, slo=slo(1000))
    assert [c.payload for c in choices] == ["en_1-500", "en_500-1000"]
    assert text.startswith("en_1-500: Use")
    assert "\nen_500-1000: Use" in text


def test_an_instance_without_a_price_is_left_out_and_named(tmp_path: Path) -> None:
    priced, free = Deployed(measure_s=100), Deployed("ml.new.xlarge", usd_per_hour=None, measure_s=100)
    _, (choice,), text = answered(tmp_path, priced, free, slo=slo(1000))
    assert choice.best is not None
    assert choice.best.experiment.instance_type == "ml.g5.xlarge"
    assert "No price is known for ml.new.xlarge" in text


def test_a_void_step_cannot_be_recommended(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=240, concurrency=(1, 4)),), slo=slo(5000))
    steps = (tmp_path / "steps.csv").read_text().splitlines()
    steps[-1] = steps[-1].replace(",complete,", ",interrupted,")
    (tmp_path / "steps.csv").write_text("\n".join(steps) + "\n")
    (choice,) = choose(measure_and_judge(tmp_path))
    assert choice.best is not None
    assert choice.best.step.concurrency == 1
    assert choice.runner_up is None


def test_what_was_not_measured_is_called_that(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=100, concurrency=(1, 4)),), slo=slo(1000))
    rows = pd.read_csv(tmp_path / "requests.csv")
    rows["ttft_ms"] = np.nan  # as of answers that were not streamed
    rows.to_csv(tmp_path / "requests.csv", index=False)
    result, choices, text = answered_again(tmp_path)
    assert text.startswith("No step can be called passing: TTFT was not measured at ml.g5.xlarge")
    assert "it needs streamed answers" in text
    assert "SLO allows" not in text
    ((_, _, recommendation),) = recommendation_table(result, choices).rows
    assert "TTFT was not measured" in recommendation
    assert "did not find any" not in recommendation


def test_the_closest_may_be_one_that_only_fails_too_often(tmp_path: Path) -> None:
    shaky = Deployed(measure_s=200, concurrency=(4,), server=Server(failing=0.05))
    slow = Deployed("ml.g6.xlarge", measure_s=200, concurrency=(4,), server=Server(tpot_ms=300))
    _, (choice,), text = answered(tmp_path, shaky, slow, slo=slo(1000, 5000, error_rate=0.01))
    assert choice.closest is not None
    assert choice.closest.experiment.instance_type == "ml.g5.xlarge"
    assert "no step meets TTFT p95 ≤ 1 s and E2E p95 ≤ 5 s with at most 1% errors" in text
    assert "The closest is ml.g5.xlarge at concurrency 4, where" in text
    assert "of the requests failed (the SLO allows 1%)" in text
    assert "above the limit" not in text


def test_of_two_that_fail_too_often_the_closest_fails_less(tmp_path: Path) -> None:
    often = Deployed(measure_s=200, concurrency=(4,), server=Server(failing=0.2))
    seldom = Deployed("ml.g6.xlarge", measure_s=200, concurrency=(4,), server=Server(failing=0.06))
    for order in ((often, seldom), (seldom, often)):
        _, (choice,), _ = answered(
            tmp_path / order[0].instance_type, *order, slo=slo(60_000, error_rate=0.01)
        )
        assert choice.closest is not None
        assert choice.closest.experiment.instance_type == "ml.g6.xlarge"


def test_without_a_limit_errors_are_told_and_only_many_disqualify(tmp_path: Path) -> None:
    few = Deployed(measure_s=200, concurrency=(4,), server=Server(failing=0.01))
    result, (choice,), text = answered(tmp_path / "few", few)
    assert 0 < (result.steps[0].errors.rate or 0) < 0.05
    assert choice.best is not None
    assert "% errors" in text
    many = Deployed(measure_s=200, concurrency=(4,), server=Server(failing=0.2))
    _, (choice,), text = answered(tmp_path / "many", many)
    assert choice.best is None
    assert "with more than 5% a step is not recommended" in text
    assert "SLO allows" not in text


def test_open_steps_are_not_said_to_have_failed(tmp_path: Path) -> None:
    result, choices, _ = answered(tmp_path, Deployed(measure_s=40, concurrency=(1,)), slo=slo(155))
    ((_, _, recommendation),) = recommendation_table(result, choices).rows
    assert "has too few samples to judge" in recommendation
    assert "did not find any" not in recommendation


def test_beside_open_steps_those_that_missed_are_told(tmp_path: Path) -> None:
    _, (choice,), text = answered(tmp_path, Deployed(measure_s=40, concurrency=(1, 8)), slo=slo(155))
    assert [c.slo_status for c in choice.candidates] == ["open", "missed"]
    assert "No step can be called passing yet" in text
    assert "1 other step misses the SLO. The closest is ml.g5.xlarge at concurrency 8, where" in text


def test_an_open_rival_is_told_once_and_not_as_a_miss(tmp_path: Path) -> None:
    sure = Deployed(measure_s=200, concurrency=(1,), server=Server(ttft_ms=20))
    cheap = Deployed("ml.g6.xlarge", usd_per_hour=0.9, measure_s=40, concurrency=(1,))
    _, (choice,), text = answered(tmp_path, sure, cheap, slo=slo(165))
    assert choice.best is not None
    assert choice.contender is not None
    assert choice.contender.slo_status == "open"
    assert choice.win_share is not None
    assert choice.win_share < 0.5
    assert text.startswith("Not decided yet; for now, use ml.g5.xlarge at concurrency 1")
    assert text.count("ml.g6.xlarge at concurrency 1 would be cheaper but cannot be judged yet") == 1
    assert text.count("would settle it") == 1
    assert "misses the SLO" not in text


def test_what_has_no_price_is_never_called_cheaper(tmp_path: Path) -> None:
    """A request of the priced one costs more dollars than one of the other takes minutes."""
    sure = Deployed(usd_per_hour=200.0, measure_s=200, concurrency=(1,), server=Server(ttft_ms=20))
    free = Deployed("ml.new.xlarge", usd_per_hour=None, measure_s=40, concurrency=(1,))
    _, (choice,), text = answered(tmp_path, sure, free, slo=slo(155))
    assert {c.slo_status for c in choice.candidates} == {"met", "open"}
    assert "would be cheaper" not in text
    assert "No price is known for ml.new.xlarge" in text


def test_the_warnings_of_the_recommended_step_are_in_the_answer(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=240, concurrency=(2, 4)),), slo=slo(5000))
    health = pd.read_csv(tmp_path / "workers.csv")
    health.loc[health["users"] == 4, ["cpu_percent", "lag_p99_ms"]] = (99.0, 400.0)
    health.to_csv(tmp_path / "workers.csv", index=False)
    _, (choice,), text = answered_again(tmp_path)
    assert choice.best is not None
    assert choice.best.step.concurrency == 4
    sentence = text.split("The recommended step has warnings: ")[1]
    assert sentence.startswith("a busy load generator and event-loop lag of the load generator.")
    assert "The cheapest without warnings is ml.g5.xlarge at concurrency 2 ($" in text


def test_a_figure_that_the_table_withholds_is_not_quoted(tmp_path: Path) -> None:
    """80 answers make the limit certain and the p95 no figure worth printing."""
    result, _, text = answered(tmp_path, Deployed(measure_s=150, concurrency=(1,)), slo=slo(1000))
    (step,) = result.steps
    assert step.shown("ttft", 95) is None
    assert f"TTFT p95 within 1 s ({step.window_counts.ok} samples, 95% confidence)" in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.996, "more than 99%"), (0.9499, "94%"), (0.004, "less than 1%"), (0.0, "0%")],
)
def test_confidence_is_never_rounded_up(share: float, text: str) -> None:
    assert confidence(share) == text


def test_what_is_short_of_the_whole_never_reads_100() -> None:
    assert [percent(share) for share in (0.99, 0.9961, 0.99999, 1.0)] == ["99%", "99.6%", "99.9%", "100%"]


@pytest.mark.parametrize("usd_per_hour", [1.0, None])
def test_an_answer_that_never_came_wins_nothing(tmp_path: Path, usd_per_hour: float | None) -> None:
    """Requests began in the window and none ended in it: no rate, no price, no place in the answer."""
    both = [
        Deployed(name, usd_per_hour=usd_per_hour, measure_s=100, concurrency=(4,))
        for name in ("ml.endless", "ml.g5.xlarge")
    ]
    write_run(tmp_path, tuple(both), slo=slo(60_000, 1e7))
    rows = pd.read_csv(tmp_path / "requests.csv")
    rows.loc[rows["step"].str.startswith("ml.endless"), ["e2e_ms", "elapsed_ms"]] = 500_000.0
    rows.to_csv(tmp_path / "requests.csv", index=False)
    _, (choice,), text = answered_again(tmp_path)
    silent = choice.candidates[0]
    assert (silent.step.throughput.completions, silent.step.usable, silent.slo_status) == (0, True, "met")
    assert choice.best is not None
    assert choice.best.experiment.instance_type == "ml.g5.xlarge"
    assert choice.runner_up is None
    assert choice.win_share in (None, 1.0)
    assert choice.unpriced == []
    assert ("no price is known" in text) == (usd_per_hour is None)


def test_only_what_makes_a_step_void_explains_that_none_can_be_trusted(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(4,)),))
    result = measure_and_judge(tmp_path)
    (step,) = result.steps
    step.trust.add("warn", "load_gap", "the load paused")
    step.trust.add("void", "interrupted", "the step was interrupted")
    assert answer_text(result, choose(result)).startswith(
        "No step can be trusted, so nothing is recommended: the step was interrupted."
    )
