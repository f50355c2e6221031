"""CloudWatch GetMetricData for the emulator's invocations and its containers' processes.

Namespaces are ``AWS/SageMaker`` (invocations, errors, latencies in µs) and ``/aws/sagemaker/Endpoints``
(utilisation in percent of one core and of the machine's memory).
"""

import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from emulator.context import Context, Members, Operation
from emulator.errors import ApiError, validation_error
from emulator.invocations import Invocation

Sample = tuple[float, float]
"""Epoch seconds at which a value was emitted, and the value."""

CONCURRENCY_SECONDS = 10.0
FINE_KEPT_SECONDS = 3 * 3600.0
"""How long values are available for periods under a minute."""
_OF_VARIANT, _OF_COMPONENT = {"EndpointName", "VariantName"}, {"InferenceComponentName"}
_RUNTIME, _HOST = "AWS/SageMaker", "/aws/sagemaker/Endpoints"


def get_metric_data(context: Context, members: Members) -> Members:
    """GetMetricData for metrics; metric math is not supported."""
    start, end = members["StartTime"].timestamp(), members["EndTime"].timestamp()
    if start >= end:
        raise validation_error("The parameter StartTime must be less than the parameter EndTime.")
    newest_first = members.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = [
        _result(context, query, start, end, newest_first=newest_first)
        for query in members["MetricDataQueries"]
    ]
    return {"MetricDataResults": [result for result in results if result], "Messages": []}


OPERATIONS: dict[str, Operation] = {"GetMetricData": get_metric_data}


def _result(
    context: Context, query: Members, start: float, end: float, *, newest_first: bool
) -> Members | None:
    stat = query.get("MetricStat")
    if stat is None:
        raise ApiError("ValidationError", f"{query['Id']}: the emulator does not support metric math")
    if not query.get("ReturnData", True):
        return None
    metric, period = stat["Metric"], stat["Period"]
    kept_since = time.time() - FINE_KEPT_SECONDS if period < 60 else 0.0
    samples = [s for s in _samples(context, metric, start, end) if max(start, kept_since) <= s[0] < end]
    buckets: dict[float, list[float]] = {}
    for at, value in samples:
        buckets.setdefault(at // period * period, []).append(value)
    points = sorted(buckets.items(), reverse=newest_first)
    return {
        "Id": query["Id"],
        "Label": query.get("Label", metric["MetricName"]),
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
        "Values": [statistic(stat["Stat"], values) for _, values in points],
        "StatusCode": "Complete",
    }


def statistic(name: str, values: list[float]) -> float:
    """A CloudWatch statistic: Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p99.9.

    Raises:
        ApiError: it is not one of these.
    """
    plain: dict[str, Callable[[list[float]], float]] = {
        "Sum": sum,
        "Average": lambda v: sum(v) / len(v),
        "Minimum": min,
        "Maximum": max,
        "SampleCount": len,
    }
    if name in plain:
        return float(plain[name](values))
    try:
        share = float(name.removeprefix("p")) / 100 if name.startswith("p") else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ApiError("ValidationError", f"The emulator does not support the statistic {name}.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _samples(context: Context, metric: Members, start: float, end: float) -> Iterable[Sample]:
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])}
    name, namespace = metric["MetricName"], metric.get("Namespace")
    of_variant = set(dimensions) == _OF_VARIANT
    if namespace == _HOST and of_variant and name in ("CPUUtilization", "MemoryUtilization"):
        return context.account.utilisation.samples(context.region.name, name, dimensions)
    if namespace != _RUNTIME or not (of_variant or set(dimensions) == _OF_COMPONENT):
        return []  # a metric is found only by exactly its dimensions
    matching = [i for i in context.account.invocations.of(context.region.name) if _belongs(i, dimensions)]
    if name == ("ConcurrentRequestsPerModel" if of_variant else "ConcurrentRequestsPerCopy"):
        return _concurrency(matching, start, end)
    if name not in _METRICS:
        return []
    values = ((i, _METRICS[name](i)) for i in matching if i.finished_at is not None)
    return [(i.finished_at, value) for i, value in values if value is not None and i.finished_at is not None]


def _belongs(invocation: Invocation, dimensions: dict[str, str]) -> bool:
    values = {
        "EndpointName": invocation.endpoint,
        "VariantName": invocation.variant,
        "InferenceComponentName": invocation.component,
    }
    return all(values.get(name) == value for name, value in dimensions.items())


def _concurrency(invocations: list[Invocation], start: float, end: float) -> list[Sample]:
    """Invocations in flight at every tenth second that has any."""
    ticks = range(math.ceil(start / CONCURRENCY_SECONDS), math.ceil(end / CONCURRENCY_SECONDS))
    samples = []
    for tick in ticks:
        at = tick * CONCURRENCY_SECONDS
        count = sum(i.arrived_at <= at and (i.finished_at is None or at < i.finished_at) for i in invocations)
        if count:
            samples.append((at, float(count)))
    return samples


def _model_latency(invocation: Invocation) -> float | None:
    if invocation.sent_at is None or invocation.answered_at is None:
        return None
    return (invocation.answered_at - invocation.sent_at) * 1e6


def _overhead(invocation: Invocation) -> float | None:
    model = _model_latency(invocation)
    if model is None or invocation.finished_at is None:
        return None
    return max(0.0, (invocation.finished_at - invocation.arrived_at) * 1e6 - model)


def _first_chunk(invocation: Invocation) -> float | None:
    if not invocation.streamed or invocation.first_chunk_at is None:
        return None
    return (invocation.first_chunk_at - invocation.arrived_at) * 1e6


def _model_status_in(low: int, high: int) -> Callable[[Invocation], float | None]:
    return lambda i: float(i.model_status is not None and low <= i.model_status < high)


_METRICS: dict[str, Callable[[Invocation], float | None]] = {
    "Invocations": lambda _: 1.0,
    "InvocationsPerInstance": lambda _: 1.0,
    "Invocation4XXErrors": _model_status_in(400, 500),
    "Invocation5XXErrors": _model_status_in(500, 600),
    "InvocationModelErrors": lambda i: float(i.model_status is not None),
    "MidStreamErrors": lambda i: float(i.broken) if i.streamed else None,
    "ModelLatency": _model_latency,
    "OverheadLatency": _overhead,
    "FirstChunkLatency": _first_chunk,
}
"""Metric → its value for one invocation; None if the invocation emits none."""
