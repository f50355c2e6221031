"""The answer: the cheapest that passes, and how sure."""

from pathlib import Path
from typing import Any

import pytest

from analysis.answer import Choice, choose
from analysis.objectives import judge
from analysis.prose import answer_paragraph
from analysis.report import load_result
from analysis.results import RunResult
from bench.benchmarks.synthetic_run import Deployed, Server, write_run


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
    result = load_result(folder)
    choices = choose(result)
    return result, choices, answer_paragraph(result, choices)


def test_the_cheapest_step_within_the_slo_wins_and_not_the_cheapest_of_all(tmp_path: Path):
    _, (choice,), text = answered(tmp_path, Deployed(measure_s=200), slo=slo(230))
    assert choice.best is not None
    assert choice.best.step.concurrency == 4, "concurrency 8 is cheaper but its TTFT p95 is about 255 ms"
    assert choice.runner_up is not None
    assert choice.runner_up.step.concurrency == 2
    assert choice.gap == pytest.approx(choice.runner_up.order - choice.best.order)
    assert choice.sure
    assert "Use ml.g5.xlarge at concurrency 4" in text
    assert "% of 1,000 bootstrap resamples it stays the best choice." in text


def test_nothing_passes_says_so_and_by_how_much(tmp_path: Path):
    _, (choice,), text = answered(tmp_path, Deployed(measure_s=200), slo=slo(80))
    assert choice.best is None
    assert choice.closest is not None
    assert choice.closest.step.concurrency == 1
    assert text.startswith("Nothing passes: no step meets TTFT p95 ≤ 80 ms")
    assert "above the limit of 80 ms" in text


def test_errors_above_the_slo_disqualify(tmp_path: Path):
    shaky = Deployed(measure_s=200, server=Server(failing=0.05))
    _, (choice,), text = answered(tmp_path, shaky, slo=slo(5000))
    assert choice.best is None
    assert "the SLO allows 0 %" in text
    _, (choice,), _ = answered(tmp_path / "lenient", shaky, slo=slo(5000, error_rate=0.1))
    assert choice.best is not None


def test_two_that_are_equal_are_not_told_apart_and_the_wait_is_named(tmp_path: Path):
    one, twin = (
        Deployed(measure_s=60, concurrency=(4,)),
        Deployed("ml.g5b.xlarge", measure_s=60, concurrency=(4,)),
    )
    _, (choice,), text = answered(tmp_path, one, twin, slo=slo(1000))
    assert choice.stays is not None
    assert choice.stays < 0.95
    assert "not told apart yet" in text
    assert "would settle it" in text


def test_two_that_differ_by_a_third_are_told_apart(tmp_path: Path):
    one = Deployed(measure_s=120, concurrency=(4,))
    dear = Deployed("ml.g5.2xlarge", usd_per_hour=1.88, measure_s=120, concurrency=(4,))
    _, (choice,), text = answered(tmp_path, one, dear, slo=slo(1000))
    assert choice.stays == 1.0
    assert choice.gap_share == pytest.approx(1.88 / 1.4084 - 1, abs=0.1)
    assert "In 100 % of 1,000 bootstrap resamples" in text


def test_too_few_samples_for_p95_leave_the_step_open_and_say_how_long(tmp_path: Path):
    result, (choice,), text = answered(tmp_path, Deployed(measure_s=40, concurrency=(1,)), slo=slo(155))
    (step,) = result.steps
    assert step.window_ok < 100
    finding = judge(step, result.objectives)[0]
    assert finding.judgement == "open"
    assert finding.more_minutes == pytest.approx((100 - finding.samples) * 40 / finding.samples / 60)
    assert choice.best is None
    assert "has too few samples to judge" in text
    assert "more minute" in text


def test_few_samples_can_still_be_certain(tmp_path: Path):
    """80 answers, none above the limit: the share above is under 5 % with 95 % confidence."""
    result, _, _ = answered(tmp_path, Deployed(measure_s=150, concurrency=(1,)), slo=slo(1000))
    (step,) = result.steps
    assert 75 <= step.window_ok < 100
    assert {f.judgement for f in judge(step, result.objectives)} == {"met"}


def test_one_answer_per_payload(tmp_path: Path):
    short, long = Deployed(measure_s=120), Deployed(payload="en_500-1000", measure_s=120)
    _, choices, text = answered(tmp_path, short, long, slo=slo(1000))
    assert [c.payload for c in choices] == ["en_1-500", "en_500-1000"]
    assert "For payload en_1-500: use" in text
    assert "For payload en_500-1000: use" in text


def test_an_instance_without_a_price_is_left_out_and_named(tmp_path: Path):
    priced, free = Deployed(measure_s=100), Deployed("ml.new.xlarge", usd_per_hour=None, measure_s=100)
    _, (choice,), text = answered(tmp_path, priced, free, slo=slo(1000))
    assert choice.best is not None
    assert choice.best.experiment.instance_type == "ml.g5.xlarge"
    assert "No price is known for ml.new.xlarge" in text


def test_a_void_step_cannot_be_recommended(tmp_path: Path):
    write_run(tmp_path, (Deployed(measure_s=240, concurrency=(1, 4)),), slo=slo(5000))
    steps = (tmp_path / "steps.csv").read_text().splitlines()
    steps[-1] = steps[-1].replace(",complete,", ",interrupted,")
    (tmp_path / "steps.csv").write_text("\n".join(steps) + "\n")
    (choice,) = choose(load_result(tmp_path))
    assert choice.best is not None
    assert choice.best.step.concurrency == 1
    assert choice.runner_up is None
