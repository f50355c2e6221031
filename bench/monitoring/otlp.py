"""Sends the metrics to an OpenTelemetry receiver, in a thread of its own.

Of the SDK, this uses the exporter, which reads endpoint, headers, certificates, compression and timeout from
the environment. Its instruments take single measurements, and this program has sums.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from bench.monitoring.metrics import Metric, values
from bench.monitoring.otlp_environment import receiver_of
from bench.monitoring.points import Buckets, Facts, Point
from bench.terminal import print_status
from common.text import one_line

_SCOPE = InstrumentationScope("sagemaker-llm-bench")
_LAST_S = 15.0
"""How long the end of a run waits for the last export; the exporter itself gives up after 10 s."""


@contextmanager
def exporting(facts: Callable[[], Facts], interval_s: float) -> Iterator[None]:
    """Send the metrics again and again inside the block, and once at its end.

    A receiver that cannot be reached is reported once, and disturbs nothing.

    Args:
        facts: how the run stands.
        interval_s: seconds between two exports.
    """
    with _logged_apart() as reasons:
        export, ended = _Export(facts, reasons), threading.Event()
        thread = threading.Thread(target=export.repeat, args=(ended, interval_s), name="OTLP", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_LAST_S)
            export.exporter.shutdown()


class _Export:
    """Sends the metrics, and reports the first failure.

    Args:
        facts: how the run stands.
        reasons: what the exporter logs, as `_reason` has it.
    """

    def __init__(self, facts: Callable[[], Facts], reasons: list[str]) -> None:
        self.exporter = OTLPMetricExporter()
        self._facts = facts
        self._reasons = reasons
        self._started_at = time.time_ns()
        self._reported = False

    def repeat(self, ended: threading.Event, interval_s: float) -> None:
        """Send until the run has ended, and then once more, if there was a run."""
        while not ended.wait(interval_s):
            self._send()
        if self._facts().run["id"]:  # a plan that is refused does not wait for a receiver
            self._send()

    def _send(self) -> None:
        self._reasons.clear()
        data = metrics_data(self._facts(), self._started_at, time.time_ns())
        if self.exporter.export(data) is otel.MetricExportResult.FAILURE and not self._reported:
            self._reported = True
            why = f" ({one_line(self._reasons[0])})" if self._reasons else ""
            print_status(
                f"warning: the OpenTelemetry receiver {receiver_of(os.environ)} does not take metrics{why}; "
                "check its address, and that the port is its port for HTTP, often 4318"
            )


@contextmanager
def _logged_apart() -> Iterator[list[str]]:
    """Keep what OpenTelemetry logs off the screen, in a list."""
    reasons: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: reasons.append(_reason(record))  # type: ignore[method-assign]
    logger = logging.getLogger("opentelemetry")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield reasons
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _reason(record: logging.LogRecord) -> str:
    """The reason in a message of the exporter: that of the system below an exception, or the HTTP status.

    The message after the last try has neither.
    """
    values = record.args if isinstance(record.args, tuple) else ()
    error: BaseException | None = next((each for each in values if isinstance(each, Exception)), None)
    if error is None:
        if len(values) < 2:
            return "no answer"
        status = " ".join(str(each) for each in values[1:] if each)
        return f"HTTP {status}" if isinstance(values[1], int) else record.getMessage()
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def metrics_data(facts: Facts, started_at: int, now: int) -> otel.MetricsData:
    """All metrics that have a value.

    Args:
        facts: how the run stands.
        started_at: since when sums add up, nanoseconds since the epoch.
        now: the time, in the same unit.
    """
    run_id: str = facts.run["id"]
    own = Resource({"service.name": "llm-bench", **({"service.instance.id": run_id} if run_id else {})})
    metrics = [_metric(metric, points, started_at, now) for metric, points in values(facts)]
    scope = otel.ScopeMetrics(_SCOPE, metrics, "")
    return otel.MetricsData([otel.ResourceMetrics(own.merge(OTELResourceDetector().detect()), [scope], "")])


def _metric(metric: Metric, points: Sequence[Point], started_at: int, now: int) -> otel.Metric:
    cumulative = otel.AggregationTemporality.CUMULATIVE
    data: otel.Sum | otel.Gauge | otel.Histogram
    if metric.kind == "histogram":
        data = otel.Histogram([_histogram(point, started_at, now) for point in points], cumulative)
    else:
        numbers = [_number(point, started_at, now) for point in points]
        data = (
            otel.Gauge(numbers)
            if metric.kind == "gauge"
            else otel.Sum(numbers, cumulative, is_monotonic=True)
        )
    return otel.Metric(metric.name, metric.description, metric.unit, data)


def _number(point: Point, started_at: int, now: int) -> otel.NumberDataPoint:
    assert not isinstance(point.value, Buckets)  # noqa: S101 - by the metric's definition
    return otel.NumberDataPoint(dict(point.labels), started_at, now, point.value)


def _histogram(point: Point, started_at: int, now: int) -> otel.HistogramDataPoint:
    found = point.value
    assert isinstance(found, Buckets)  # noqa: S101 - by the metric's definition
    return otel.HistogramDataPoint(
        attributes=dict(point.labels),
        start_time_unix_nano=started_at,
        time_unix_nano=now,
        count=sum(found.counts),
        sum=found.total,
        bucket_counts=found.counts,
        explicit_bounds=found.bounds,
        min=None,  # type: ignore[arg-type]  # optional in the protocol, and not kept
        max=None,  # type: ignore[arg-type]
    )
