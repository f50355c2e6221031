"""Metrics of a run for an OpenTelemetry receiver: those of a scrape, sent without holding up the run."""

import gzip
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.monitoring import otlp
from bench.monitoring.metrics import METRICS
from bench.monitoring.otlp_environment import export_interval_s
from bench.monitoring.points import Facts
from bench.monitoring.prometheus import series_names
from bench.ports import free_port
from common.errors import UserError
from tests.bench.live_states import run_state
from tests.bench.test_monitoring import facts, page
from tests.support.metrics_page import Series

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


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
