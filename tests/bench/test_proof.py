"""The arithmetic of the proof against hand-worked examples: that of other tools, and the server's own log."""

import pandas as pd
import pytest

from analysis.metrics.definitions import Window
from bench.benchmarks import other_formulas as others
from bench.benchmarks.proof import SERVER, Answer, Figures, suite_figures, table, true_figures
from bench.calibration.slots import Slots


def test_the_suites_rate_is_that_of_the_level_asked_for_whatever_was_in_flight() -> None:
    one_wave = [1.0] * 8 + [2.0] * 8 + [3.0] * 8 + [4.0] * 6  # 30 requests at 8 slots: 4 s, 7.5 per second
    assert others.suite_requests_per_s(32, one_wave) == pytest.approx(32 * 30 / 72)


def test_the_suites_p99_of_thirty_is_the_largest() -> None:
    values = [float(n) for n in range(1, 31)]
    assert others.suite_percentile(values, 0.5) == 15.5
    assert others.suite_percentile(values, 0.9) == 28
    assert others.suite_percentile(values, 0.99) == 30


@pytest.mark.parametrize(("clients", "each"), [(1, 10), (3, 4), (8, 2), (10, 1), (32, 1)])
def test_a_client_of_llmeter_sends_one_request_but_ten_are_sent_in_all(clients: int, each: int) -> None:
    assert others.llmeter_requests(clients) == each


def test_llmeters_rate_counts_n_requests_in_the_time_of_n_minus_one() -> None:
    assert others.llmeter_requests_per_minute([0.0, 1.0, 2.0, 3.0]) == 80  # one per second
    assert others.llmeter_requests_per_minute([5.0]) is None
    assert others.llmeter_requests_per_minute([]) is None


def test_the_truth_counts_answers_that_ended_in_the_window_and_times_those_that_arrived_in_it() -> None:
    log = pd.DataFrame(
        [(8.5, 9.7, 10.5), (9.5, 9.7, 10.6), (10.0, 10.2, 11.0), (11.0, 11.4, 12.5)],
        columns=["arrived_at", "first_sent_at", "last_sent_at"],
    )
    truth = true_figures(log, Window(10.0, 12.0))
    assert truth.requests_per_s == 1.5
    assert truth.tokens_per_s == 1.5 * SERVER.tokens
    assert truth[2:] == pytest.approx((0.3, 0.38, 1.25, 1.45))


def test_a_cell_of_the_table_is_the_figure_of_its_column() -> None:
    suite = suite_figures(4, [Answer(0.0, 0.5, 2.0, 10), Answer(1.0, 1.5, 3.0, 30)])
    assert suite == (2.0, 40.0, 0.5, 0.5, 2.0, 2.0)
    truth, ours = Figures(1.0, 10.0, 1, 1, 1, 1), Figures(1.1, 11.0, 1, 1, 1, 1)
    lines = table(4, truth, suite, ours, 600.0).splitlines()
    assert "| requests/s | 1.00 | 2.00 | 1.10 |" in lines
    assert "| requests/min | 60 | LLMeter: 600 | 66 |" in lines


def test_a_slot_goes_to_the_request_that_has_waited_longest_and_is_still_there() -> None:
    slots: Slots[str] = Slots(2)
    assert [slots.take(name) for name in "abcde"] == [True, True, False, False, False]
    assert slots.leave("c") is None  # gave up waiting
    assert slots.leave("b") == "d"
    assert slots.leave("b") is None  # has left already
    assert slots.leave("a") == "e"
    assert (slots.leave("d"), slots.leave("e")) == (None, None)
    assert slots.take("f")
    unlimited: Slots[int] = Slots(0)
    assert all(unlimited.take(number) for number in range(99))
