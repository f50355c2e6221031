"""CloudWatch's metrics of a run's endpoint for the same minutes, collected after the load."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.clients import Clients
from deploy.aws.errors import aws_message
from deploy.aws.resources import VARIANT
from runfolder.appending import RowAppender
from runfolder.layout import CLOUDWATCH
from runfolder.records import CLOUDWATCH_COLUMNS, CloudWatchPoint

_INVOCATION = "AWS/SageMaker"
_INSTANCE = "/aws/sagemaker/Endpoints"
_PERIOD_S = 60
_FINE_KEPT_S = 3 * 3600.0
"""CloudWatch keeps periods shorter than a minute this long, then merges them into minutes."""
LATE_S = 180.0
"""How long after a load to wait for CloudWatch's counts, which are one or two minutes late."""
EMPTY_S = 120.0
"""The same while CloudWatch has no figures at all: it may never have any."""
_POLL_S = 15.0


@dataclass(frozen=True)
class Metric:
    """One metric of an endpoint's variant."""

    namespace: str
    name: str
    unit: str
    statistics: tuple[str, ...]
    period_s: int = _PERIOD_S
    of_component: str | None = None
    """Its name for inference components, where it differs."""


_TAIL = ("Average", "p50", "p90", "p99")
METRICS = (
    Metric(_INVOCATION, "Invocations", "Count", ("Sum",)),
    Metric(_INVOCATION, "Invocation4XXErrors", "Count", ("Sum",)),
    Metric(_INVOCATION, "Invocation5XXErrors", "Count", ("Sum",)),
    Metric(_INVOCATION, "InvocationModelErrors", "Count", ("Sum",)),
    Metric(_INVOCATION, "MidStreamErrors", "Count", ("Sum",)),
    Metric(_INVOCATION, "ModelLatency", "Microseconds", _TAIL),
    Metric(_INVOCATION, "OverheadLatency", "Microseconds", _TAIL),
    Metric(_INVOCATION, "FirstChunkLatency", "Microseconds", _TAIL),
    Metric(
        _INVOCATION,
        "ConcurrentRequestsPerModel",
        "Count",
        ("Maximum", "Average"),
        period_s=10,
        of_component="ConcurrentRequestsPerCopy",
    ),
    Metric(_INSTANCE, "CPUUtilization", "Percent", ("Average", "Maximum")),
    Metric(_INSTANCE, "MemoryUtilization", "Percent", ("Average", "Maximum")),
    Metric(_INSTANCE, "GPUUtilization", "Percent", ("Average", "Maximum")),
    Metric(_INSTANCE, "GPUMemoryUtilization", "Percent", ("Average", "Maximum")),
    Metric(_INSTANCE, "DiskUtilization", "Percent", ("Average", "Maximum")),
)
"""GPU utilization is in percent of one GPU: with 4 GPUs, up to 400."""


@dataclass(frozen=True)
class MetricSource:
    """The endpoint variant, or inference component on it, that the metrics are of."""

    endpoint: str
    variant: str = VARIANT
    component: str | None = None

    def dimensions(self, namespace: str) -> list[dict[str, str]]:
        """The metric's dimensions. A component has invocation metrics only; instances are its endpoint's."""
        if self.component and namespace == _INVOCATION:
            return [{"Name": "InferenceComponentName", "Value": self.component}]
        return [
            {"Name": "EndpointName", "Value": self.endpoint},
            {"Name": "VariantName", "Value": self.variant},
        ]


def production_variant(description: Mapping[str, Any]) -> str:
    """The first production variant of a described endpoint; `VARIANT` where it could not be described."""
    variants = (description.get("endpoint") or {}).get("ProductionVariants") or [{}]
    return str(variants[0].get("VariantName", VARIANT))


def collect_metrics(
    folder: Path,
    experiment: str,
    source: MetricSource,
    clients: Clients,
    *,
    started_at: float,
    ended_at: float,
    expected_invocations: int | None = None,
    late_s: float = LATE_S,
) -> str | None:
    """Append CloudWatch's figures between two times to the run folder's ``cloudwatch.csv``.

    Metrics are minutes late: queries again until the expected invocations are counted, or until
    ``late_s`` after the load (`EMPTY_S` while there are no figures at all).

    Args:
        folder: the run folder.
        experiment: whose rows these are.
        source: the variant or component.
        clients: of the endpoint's region.
        started_at: epoch seconds of the first request.
        ended_at: epoch seconds of the last response.
        expected_invocations: the client's own count; None: query once.
        late_s: how many seconds after ``ended_at`` to wait at most.

    Returns:
        Why the figures are missing or incomplete; None when they are complete.
    """
    # If the clock was set meanwhile, the wait is at most ``late_s`` all the same.
    waited_s = min(max(0.0, time.time() - ended_at), late_s)
    began = time.monotonic() - waited_s
    while True:
        try:
            points = list(_points(experiment, source, clients, started_at, ended_at))
        except (ClientError, BotoCoreError) as error:
            return f"CloudWatch could not be queried: {aws_message(error)}"
        counted = sum(point.value for point in points if point.metric == "Invocations")
        patience = late_s if points else min(late_s, EMPTY_S)
        if counted >= (expected_invocations or 0) or time.monotonic() + _POLL_S > began + patience:
            break
        time.sleep(_POLL_S)
    rows: RowAppender[CloudWatchPoint] = RowAppender(folder / CLOUDWATCH, CLOUDWATCH_COLUMNS)
    rows.append(points)
    rows.close()
    if not points:
        return "CloudWatch has no figures for these minutes yet"
    if expected_invocations and counted < expected_invocations:
        return f"CloudWatch had counted {counted:g} of {expected_invocations} invocations when it was queried"
    return None


def queries(source: MetricSource, *, fine: bool = True) -> list[dict[str, Any]]:
    """The queries of one GetMetricData call; a query's id is its index among the metrics × statistics.

    Args:
        source: the variant or component.
        fine: with periods shorter than a minute, which CloudWatch keeps for only three hours.
    """
    return [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": source.dimensions(metric.namespace),
                },
                "Period": metric.period_s if fine else max(metric.period_s, _PERIOD_S),
                "Stat": statistic,
            },
        }
        for index, (metric, statistic) in enumerate(_series(source))
    ]


def _series(source: MetricSource) -> list[tuple[Metric, str]]:
    named = (
        replace(metric, name=metric.of_component) if source.component and metric.of_component else metric
        for metric in METRICS
    )
    return [(metric, statistic) for metric in named for statistic in metric.statistics]


def _points(
    experiment: str, source: MetricSource, clients: Clients, started_at: float, ended_at: float
) -> Iterator[CloudWatchPoint]:
    series = _series(source)
    fine = time.time() - _minute(started_at).timestamp() < _FINE_KEPT_S - _PERIOD_S
    pages = (
        clients.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries(source, fine=fine),
            StartTime=_minute(started_at),
            EndTime=_minute(ended_at + _PERIOD_S),
            ScanBy="TimestampAscending",
        )
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            metric, statistic = series[int(result["Id"].removeprefix("m"))]
            for timestamp, value in zip(result.get("Timestamps", []), result.get("Values", []), strict=True):
                yield CloudWatchPoint(
                    experiment, metric.name, statistic, metric.unit, timestamp.timestamp(), float(value)
                )


def _minute(epoch: float) -> datetime:
    """The start of the minute, so that every period is complete."""
    return datetime.fromtimestamp(epoch // _PERIOD_S * _PERIOD_S, UTC)
