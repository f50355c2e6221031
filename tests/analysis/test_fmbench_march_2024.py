"""FMBench's published run of 22 March 2024: what FMBench printed, and what was true."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.importers.command_line_prices import Prices, read_prices
from analysis.importers.fmbench.folder import load_fmbench
from analysis.importers.fmbench.method import Burst, fmbench_level
from analysis.measure.results import RunResult
from analysis.report import write_report
from common.errors import UserError
from runfolder.percentiles import percentile
from tests.analysis.fmbench_march_2024 import BURSTS, NAME, PAYLOAD, REQUESTS, write_fmbench_folder

LATENCY = np.array([latency for latency, _, _ in REQUESTS])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fmbench_folder(tmp_path_factory.mktemp("fmbench"))


@pytest.fixture(scope="module")
def result(folder: Path) -> RunResult:
    return load_fmbench(folder, Prices(1.006))


def test_the_true_figures_of_fmbenchs_run(result: RunResult) -> None:
    (step,) = result.steps
    assert step.window_counts.ok == 15
    assert step.throughput.per_minute == pytest.approx(25.478447137746397, rel=1e-6)
    assert step.throughput.prompt_tokens_per_s == pytest.approx(689.333542004583, rel=1e-6)
    assert step.throughput.completion_tokens_per_s == pytest.approx(22.873983652554543, rel=1e-6)
    assert step.latency["e2e"].mean == pytest.approx(2354.931588868688)
    assert step.shown("e2e", 50) == pytest.approx(1278.557625002577)
    assert step.cost.per_request == pytest.approx(0.0006580725495560835, rel=1e-6)


def test_at_sagemakers_price_a_request_cost_nearly_three_times_what_was_printed(folder: Path) -> None:
    (step,) = load_fmbench(folder, Prices(1.4084)).steps
    assert step.cost.per_request == pytest.approx(0.0009213015693785169, rel=1e-6)
    assert step.cost.per_million_total == pytest.approx(0.54931, abs=1e-5)
    assert step.cost.per_million_output == pytest.approx(17.1034, abs=1e-4)


def test_fmbenchs_own_column_comes_out_as_printed(result: RunResult) -> None:
    (step,) = result.steps
    level = fmbench_level(result.fmbench[step.id], 1.006)
    assert level is not None
    assert level.transactions_per_minute == 49
    assert round(level.price_per_txn or 0, 6) == 0.000342
    assert level.prompt_token_throughput == 1265
    assert level.completion_token_throughput == 18
    assert level.prompt_token_count_mean == 1623
    assert level.completion_token_count_mean == 53
    assert level.latency_mean == 2.35
    assert level.score == pytest.approx(1461.4453703312045)


def test_each_bursts_rate_is_truncated_before_the_mean() -> None:
    """0.23/s and 0.24/s are 13 and 14 a minute in FMBench, 13.5 on average, printed 13; untruncated 14.1."""
    bursts = [Burst(seconds, 1, 0, 100, 10, seconds) for seconds in (4.2712, 4.1890)]
    level = fmbench_level(bursts, None)
    assert level is not None
    assert level.transactions_per_minute == 13
    assert level.price_per_txn is None
    assert fmbench_level([], 1.0) is None


def test_the_trust_gate_sees_what_was_wrong(result: RunResult) -> None:
    (step,) = result.steps
    reasons = "; ".join(step.trust.texts)
    assert "one client at 2.35 s cannot do 49 a minute (at most 25.5)" in reasons
    assert "15 samples: too few for a p95" in reasons
    assert step.shown("e2e", 95) is None


def test_percentiles_are_linear_between_order_statistics() -> None:
    expected = {90: 4.215988983007264, 95: 4.230148845406075, 99: 4.252820001879299}
    for p, value in expected.items():
        assert percentile(np.sort(LATENCY), p) == pytest.approx(value)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_the_report_shows_both_columns_and_why(folder: Path, result: RunResult, tmp_path: Path) -> None:
    made = write_report(result, tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| transactions_per_minute | 25.5 | 49 |" in page
    assert "| price_per_txn | 0.000658 | 0.000342 |" in page
    assert "cannot do 49 a minute" in page
    assert "| latency_mean | 2.35 | s |" in page
    assert made.summary["run"]["source"] == "fmbench"


def test_a_damaged_file_is_left_out_and_told(tmp_path: Path) -> None:
    folder = write_fmbench_folder(tmp_path / "f")
    victim = min((folder / "per_inference").iterdir())
    victim.write_text(victim.read_text()[:40])
    result = load_fmbench(folder)
    assert result.steps[0].window_counts.ok == 14
    assert any("1 damaged file left out" in problem for problem in result.problems)
    assert result.steps[0].cost.per_request is None


def test_bursts_alone_give_true_rates(tmp_path: Path) -> None:
    """A burst of one is its request, so its latency is known; the failed one took a second."""
    header = "experiment_name,payload_file,instance_type,concurrency,errors,successes,latency_mean,"
    header += "all_prompts_token_count,prompt_token_throughput,all_completions_token_count"
    lines = [header]
    for (latency, prompt, completion), (_, _, rate) in zip(REQUESTS, BURSTS, strict=True):
        lines.append(f"{NAME},{PAYLOAD},ml.g5.xlarge,1,[],1,{latency},{prompt},{rate},{completion}")
    lines.append(f"{NAME},{PAYLOAD},ml.g5.xlarge,1,['boom'],0,,1500,1500,")  # a failed burst of one second
    (tmp_path / "all_metrics.csv").write_text("\n".join(lines) + "\n")
    result = load_fmbench(tmp_path, Prices(1.4084))
    (step,) = result.steps
    assert (step.window_counts.ok, step.window_counts.failed) == (15, 1)
    assert step.throughput.per_minute == pytest.approx(60 * 15 / (LATENCY.sum() + 1))
    assert step.latency["e2e"].mean == pytest.approx(2354.93, abs=0.01)
    assert step.shown("e2e", 50) == pytest.approx(1278.557625002577)
    assert step.tokens_per_request.prompt == pytest.approx(24350 / 15)


def several_instances(folder: Path) -> Path:
    """The folder of that run twice, as of two instance types."""
    write_fmbench_folder(folder)
    for path in [*folder.rglob("*.json")]:
        other = json.loads(path.read_text()) | {"experiment_name": "llama2-7b-p4d.24xlarge"}
        path.with_name(f"{float(path.stem) + 1000!r}.json").write_text(json.dumps(other))
    return folder


def test_several_instance_types_take_a_price_each(tmp_path: Path) -> None:
    folder = several_instances(tmp_path)
    with pytest.raises(UserError, match=r"cannot be that of ml.g5.xlarge and ml.p4d.24xlarge"):
        load_fmbench(folder, Prices(1.4084))
    with pytest.raises(UserError, match=r"a price for ml.g5.2xlarge, but"):
        load_fmbench(folder, Prices(by_type={"ml.g5.2xlarge": 1.5}))
    result = load_fmbench(folder, Prices(by_type={"ml.g5.xlarge": 1.4084, "ml.p4d.24xlarge": 37.69}))
    assert [e.usd_per_hour for e in result.experiments] == [1.4084, 37.69]
    assert load_fmbench(folder).experiments[0].usd_per_hour is None


def test_bursts_of_several_instance_types_take_a_price_each_too(tmp_path: Path) -> None:
    header = "experiment_name,instance_type,concurrency,successes,latency_mean,prompt_token_throughput"
    rows = [f"{t},{t},1,1,2.0,100" for t in ("ml.g5.xlarge", "ml.p4d.24xlarge") for _ in range(12)]
    (tmp_path / "all_metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(UserError, match="cannot be that of"):
        load_fmbench(tmp_path, Prices(1.4084))
    result = load_fmbench(tmp_path, Prices(by_type={"ml.g5.xlarge": 1.2, "ml.p4d.24xlarge": 36.0}))
    assert [s.cost.per_request for s in result.steps] == pytest.approx([1.2 / 1800, 36 / 1800])


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((), Prices()),
        (("1.4",), Prices(1.4)),
        (("a=1.5,b=32",), Prices(by_type={"a": 1.5, "b": 32.0})),
        (("a=1.5", "b=32"), Prices(by_type={"a": 1.5, "b": 32.0})),
    ],
)
def test_prices_are_read_from_the_command_line(texts: tuple[str, ...], found: Prices) -> None:
    assert read_prices(texts) == found


@pytest.mark.parametrize("text", ["-1", "0", "nan", "much", "a=", "=2", "1,2", "a=1,a=2", "1,a=2"])
def test_what_is_no_price_is_a_clear_error(text: str) -> None:
    with pytest.raises(UserError, match="price"):
        read_prices((text,))


@pytest.mark.parametrize("missing", ["nowhere", "."])
def test_a_folder_without_results_is_a_clear_error(tmp_path: Path, missing: str) -> None:
    with pytest.raises(UserError, match=r"FMBench|per_inference"):
        load_fmbench(tmp_path / missing)
