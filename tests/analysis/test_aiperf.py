"""The export in AIPerf's form: figures by AIPerf's definitions, from nothing but requests.csv."""

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from analysis.render.aiperf_json import RECORDS, SUMMARY, aiperf_steps, write_aiperf
from analysis.report import make_report, measure_and_judge
from bench.commands.report import report as report_command
from common.errors import UserError
from tests.analysis.runs import summary_of
from tests.support.open_loop_run import make_open_loop
from tests.support.synthetic_run import Deployed, Server, write_run

STATISTICS = {"unit", "avg", "min", "max", "std", "count", "sum"} | {
    f"p{p}" for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)
}
"""What a metric of AIPerf's schema 1.4 may hold."""


def export(folder: Path) -> dict[str, Any]:
    """The summary of the only step."""
    [(_, summary, _)] = aiperf_steps(measure_and_judge(folder))
    return summary


def edit(folder: Path, **columns: Any) -> pd.DataFrame:
    rows = pd.read_csv(folder / "requests.csv").assign(**columns)
    rows.to_csv(folder / "requests.csv", index=False)
    return rows


def in_window(folder: Path) -> list[dict[str, str]]:
    [step] = csv.DictReader((folder / "steps.csv").open())
    start, end = float(step["measure_started_at"]), float(step["measure_ended_at"])
    rows = csv.DictReader((folder / "requests.csv").open())
    return [row for row in rows if start <= float(row["started_at"]) < end]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One step of 8 users, with failed requests."""
    fast = Server(tpot_ms=4, tpot_ms_per_user=0.2, failing=0.05)
    write_run(tmp_path, (Deployed(server=fast, measure_s=60, concurrency=(8,)),))
    return tmp_path


def test_figures_are_those_of_the_rows_by_aiperfs_definitions(folder: Path) -> None:
    """AIPerf's clock starts before a connection is opened; the server may count the first chunk's tokens."""
    rows = pd.read_csv(folder / "requests.csv")
    tenth = rows.index % 10 == 0
    edit(
        folder,
        connect_ms=rows.index % 7 * 10.0,
        session_open_ms=pd.Series(40.0, rows.index).where(rows.index % 5 == 0),
        first_chunk_tokens=pd.Series(3, rows.index).where(tenth, 1),
        first_chunk_source=pd.Series("usage", rows.index).where(tenth, "pieces"),
    )
    found = export(folder)

    latency: list[float] = []
    ttft: list[float] = []
    itl: list[float] = []
    tokens: list[float] = []
    starts: list[float] = []
    ends: list[float] = []
    failed = 0
    for row in in_window(folder):
        if row["outcome"] != "ok":
            failed += 1
            continue
        connect = 0.0 if row["session_open_ms"] else float(row["connect_ms"] or 0)  # else another's
        took, count = float(row["e2e_ms"]) + connect, int(row["completion_tokens"])
        after = count - (3 if row["first_chunk_source"] == "usage" else 1)
        latency.append(took)
        ttft.append(float(row["ttft_ms"]) + connect)
        itl.append((took - ttft[-1]) / after)
        tokens.append(count)
        starts.append(float(row["started_at"]) - connect / 1000)
        ends.append(starts[-1] + took / 1000)
    assert failed > 10
    each = {
        "request_latency": latency,
        "time_to_first_token": ttft,
        "inter_token_latency": itl,
        "output_token_throughput_per_user": [1000 / value for value in itl],
        "output_sequence_length": tokens,
    }
    for name, values in each.items():
        hundredths = statistics.quantiles(values, n=100, method="inclusive")
        assert found[name] == {
            "unit": found[name]["unit"],
            "avg": pytest.approx(statistics.fmean(values)),
            **{f"p{p}": pytest.approx(hundredths[p - 1]) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)},
            "min": pytest.approx(min(values)),
            "max": pytest.approx(max(values)),
            "std": pytest.approx(statistics.pstdev(values)),
            "count": len(values),
            "sum": pytest.approx(sum(values)),
        }
    seconds = max(ends) - min(starts)
    scalars = {
        "request_count": len(latency),
        "error_request_count": failed,
        "request_error_rate": 100 * failed / (failed + len(latency)),
        "benchmark_duration": seconds,
        "request_throughput": len(latency) / seconds,
        "output_token_throughput": sum(tokens) / seconds,
    }
    assert {name: found[name]["avg"] for name in scalars} == pytest.approx(scalars)
    assert [(error["error_details"]["code"], error["count"]) for error in found["error_summary"]] == [
        (424, failed)
    ]


def test_an_open_loop_counts_from_the_start_of_a_request_and_names_its_rate(folder: Path) -> None:
    make_open_loop(folder, delay_ms=400.0)
    found, result = export(folder), measure_and_judge(folder)
    step = summary_of(result)["experiments"][0]["steps"][0]
    for ours, theirs in (("e2e_sent_ms", "request_latency"), ("ttft_sent_ms", "time_to_first_token")):
        for ourstat, stat in (
            ("mean", "avg"),
            ("p50", "p50"),
            ("p95", "p95"),
            ("std", "std"),
            ("n", "count"),
        ):
            assert found[theirs][stat] == pytest.approx(step[ours][ourstat])
    assert found["request_latency"]["avg"] < step["e2e_ms"]["mean"] - 300
    assert found["input_config"]["phases"][0]["rate"] == 0.8


def test_what_was_not_measured_is_left_out(folder: Path) -> None:
    rows = pd.read_csv(folder / "requests.csv")
    edit(
        folder, completion_tokens_source=rows["completion_tokens_source"].where(rows.index != 500, "estimate")
    )
    found = export(folder)
    assert {"request_latency", "time_to_first_token", "input_sequence_length"} <= found.keys()
    guessed = {"inter_token_latency", "output_sequence_length", "output_token_throughput", "total_osl"}
    assert guessed.isdisjoint(found)
    metrics = {name: value for name, value in found.items() if isinstance(value, dict) and "unit" in value}
    assert set().union(*metrics.values()) <= STATISTICS
    assert not {"time_to_second_token", "inter_chunk_latency", "goodput"} & metrics.keys()


def test_percentiles_on_few_samples_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(1,)),))
    latency = export(tmp_path)["request_latency"]
    assert 20 <= latency["count"] < 50
    assert {p for p in latency if p.startswith("p")} == {"p25", "p50", "p75"}


def test_a_void_step_is_marked_where_aiperfs_own_tools_look(folder: Path) -> None:
    assert export(folder)["is_complete"] is True
    rows = pd.read_csv(folder / "requests.csv")
    edit(folder, outcome=rows["outcome"].where(rows.index % 8 > 0, "censored"))
    found = export(folder)
    assert found["is_complete"] is False
    trust = found["llm_bench"]["trust"]
    assert trust["level"] == "void"
    assert "censored_requests" in [reason["code"] for reason in trust["reasons"]]
    assert trust["reasons"][0]["text"] in found["incomplete_reason"]
    assert found["request_count"]["avg"] + found["error_request_count"]["avg"] < len(in_window(folder))


def test_each_request_has_a_line_that_its_summary_is_made_of(folder: Path) -> None:
    [step] = write_aiperf(folder / "out", measure_and_judge(folder))
    assert step.relative_to(folder) == Path("out/01_ml.g5.xlarge_en_1-500/01_c8")
    lines = [json.loads(line) for line in (step / RECORDS).read_text().splitlines()]
    found = json.loads((step / SUMMARY).read_text())
    ok = [line for line in lines if line["error"] is None]
    assert len(lines) == len(in_window(folder))
    assert len(ok) == found["request_count"]["avg"]
    values = [line["metrics"]["request_latency"]["value"] for line in ok]
    assert statistics.fmean(values) == pytest.approx(found["request_latency"]["avg"])
    first, last = ok[0]["metadata"], max(line["metadata"]["request_end_ns"] for line in ok)
    assert (last - first["request_start_ns"]) / 1e9 == pytest.approx(found["benchmark_duration"]["avg"])
    assert {line["error"]["type"] for line in lines if line["error"]} == {"model_5xx"}


@pytest.mark.e2e
def test_a_report_writes_it_on_request_and_renews_it(folder: Path, placeholder_pictures: None) -> None:
    assert make_report(folder).aiperf is None
    assert not (folder / "aiperf").exists()
    assert make_report(folder, aiperf=True).aiperf == folder / "aiperf"
    [records, summary] = sorted((folder / "aiperf").rglob("*.json*"))
    assert (records.name, summary.name) == (RECORDS, SUMMARY)
    before = json.loads(summary.read_text())["request_latency"]["avg"]
    edit(folder, e2e_ms=pd.read_csv(folder / "requests.csv")["e2e_ms"] + 100.0)
    make_report(folder)
    assert json.loads(summary.read_text())["request_latency"]["avg"] == pytest.approx(before + 100)


def test_other_tools_results_are_refused() -> None:
    refused = CliRunner().invoke(report_command, ["--locust", "no/such", "--aiperf"], standalone_mode=False)
    assert isinstance(refused.exception, UserError)
    assert refused.exception.remedy == "give --aiperf with a run folder only"
