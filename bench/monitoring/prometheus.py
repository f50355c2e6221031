"""The metrics in the formats that Prometheus reads."""

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from bench.monitoring.metrics import Metric, values
from bench.monitoring.points import Buckets, Facts, Point

_UNITS = {
    "s": "_seconds",
    "By": "_bytes",
    "1": "_ratio",
    "{request}/s": "_per_second",
    "{token}/s": "_per_second",
}
"""How a name ends for its unit. What is only counted adds nothing."""


def family_name(metric: Metric) -> str:
    """A metric's name, without the ending of a counter or of a part of a histogram.

    It is the name that Prometheus gives the metric when it comes in as OTLP.
    """
    return metric.name.replace(".", "_") + _UNITS.get(metric.unit, "")


def series_names(metric: Metric) -> tuple[str, ...]:
    """Names of a metric's series."""
    name = family_name(metric)
    match metric.kind:
        case "counter":
            return (f"{name}_total",)
        case "histogram":
            return (f"{name}_bucket", f"{name}_count", f"{name}_sum")
        case _:
            return (name,)


def exposition(facts: Facts, accept: str) -> tuple[bytes, str]:
    """The page: text, and its content type.

    Args:
        facts: how the run stands.
        accept: the request's header of this name.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return encode(_Collector(facts)), content_type


class _Collector:
    """What the client library asks for the values: this program keeps none in it."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Family]:
        """The families of all metrics that have a value."""
        return [_family(metric, points) for metric, points in values(self._facts)]


def _family(metric: Metric, points: list[Point]) -> Family:
    name, labels = family_name(metric), [label.replace(".", "_") for label in metric.labels]
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, metric.description, labels=labels)
        for point in points:
            assert isinstance(point.value, Buckets)  # noqa: S101 - by the metric's definition
            bounds = [*map(str, point.value.bounds), "+Inf"]
            counts = accumulate(point.value.counts)
            histogram.add_metric(
                _values(metric, point), list(zip(bounds, counts, strict=True)), point.value.total
            )
        return histogram
    family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
        name, metric.description, labels=labels
    )
    for point in points:
        assert not isinstance(point.value, Buckets)  # noqa: S101 - by the metric's definition
        family.add_metric(_values(metric, point), point.value)
    return family


def _values(metric: Metric, point: Point) -> list[str]:
    return [point.labels[label] for label in metric.labels]
