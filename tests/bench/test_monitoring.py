"""Metrics of a run for Prometheus, OpenTelemetry and Grafana: the figures that the other displays show."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.display.run_display import progress_of
from bench.monitoring import otlp
from bench.monitoring.metrics import METRICS, values
from bench.monitoring.metrics_doc import PAGE, with_table
from bench.monitoring.otlp_environment import export_interval_s
from bench.monitoring.points import Buckets, Facts
from bench.monitoring.prometheus import exposition, family_name, series_names
from bench.ports import free_port
from common.errors import UserError
from common.formatting import milliseconds
from locustfiles.master.row_totals import BOUNDS_S, RowTotals
from runfolder.records import Request
from tests.bench.live_states import NAME, load_state, run_state
from tests.bench.test_display import screen_of
from tests.support.metrics_page import Series, series, value

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "monitoring" / "grafana-dashboard.json"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


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


class Receiver:
    """An OTLP receiver that keeps what it gets."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.got_one = Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.requests.append(ExportMetricsServiceRequest.FromString(body))
                receiver.headers.append(dict(self.headers))
                receiver.paths.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.got_one.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def as_series(request: ExportMetricsServiceRequest) -> Series:
    """What was sent, under the names that Prometheus gives it."""
    named = {metric.name: metric for metric in METRICS}
    found: Series = {}
    for sent in request.resource_metrics[0].scope_metrics[0].metrics:
        metric, kind = named[sent.name], sent.WhichOneof("data")
        assert kind == {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}[metric.kind]
        assert sent.unit == metric.unit
        for point in getattr(sent, kind).data_points:
            labels = {each.key.replace(".", "_"): each.value.string_value for each in point.attributes}
            assert kind == "gauge" or 0 < point.start_time_unix_nano < point.time_unix_nano
            if kind != "histogram":
                (name,) = series_names(metric)
                number = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                found[name, frozenset(labels.items())] = number
                continue
            assert sent.histogram.aggregation_temporality == 2, "cumulative"
            bucket, count, total = series_names(metric)
            found[count, frozenset(labels.items())] = point.count
            found[total, frozenset(labels.items())] = point.sum
            so_far = 0
            for bound, own in zip(
                [*map(str, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True
            ):
                so_far += own
                found[bucket, frozenset({**labels, "le": bound}.items())] = so_far
    return found


def test_a_receiver_gets_what_a_scrape_shows_and_the_last_figures(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    (tmp_path / "later").mkdir()
    found = [facts(tmp_path)]
    with otlp.exporting(lambda: found[0], 0.01):
        assert receiver.got_one.wait(20)
        found[0] = facts(tmp_path / "later", played=5, stage="delete")
    assert as_series(receiver.requests[-1]) == pytest.approx(page(found[0]))
    assert set(receiver.paths) == {"/v1/metrics"}
    assert receiver.headers[0]["api-key"] == "abc"
    resource = {
        each.key: each.value.string_value
        for each in receiver.requests[0].resource_metrics[0].resource.attributes
    }
    assert resource == {
        "service.name": "llm-bench",
        "service.instance.id": run_state()["id"],
        "deployment.environment.name": "lab",
    }


def test_a_plan_that_is_refused_sends_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, receiver.url)
    with otlp.exporting(lambda: Facts(run_state(judged={}, id="", stage="check"), []), 60.0):
        pass
    assert receiver.requests == []


@pytest.mark.parametrize("status", [None, 400])
def test_a_receiver_that_takes_nothing_is_reported_once_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int | None
) -> None:
    receiver = None if status is None else Receiver(status)
    monkeypatch.setenv(ENDPOINT, receiver.url if receiver else f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with otlp.exporting(lambda: facts(tmp_path), 0.01):
        assert receiver is None or receiver.got_one.wait(20)
    said = capsys.readouterr().err
    assert said.count("warning: the OpenTelemetry receiver 127.0.0.1:") == 1, said
    why = "HTTP 400 Bad Request" if receiver else "(Connection refused|no answer)"
    assert re.search(rf"does not take metrics \({why}\); check its address", said), said
    if receiver:
        receiver.close()


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None),
        ({ENDPOINT: "http://x"}, 60.0),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x/v1/metrics"}, 60.0),
        ({ENDPOINT: "http://x", "OTEL_METRIC_EXPORT_INTERVAL": "5000"}, 5.0),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "true"}, None),
        ({ENDPOINT: "http://x", "OTEL_METRICS_EXPORTER": "none"}, None),
        ({ENDPOINT: "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, 60.0),
    ],
)
def test_the_environment_alone_turns_the_export_on(
    environment: dict[str, str], interval_s: float | None
) -> None:
    assert export_interval_s(environment) == interval_s


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ],
)
def test_what_it_asks_for_in_vain_is_named(name: str, wrong: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{name}={wrong}")):
        export_interval_s({ENDPOINT: "http://x", name: wrong})


@pytest.mark.parametrize(
    "address",
    ["collector:4318", "localhost", "http://", "grpc://collector:4317", "http://[::1", "http://h:x"],
)
def test_an_address_without_http_is_refused(address: str) -> None:
    with pytest.raises(UserError, match=f"{ENDPOINT} is not an address of http or https; write one such as"):
        export_interval_s({ENDPOINT: address})


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
