"""Metrics of a run for Prometheus and Grafana: the figures that the other displays show."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.display.run_display import progress_of
from bench.monitoring.metrics import METRICS, values
from bench.monitoring.metrics_doc import PAGE, with_table
from bench.monitoring.points import Buckets, Facts
from bench.monitoring.prometheus import exposition, family_name, series_names
from common.formatting import milliseconds
from locustfiles.master.row_totals import BOUNDS_S, RowTotals
from runfolder.records import Request
from tests.bench.live_states import NAME, load_state, run_state
from tests.bench.test_display import screen_of
from tests.support.metrics_page import Series, series, value

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "monitoring" / "grafana-dashboard.json"


def facts(folder: Path, *, played: int = 4, **run: Any) -> Facts:
    return Facts(run_state(**{"judged": {}, **run}), [load_state(folder, played=played)])


def page(found: Facts) -> Series:
    text, content_type = exposition(found, "")
    assert content_type.startswith("text/plain; version=0.0.4")
    return series(text.decode())


def test_a_scrape_shows_what_page_terminal_and_json_show(tmp_path: Path) -> None:
    found = facts(tmp_path)
    load, run, shown = dict(found.loads[0]), dict(found.run), page(found)
    told, step = progress_of(load), load["steps"][3]
    at = {"experiment": NAME, "step": "c4"}
    for latency in ("ttft", "tpot", "e2e"):
        for statistic in ("p50", "p95"):
            key = f"{latency}_{statistic}_ms"
            exact = value(shown, "llm_bench_step_latency_seconds", metric=latency, statistic=statistic, **at)
            assert exact == pytest.approx(step[key] / 1000) == pytest.approx(told[key] / 1000)
            assert f"{statistic} {milliseconds(step[key]):>8}" in "\n".join(screen_of(run, load))
    before = {"experiment": NAME, "step": "c3"}
    for labels, name, figure in (
        (at, "llm_bench_step_answers", step["measured_ok"]),
        (at, "llm_bench_step_error_ratio", step["error_rate"]),
        (at, "llm_bench_step_target_users", 4),
        (before, "llm_bench_step_requests_per_second", load["steps"][2]["requests_per_minute"] / 60),
        (before, "llm_bench_step_output_tokens_per_second", load["steps"][2]["completion_tokens_per_s"]),
        ({}, "gen_ai_client_inference_usage_output_tokens_total", 519 * 64),
        ({}, "gen_ai_client_inference_duration_seconds_count", 519),
        ({}, "gen_ai_client_inference_duration_seconds_sum", 130 * 6.306 + 129 * 2.104),
    ):
        assert value(shown, name, **labels) == pytest.approx(figure), name
    assert load["outcomes"] == told["outcomes"] == {"ok": 519, "failed": 1}
    for outcome in ("ok", "failed", "censored", "withheld"):
        ended = value(shown, "llm_bench_requests_total", experiment=NAME, outcome=outcome)
        assert ended == load["outcomes"].get(outcome, 0)
    assert value(shown, "llm_bench_errors_total", experiment=NAME, error_type="throttled") == 1
    assert value(shown, "llm_bench_slo_limit_seconds", metric="ttft", statistic="p95") == 0.23
    assert value(shown, "llm_bench_step_slo", status="met", **at) == 1
    assert value(shown, "llm_bench_worker_cpu_ratio", worker="w0") == pytest.approx(0.41)
    assert value(shown, "llm_bench_cost_usd_total") == 1.25
    assert value(shown, "llm_bench_run_info", plan="a plan", rehearsal="false") == 1
    rehearsed = page(facts(tmp_path, rehearsal=True))
    assert value(rehearsed, "llm_bench_run_info", rehearsal="true") == 1, "none of these figures is from AWS"
    assert value(shown, "llm_bench_target_users", experiment=NAME) == told["target"] == 4
    assert value(shown, "llm_bench_phase", phase="measure") == 1


def test_what_holds_only_during_a_load_ends_with_it_and_the_report_has_the_last_word(tmp_path: Path) -> None:
    step = f"{NAME}/c4"
    shown = page(facts(tmp_path, stage="delete", judged={step: {"slo": "missed", "trust": "pass"}}))
    assert {
        value(shown, name) for name in ("llm_bench_users", "llm_bench_worker_cpu_ratio", "llm_bench_phase")
    } == {None}
    assert value(shown, "llm_bench_stage", stage="delete") == 1
    assert value(shown, "llm_bench_requests_total", outcome="ok") == 519
    assert value(shown, "llm_bench_step_slo", step="c4", status="missed") == 1
    assert page(
        Facts(run_state(judged={}, id="", stage="check", cost=dict.fromkeys(run_state()["cost"])), [])
    ).keys() == {
        ("llm_bench_stage", frozenset({("stage", stage)}))
        for stage in (
            "check",
            "workers",
            "deploy",
            "prompts",
            "load",
            "delete",
            "cloudwatch",
            "report",
            "ended",
        )
    }, "what is not known is absent"


def test_a_warm_up_is_no_measurement(tmp_path: Path) -> None:
    found = facts(tmp_path)
    last_answers = {"requests_per_minute": 60.0, "completion_tokens_per_s": 9.0, "ttft_p50_ms": 140.0}
    found.loads[0]["steps"][3] |= last_answers | {"measure_started_at": None, "slo": None}
    shown = {name for name, labels in page(found) if ("step", "c4") in labels}
    assert shown == {"llm_bench_step_target_users"}


@settings(max_examples=30)
@given(
    st.lists(st.floats(0.0, 200_000.0) | st.sampled_from([10.0, 40.0, 81_920.0]), max_size=20),
    st.just(0.0) | st.floats(0.0, 500.0),
)
def test_a_bucket_has_what_is_not_above_its_bound(latencies: list[float], late_ms: float) -> None:
    totals = RowTotals()
    for latency in latencies:
        totals.add(Request("r", "s", "w0", "p", 1.0, schedule_delay_ms=late_ms, e2e_ms=latency))
    counts = totals.as_data()["e2e"]["counts"]
    for number, bound in enumerate(BOUNDS_S["e2e_ms"]):
        assert sum(counts[: number + 1]) == sum(each + late_ms <= bound * 1000 for each in latencies)
    assert sum(counts) == len(latencies), "one bucket has what is above all bounds"
    assert totals.as_data()["e2e"]["sum_ms"] == pytest.approx(
        sum(latencies) + late_ms * len(latencies), abs=0.01
    )
    assert (totals.prompt_tokens, any(totals.as_data()["ttft"]["counts"])) == (None, False), (
        "nobody has counted them"
    )


def test_labels_are_few_and_names_say_their_unit(tmp_path: Path) -> None:
    for metric, points in values(facts(tmp_path)):
        assert {tuple(sorted(point.labels)) for point in points} == {tuple(sorted(metric.labels))}, (
            metric.name
        )
        assert len({tuple(point.labels.values()) for point in points}) == len(points), metric.name
        assert all(isinstance(point.value, Buckets) == (metric.kind == "histogram") for point in points)
        assert re.fullmatch("(llm_bench|gen_ai)[a-z_]+", family_name(metric))
        assert ("_seconds" in family_name(metric)) == (metric.unit == "s")
    names = [name for metric in METRICS for name in series_names(metric)]
    assert len(names) == len(set(names))


def test_the_table_of_the_docs_is_that_of_the_metrics() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == with_table(written), "run: python -m bench.monitoring.metrics_doc"
    assert METRICS[-1].description in written


def queries() -> list[str]:
    """Every PromQL expression of the dashboard, with its variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [
        re.sub(r"\$(instance|experiment)", ".*", query.replace("$__rate_interval", "4s")) for query in found
    ]


def unknown(written: Any, read: Any, path: str = "") -> list[str]:
    """Where Grafana's types have not read what was written. They drop a key that they do not know."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [each for key in written for each in unknown(written[key], read.get(key), f"{path}/{key}")]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [
            each
            for number, (one, other) in enumerate(zip(written, read, strict=True))
            for each in unknown(one, other, f"{path}/{number}")
        ]
    return [] if written == read else [path]


def test_the_dashboard_fits_grafanas_schema() -> None:
    plugins.register_default_plugins()
    written = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert unknown(written, json.loads(json.dumps(Dashboard.from_json(written), cls=JSONEncoder))) == []
    identities = [panel["id"] for panel in written["panels"]]
    assert len(identities) == len(set(identities))


def test_the_dashboard_asks_for_metrics_and_labels_that_there_are() -> None:
    labels = {
        name: {label.replace(".", "_") for label in metric.labels} | {"instance"}
        for metric in METRICS
        for name in series_names(metric)
    }
    asked = queries()
    variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    asked += [each["query"]["query"] for each in variables if each["type"] == "query"]
    for query in asked:
        used = re.findall(r"\b((?:llm_bench|gen_ai)\w+)(?:{([^}]*)})?", query)
        assert used
        for name, selector in used:
            assert name in labels, query
            assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= labels[name], query
    dashboard = DASHBOARD.read_text(encoding="utf-8")
    assert {name for name in labels if name in dashboard} >= {
        "gen_ai_client_inference_duration_seconds_bucket",
        "gen_ai_client_inference_time_to_first_chunk_seconds_bucket",
        "llm_bench_time_per_output_token_seconds_bucket",
        "llm_bench_slo_limit_seconds",
        "llm_bench_errors_total",
        "llm_bench_cost_usd_total",
        "llm_bench_worker_cpu_ratio",
    }
