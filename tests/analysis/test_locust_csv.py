"""Reports from Locust's own CSV files: rows of one run share its users, and levels come from the history."""

import json
from pathlib import Path

import pytest

from analysis.importers.command_line_prices import Prices
from analysis.importers.locust.csv_run import load_locust
from analysis.measure.results import RunResult
from analysis.report import write_report
from common.errors import UserError
from tests.analysis.locust_csvs import FAILURES, HISTORY, STATS, history, real_locust, stats_row, write

CHAT, SUMMARY = ("POST", "/chat"), ("POST", "/summary")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """120 requests of one name in a minute at 5 users, 6 of them failed; no history by name."""
    rows = (stats_row("/chat", 120, 6, 950.0), stats_row("Aggregated", 120, 6, 950.0))
    write(tmp_path / "run_stats.csv", STATS, *rows)
    ended = [0, *[2] * 60]
    for second in range(10, 61, 10):
        ended[second] = -1
    points = history([min(5, second) for second in range(61)], {("", "Aggregated"): ended})
    write(tmp_path / "run_stats_history.csv", HISTORY, *points)
    write(tmp_path / "run_failures.csv", FAILURES,
          {"Method": "POST", "Name": "/chat", "Error": "HTTP 429", "Occurrences": 6})  # fmt: skip
    return tmp_path / "run"


def two_names(folder: Path, users: list[int], chat: list[int], summaries: list[int]) -> Path:
    """A run of two names, with a history by name."""
    counts = {CHAT: chat, SUMMARY: summaries}
    rows = [stats_row(name, sum(abs(n) for n in ended), sum(-n for n in ended if n < 0), 800.0)
            for (_, name), ended in counts.items()]  # fmt: skip
    write(folder / "run_stats.csv", STATS, *rows)
    write(folder / "run_stats_history.csv", HISTORY, *history(users, counts))
    write(folder / "run_failures.csv", FAILURES)
    return folder / "run"


def rates(result: RunResult) -> list[tuple[int | None, float | None]]:
    return [(step.concurrency, step.throughput.per_minute) for step in result.steps]


def test_what_locust_knows_is_read(prefix: Path) -> None:
    (step,) = load_locust(prefix, Prices(1.2)).steps
    assert (step.window_counts.ok, step.window_counts.failed, step.concurrency) == (114, 6, 5)
    assert step.errors.rate == 0.05
    assert step.errors.classes == {"HTTP 429": 6}
    assert step.shown("e2e", 95) == 1900
    assert step.shown("e2e", 99) is None
    assert step.latency["e2e"].bucketed


def test_names_of_one_run_share_its_users_and_their_rates_add_up(tmp_path: Path) -> None:
    result = load_locust(two_names(tmp_path, [8] * 61, [10] * 61, [1] * 61), Prices(1.2))
    assert rates(result) == [(8, pytest.approx(660))]
    assert result.steps[0].cost.per_request == pytest.approx(1.2 / 60 / 660)
    assert result.locust is not None
    by_name = [entry.per_minute_by_step for entry in result.locust.requests]
    assert by_name == [{"run/8 users": pytest.approx(600)}, {"run/8 users": pytest.approx(60)}]


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_single_level_is_described_and_not_recommended(tmp_path: Path) -> None:
    prefix = two_names(tmp_path, [8] * 61, [10] * 61, [1] * 61)
    made = write_report(load_locust(prefix, Prices(1.2)), tmp_path / "out")
    assert made.answer.startswith("run, 8 users, over 59.0 s: 660 answered requests/min")
    assert "nothing is recommended" in made.answer
    assert made.summary["choices"][0]["best"] is None
    assert not list((tmp_path / "out").glob("autoscaling*"))
    assert "best option" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_levels_are_found_in_the_user_count_and_compared(tmp_path: Path) -> None:
    users = [1] * 30 + [2, 3] + [4] * 30 + [8] * 30
    prefix = two_names(tmp_path, users, [1] * 32 + [4] * 30 + [5] * 30, [0] * 32 + [1] * 60)
    result = load_locust(prefix, Prices(1.2))
    assert rates(result) == [(1, pytest.approx(60)), (4, pytest.approx(300)), (8, pytest.approx(360))]
    assert [step.shown("e2e", None) for step in result.steps] == [pytest.approx(900)] * 3
    assert result.steps[0].shown("e2e", 50) is None
    made = write_report(result, tmp_path / "out")
    assert made.answer.startswith("Use run at concurrency 8: it is the cheapest choice")


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_level_that_comes_back_is_a_step_of_its_own(tmp_path: Path) -> None:
    users = [2] * 20 + [6] * 20 + [2] * 20
    result = load_locust(two_names(tmp_path, users, [1] * 20 + [3] * 20 + [2] * 20, [1] * 60), Prices(1.2))
    assert [step.id for step in result.steps] == ["run/2 users", "run/6 users", "run/2 users#2"]
    write_report(result, tmp_path / "out")


def test_a_dip_of_one_report_does_not_end_a_level(tmp_path: Path) -> None:
    users = [8] * 30 + [7] + [8] * 30
    result = load_locust(two_names(tmp_path, users, [10] * 61, [1] * 61))
    assert rates(result) == [(8, pytest.approx(660))]


@pytest.mark.parametrize("at", [3, 30, 58])
def test_a_reset_in_mid_run_costs_only_its_own_second(tmp_path: Path, at: int) -> None:
    chat: list[int | None] = [10] * 61
    chat[at] = None
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 10 * (60 - at), 0, 900.0))
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([5] * 61, {CHAT: chat}))
    result = load_locust(tmp_path / "run")
    assert rates(result) == [(5, pytest.approx(600))]
    assert result.locust is not None
    assert result.locust.resets == 1
    assert any("reset 1 time(s)" in problem for problem in result.problems)


def test_a_reset_that_the_counts_hide_is_seen_in_the_slowest_request(tmp_path: Path) -> None:
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 600, 0, 900.0))
    points = history([5] * 31, {CHAT: [0, 10, *[20] * 29]})
    for row in points:
        after = row["Timestamp"] > points[1]["Timestamp"]
        row["Total Max Response Time"] = 900 if after else 2000
    write(tmp_path / "run_stats_history.csv", HISTORY, *points)
    result = load_locust(tmp_path / "run")
    assert result.locust is not None
    assert result.locust.resets == 1


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_measures_enter_no_rate_no_failure_and_no_price(tmp_path: Path) -> None:
    zero = {"Average Content Size": 0}
    measures = [
        stats_row("prompt tokens", 600, 0, 512.0, Type="METRIC", **zero),
        stats_row("/chat", 600, 3, 61.0, Type="TTFT", **zero),
        stats_row("speed", 600, 0, 37.5, Type="OutputTokensPerSecond", **zero),
    ]
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 600, 0, 900.0), *measures)
    keys = [CHAT, ("METRIC", "prompt tokens"), ("TTFT", "/chat"), ("OutputTokensPerSecond", "speed")]
    points = history([5] * 61, {key: [10] * 61 for key in [*keys, ("", "Aggregated")]})
    write(tmp_path / "run_stats_history.csv", HISTORY, *points)
    errors = {"Method": "TTFT", "Name": "/chat", "Error": "no token", "Occurrences": 3}
    write(tmp_path / "run_failures.csv", FAILURES, errors)
    result = load_locust(tmp_path / "run", Prices(1.2))
    (step,) = result.steps
    assert step.throughput.per_minute == pytest.approx(600)
    assert (step.window_counts.failed, step.errors.classes) == (0, {})
    assert "ttft" not in step.latency
    write_report(result, tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| METRIC | prompt tokens | 600 | 512 |" in page
    data = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["locust"]
    assert [row["type"] for row in data["measures"]] == ["METRIC", "TTFT", "OutputTokensPerSecond"]
    assert [row["name"] for row in data["requests"]] == ["/chat"]


@pytest.mark.parametrize("method", ["grpc", "completion"])
def test_a_type_of_its_own_is_a_request_when_nothing_else_is(tmp_path: Path, method: str) -> None:
    row = stats_row("Ask", 600, 0, 900.0, Type=method) | {"Average Content Size": 0}
    write(tmp_path / "run_stats.csv", STATS, row)
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([5] * 61, {(method, "Ask"): [10] * 61}))
    assert rates(load_locust(tmp_path / "run")) == [(5, pytest.approx(600))]


def test_measures_under_an_http_method_are_called_suspicious(tmp_path: Path) -> None:
    rows = [
        stats_row("/chat", 600, 0, 900.0),
        stats_row("time to first token", 600, 0, 200.0) | {"Average Content Size": 0},
    ]
    write(tmp_path / "run_stats.csv", STATS, *rows)
    problems = load_locust(tmp_path / "run").problems
    assert any("time to first token: no content, and counted as often" in problem for problem in problems)


def test_more_requests_than_users_can_have_in_flight_are_doubted(tmp_path: Path) -> None:
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 1200, 0, 900.0))
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([5] * 61, {CHAT: [20] * 61}))
    (step,) = load_locust(tmp_path / "run").steps
    assert any("18.0 requests were in flight for 5 users" in reason for reason in step.trust.texts)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_failures_belong_to_a_method_and_a_name(tmp_path: Path) -> None:
    rows = [stats_row("/chat", 600, 0, 900.0), stats_row("/chat", 60, 60, 900.0, Type="GET")]
    write(tmp_path / "run_stats.csv", STATS, *rows)
    counts = {CHAT: [10] * 61, ("GET", "/chat"): [-1] * 61}
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([5] * 61, counts))
    error = {"Method": "GET", "Name": "/chat", "Error": "HTTP 405", "Occurrences": 60}
    write(tmp_path / "run_failures.csv", FAILURES, error)
    result = load_locust(tmp_path / "run")
    made = write_report(result, tmp_path / "out")
    assert "GET /chat failed 60 of 60 requests (HTTP 405)." in made.answer
    assert result.locust is not None
    assert [entry.errors for entry in result.locust.requests] == [{}, {"HTTP 405": 60}]
    assert result.steps[0].errors.rate == pytest.approx(60 / 660)
    assert "| GET | /chat | HTTP 405 | 60 |" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_without_history_the_whole_run_row_is_reported_as_such(prefix: Path, tmp_path: Path) -> None:
    prefix.with_name("run_stats_history.csv").unlink()
    result = load_locust(prefix, Prices(1.2))
    (step,) = result.steps
    assert (step.concurrency, step.throughput.per_minute) == (None, pytest.approx(114))
    made = write_report(result, tmp_path / "out")
    assert "an unknown number of users, mean over the whole run with its ramp: 114 answered" in made.answer
    assert made.summary["locust"]["basis"] == "whole run"


def test_several_names_without_full_history_are_reported_together(prefix: Path) -> None:
    """Names that look like our steps are not taken for levels: the history does not confirm it."""
    names = ("ml.g5.xlarge/en/c1", "ml.g5.xlarge/en/c2")
    write(prefix.with_name("run_stats.csv"), STATS, *(stats_row(name, 60, 3, 900.0) for name in names))
    result = load_locust(prefix)
    ((users, per_minute),) = rates(result)
    assert users == 5
    assert per_minute == pytest.approx(107, abs=1)
    assert result.locust is not None
    assert [entry.name for entry in result.locust.requests] == list(names)


def test_measures_without_full_history_leave_the_whole_run_row(prefix: Path) -> None:
    metric = stats_row("tokens", 114, 0, 128.0, Type="METRIC") | {"Average Content Size": 0}
    write(prefix.with_name("run_stats.csv"), STATS, stats_row("/chat", 120, 6, 950.0), metric)
    result = load_locust(prefix)
    assert rates(result) == [(5, pytest.approx(114))]
    assert any("--csv-full-history" in problem for problem in result.problems)
    assert any("whole run" in reason for reason in result.steps[0].trust.texts)


def test_steps_of_this_suite_are_told_by_their_history(tmp_path: Path) -> None:
    names = [("POST", f"ml.g5.xlarge/en/c{users}") for users in (1, 4)]
    ttft = stats_row(names[1][1], 120, 0, 90.0, Type="TTFT") | {"Average Content Size": 0}
    rows = [stats_row(names[0][1], 30, 0, 900.0), stats_row(names[1][1], 120, 0, 900.0), ttft]
    write(tmp_path / "run_stats.csv", STATS, *rows)
    counts = {names[0]: [1] * 31 + [0] * 30, names[1]: [0] * 31 + [4] * 30}
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([1] * 31 + [4] * 30, counts))
    result = load_locust(tmp_path / "run", Prices(1.2))
    assert [step.id for step in result.steps] == [name for _, name in names]
    assert rates(result) == [(1, pytest.approx(60)), (4, pytest.approx(240))]
    assert result.steps[1].latency["ttft"].mean == 90
    assert result.experiments[0].instance_type == "ml.g5.xlarge"


def test_names_like_steps_that_are_sent_at_once_are_one_level(tmp_path: Path) -> None:
    names = [("POST", f"ml.g5.xlarge/en/c{users}") for users in (1, 4)]
    write(tmp_path / "run_stats.csv", STATS, *(stats_row(name, 60, 0, 900.0) for _, name in names))
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([4] * 61, {name: [1] * 61 for name in names}))
    assert rates(load_locust(tmp_path / "run")) == [(4, pytest.approx(120))]


def test_a_request_may_be_called_na(prefix: Path) -> None:
    write(prefix.with_name("run_stats.csv"), STATS, stats_row("NA", 120, 6, 950.0))
    result = load_locust(prefix)
    assert result.locust is not None
    assert [entry.name for entry in result.locust.requests] == ["NA"]


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_what_locust_does_not_know_stays_unknown_and_is_said(prefix: Path, tmp_path: Path) -> None:
    result = load_locust(prefix)
    (step,) = result.steps
    assert step.throughput.completion_tokens_per_s is None
    assert "ttft" not in step.latency
    made = write_report(result, tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "percentiles come from rounded buckets" in page
    assert made.summary["experiments"][0]["steps"][0]["ttft_ms"]["p50"] is None


def test_no_file_and_another_file_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_locust(tmp_path / "nothing")
    (tmp_path / "x_stats.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="not one of Locust's"):
        load_locust(tmp_path / "x")


_TASK = """
def fire(kind, name, value, length=0, exception=None):
    self.environment.events.request.fire(request_type=kind, name=name, response_time=value,
                                         response_length=length, exception=exception, context={})
fire("POST", 'a, "b"\\nc', 50, length=9)
fire("POST", "broken", 5, exception=OSError("no"))
fire("METRIC", "tokens", 128)
"""


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
@pytest.mark.parametrize("options", [(), ("--csv-full-history",), ("--csv-full-history", "--reset-stats")])
def test_a_real_locust_run_is_read(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Locust itself is the oracle: what it counts, with names that need quotes, failures and measures."""
    result = load_locust(real_locust(tmp_path, _TASK, *options))
    (step,) = result.steps
    assert step.concurrency == 2
    assert step.errors.rate == pytest.approx(0.5, abs=0.05)
    assert step.throughput.per_minute is not None
    assert (
        step.throughput.per_minute <= 1.05 * 60 * 2 / 0.05
    )  # each user's first request comes without a wait
    assert result.locust is not None
    assert [entry.label for entry in result.locust.requests] == ['POST a, "b"\nc', "POST broken"]
    assert [entry.label for entry in result.locust.measures] == ["METRIC tokens"]
    assert result.locust.whole_run == (not options)
    made = write_report(result, tmp_path / "out")
    assert "POST broken failed" in made.answer


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_exceptions_of_the_users_code_are_shown(tmp_path: Path) -> None:
    task = f'{_TASK}\nraise KeyError("choices")'
    write_report(load_locust(real_locust(tmp_path, task, "--csv-full-history")), tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Exceptions in the users' code" in page
    assert "'choices'" in page


def test_the_second_in_which_users_come_belongs_to_their_level(tmp_path: Path) -> None:
    write(tmp_path / "run_stats.csv", STATS, stats_row("/chat", 30, 0, 900.0))
    write(tmp_path / "run_stats_history.csv", HISTORY, *history([0, 5, 5, 5], {CHAT: [0, 10, 10, 10]}))
    (step,) = load_locust(tmp_path / "run").steps
    assert (step.concurrency, step.shown("e2e", 50)) == (5, 900)
