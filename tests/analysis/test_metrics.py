"""Every metric against an example worked by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.metrics import definitions, in_flight
from analysis.metrics.cost import run_cost, usd_per_million_tokens, usd_per_request
from analysis.metrics.definitions import Window, goodput
from configs.slo import Objective
from tests.analysis.records import records, streamed

WINDOW = Window(100.0, 110.0)


def test_latency_is_of_what_started_inside_the_half_open_window() -> None:
    rows = records(
        streamed(99.999, 1, 2, 2),
        streamed(100.0, 10, 20, 2),
        streamed(109.999, 30, 50_000, 2),
        streamed(110.0, 5, 6, 2),
    )
    inside = definitions.started_in(rows, WINDOW)
    assert definitions.e2e_ms(inside).tolist() == [20, 50_000]
    assert definitions.ttft_ms(inside).tolist() == [10, 30]


def test_tpot_leaves_out_the_first_chunk_and_is_undefined_below_two_tokens() -> None:
    rows = records(
        streamed(100, 200, 1200, 11),  # 1000 ms for 10 tokens
        streamed(100, 200, 1200, 11, first=6),  # 1000 ms for 5 tokens
        streamed(100, 200, 200, 1),
        streamed(100, 200, 500, 4, first=4),
        {"started_at": 100, "e2e_ms": 900, "completion_tokens": 30},  # not streamed
    )
    assert definitions.tpot_ms(rows).tolist() == [100, 200]
    assert definitions.user_tokens_per_s(rows).tolist() == [10, 5]


def test_unknown_first_chunk_counts_one_token() -> None:
    rows = records(streamed(100, 200, 1200, 11) | {"first_chunk_tokens": None})
    assert definitions.tpot_ms(rows).tolist() == [100]


def test_throughput_counts_completions_inside_the_window_whenever_they_started() -> None:
    rows = records(
        streamed(95, 100, 5000, 2),  # ends at 100.0: inside
        streamed(95, 100, 4999, 2),  # ends before
        streamed(109, 100, 1000, 2),  # ends at 110.0: outside
        streamed(109, 100, 999, 2),
        streamed(104, 100, 100, 2) | {"outcome": "failed"},
    )
    assert definitions.completions(rows, WINDOW) == 2
    assert definitions.requests_per_minute(rows, WINDOW) == 12


def test_tokens_are_attributed_by_the_time_they_arrived() -> None:
    rows = records(
        streamed(98, 1000, 3000, 21),  # first at 99, last at 101: half of 20 inside, the first token before
        streamed(109, 500, 1500, 15, first=5),  # 5 at 109.5, last at 110.5: 5 + half of 10
        streamed(105, 100, 100, 1),  # one token at 105.1
    )
    assert definitions.completion_tokens_in(rows, WINDOW) == pytest.approx(10 + 5 + 5 + 1)


def test_tokens_of_an_unstreamed_answer_arrive_at_its_end() -> None:
    late = {"started_at": 95, "e2e_ms": 6000, "completion_tokens": 40}
    outside = {"started_at": 105, "e2e_ms": 6000, "completion_tokens": 40}
    assert definitions.completion_tokens_in(records(late, outside), WINDOW) == 40
    assert definitions.completion_tokens_per_s(records(late, outside), WINDOW) == 4


def test_prompt_tokens_count_when_the_first_token_is_there() -> None:
    rows = records(
        streamed(99, 2000, 9000, 5, prompt_tokens=300),
        streamed(99, 500, 9000, 5, prompt_tokens=700),
        {"started_at": 108, "e2e_ms": 1000, "completion_tokens": 1, "prompt_tokens": 50},
    )
    assert definitions.prompt_tokens_per_s(rows, WINDOW) == 35


def test_no_token_counts_is_unmeasured_and_not_zero() -> None:
    rows = records({"started_at": 101, "e2e_ms": 1000})
    assert definitions.completion_tokens_per_s(rows, WINDOW) is None
    assert definitions.prompt_tokens_per_s(rows, WINDOW) is None


def test_errors_count_failed_of_ended_and_leave_out_the_censored() -> None:
    outcomes = ["ok"] * 6 + ["failed"] * 2 + ["censored"] * 5
    rows = records(*({"started_at": 101, "outcome": o, "error_class": "throttled"} for o in outcomes))
    assert definitions.error_rate(rows) == 0.25
    assert definitions.error_classes(rows) == {"throttled": 2}
    assert definitions.error_rate(rows[:6]) == 0
    assert definitions.error_rate(rows[8:]) is None


def test_goodput_counts_only_requests_that_meet_every_limit_and_all_in_the_denominator() -> None:
    rows = records(
        streamed(101, 100, 1000, 11),
        streamed(102, 300, 1000, 11),  # TTFT too long
        streamed(103, 100, 3000, 11),  # E2E too long
        streamed(104, 100, 1000, 11) | {"outcome": "failed"},
        streamed(105, 100, 1000, 11) | {"outcome": "censored"},
    )
    limits = [
        Objective(metric="ttft", statistic="p95", limit_ms=200),
        Objective(metric="e2e", statistic="p95", limit_ms=2000),
    ]
    assert goodput(rows, WINDOW, limits) == (0.1, 0.2)
    assert goodput(rows, WINDOW, []) == (None, None)


def test_mean_in_flight_is_the_overlap_with_the_window() -> None:
    rows = records(streamed(95, 1, 10_000, 2), streamed(105, 1, 20_000, 2), streamed(90, 1, 5000, 2))
    assert in_flight.mean_in_flight(rows, WINDOW) == 1.0


def test_a_failed_request_is_in_flight_until_it_failed() -> None:
    timed_out = {"started_at": 95, "outcome": "failed", "elapsed_ms": 10_000}
    cut_off = {"started_at": 105, "outcome": "censored", "elapsed_ms": 2500}
    rows = records(timed_out, cut_off, streamed(107.5, 1, 2500, 2))
    assert definitions.elapsed_ms(rows).tolist() == [10_000, 2500, 2500]
    assert in_flight.mean_in_flight(rows, WINDOW) == 1.0


def test_without_its_end_on_record_nobody_knows_how_many_were_in_flight() -> None:
    rows = records(streamed(101, 1, 9000, 2), {"started_at": 102, "outcome": "failed"})
    assert in_flight.mean_in_flight(rows, WINDOW) is None
    assert in_flight.mean_in_flight(rows[:1], WINDOW) == 0.9


def test_littles_law_holds_for_two_users_of_one_second_and_not_for_fmbenchs() -> None:
    assert in_flight.little_residual(2, 120, 1000) == 0
    assert in_flight.little_residual(1, 49, 2354.93) == pytest.approx(0.9232, abs=1e-4)
    assert in_flight.most_per_minute(1, 2354.931588868688) == pytest.approx(25.478447137746397)
    assert in_flight.little_residual(1, None, 5) is None


def test_gap_percentiles_come_from_the_middle_of_their_bucket() -> None:
    gaps = pd.DataFrame({"low_ms": [40.0, 10.0], "high_ms": [40.4, 10.1], "count": [1.0, 99.0]})
    assert definitions.gap_percentile_ms(gaps, 50) == pytest.approx(np.sqrt(10.0 * 10.1))
    assert definitions.gap_percentile_ms(gaps, 99.5) == pytest.approx(np.sqrt(40.0 * 40.4))
    assert definitions.gap_percentile_ms(gaps[:0], 50) is None


def test_prices() -> None:
    assert usd_per_request(3.6, 2, 60) == pytest.approx(0.002)
    assert usd_per_request(3.6, 2, 60, utilisation=0.5) == pytest.approx(0.004)
    assert usd_per_million_tokens(3.6, 1, 1000) == pytest.approx(1.0)
    assert usd_per_request(None, 1, 60) is None
    assert usd_per_request(1.0, 1, 0) is None
    assert usd_per_million_tokens(1.0, 1, None) is None


def test_the_runs_own_cost_has_boot_and_idle_time() -> None:
    cost = run_cost(3.6, 2, created=0, in_service=300, load=(310, 910), deleted=1000)
    assert (cost.total_s, cost.boot_s, cost.load_s, cost.idle_s) == (1000, 300, 600, 100)
    assert cost.usd == pytest.approx(2.0)


def test_experiments_on_one_endpoint_share_its_bill_by_their_load() -> None:
    endpoint = {"created": 0.0, "in_service": 300.0, "deleted": 1000.0}
    loads = [(300.0, 500.0), (500.0, 900.0)]
    first = run_cost(3.6, 1, load=loads[0], others=loads[1:], **endpoint)
    second = run_cost(3.6, 1, load=loads[1], others=loads[:1], **endpoint)
    assert (first.load_s, second.load_s) == (200, 400)
    assert (first.boot_s, second.boot_s) == pytest.approx((100, 200))
    assert (first.idle_s, second.idle_s) == pytest.approx((100 / 3, 200 / 3))
    assert (first.usd or 0) + (second.usd or 0) == pytest.approx(1.0)
    assert "shared among its 2 experiments by their load" in first.basis
    never_loaded = run_cost(3.6, 1, load=(None, None), others=[(None, None)], **endpoint)
    assert never_loaded.usd == pytest.approx(0.5)


def test_an_endpoint_whose_deletion_is_not_on_record_is_counted_to_the_end_of_its_last_load() -> None:
    cost = run_cost(3.6, 1, created=0, in_service=100, load=(100, 300), deleted=None, others=[(300, 500)])
    assert cost.total_s == 250
    assert "the deletion is not on record" in cost.basis


def test_the_cost_of_an_endpoint_that_was_there_before_is_the_loads_time_and_says_so() -> None:
    cost = run_cost(3.6, 1, created=None, in_service=None, load=(0, 1000), deleted=None)
    assert cost.usd == pytest.approx(1.0)
    assert "did not create" in cost.basis
    assert cost.boot_s is None
