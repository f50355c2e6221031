"""CloudWatch's rows: names, units and times as the service gave them; and what is missing is said."""

import csv
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest
from botocore.stub import Stubber

from deploy.aws import cloudwatch
from deploy.aws.clients import Clients
from deploy.aws.cloudwatch import METRICS, MetricSource, collect_metrics, production_variant, queries
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.spec.resolve import endpoint_specs
from runfolder.records import CLOUDWATCH_COLUMNS, CloudWatchPoint
from tests.deploy.harness import QUICK, Account, plan

SERVED = MetricSource("bench")


class Window(TypedDict):
    started_at: float
    ended_at: float


WINDOW = Window(started_at=1_700_000_010.0, ended_at=1_700_000_100.0)


def stubbed(clients: Clients, *answers: dict[str, Any]) -> Stubber:
    stub = Stubber(clients.client("cloudwatch"))
    for answer in answers:
        stub.add_response("get_metric_data", answer)
    stub.activate()
    return stub


def series(metric: str, statistic: str, values: list[float]) -> dict[str, Any]:
    query = next(
        query
        for query in queries(SERVED)
        if (query["MetricStat"]["Metric"]["MetricName"], query["MetricStat"]["Stat"]) == (metric, statistic)
    )
    times = [datetime.fromtimestamp(1_699_999_980 + 60 * index, UTC) for index in range(len(values))]
    return {"Id": query["Id"], "Timestamps": times, "Values": values}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cloudwatch.csv").open() as file:
        return list(csv.DictReader(file))


def test_points_are_kept_with_cloudwatch_s_own_unit(clients: Clients, tmp_path: Path) -> None:
    answer = {
        "MetricDataResults": [
            series("ModelLatency", "p90", [1_250_000.0]),
            series("Invocations", "Sum", [7.0, 5.0]),
        ]
    }
    stubbed(clients, answer)
    assert collect_metrics(tmp_path, "e", SERVED, clients, **WINDOW, expected_invocations=12) is None
    found = rows(tmp_path)
    assert tuple(found[0]) == CLOUDWATCH_COLUMNS
    assert found[0] == {
        "experiment": "e",
        "metric": "ModelLatency",
        "statistic": "p90",
        "unit": "Microseconds",
        "timestamp": "1699999980.0",
        "value": "1250000.0",
    }
    assert [(row["metric"], row["value"]) for row in found[1:]] == [
        ("Invocations", "7.0"),
        ("Invocations", "5.0"),
    ]


def test_pages_are_followed_and_a_second_experiment_is_appended(clients: Clients, tmp_path: Path) -> None:
    first = {"MetricDataResults": [series("Invocations", "Sum", [1.0])], "NextToken": "more"}
    second = {"MetricDataResults": [series("Invocations", "Sum", [2.0])]}
    stubbed(clients, first, second, second)
    collect_metrics(tmp_path, "one", SERVED, clients, **WINDOW)
    collect_metrics(tmp_path, "two", SERVED, clients, **WINDOW)
    assert [(row["experiment"], row["value"]) for row in rows(tmp_path)] == [
        ("one", "1.0"),
        ("one", "2.0"),
        ("two", "2.0"),
    ]


def test_late_metrics_are_asked_for_again(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("deploy.aws.cloudwatch.time.sleep", waits.append)
    part = {"MetricDataResults": [series("Invocations", "Sum", [3.0])]}
    whole = {"MetricDataResults": [series("Invocations", "Sum", [10.0])]}
    stubbed(clients, part, whole)
    just_now = Window(started_at=time.time() - 60, ended_at=time.time())
    assert collect_metrics(tmp_path, "e", SERVED, clients, **just_now, expected_invocations=10) is None
    assert len(waits) == 1
    assert [row["value"] for row in rows(tmp_path)] == ["10.0"]


def test_what_is_still_missing_is_said(clients: Clients, tmp_path: Path) -> None:
    stubbed(clients, {"MetricDataResults": [series("Invocations", "Sum", [3.0])]})
    said = collect_metrics(tmp_path, "e", SERVED, clients, **WINDOW, expected_invocations=10, late_s=0.0)
    assert said is not None
    assert "3 of 10" in said


def test_a_refusal_is_said_and_costs_nothing_else(clients: Clients, account: Account, tmp_path: Path) -> None:
    account.faults([{"call": "GetMetricData", "fault": "access_denied", "nth": 0}])
    said = collect_metrics(tmp_path, "e", SERVED, clients, **WINDOW)
    assert said is not None
    assert "could not be queried" in said
    assert not (tmp_path / "cloudwatch.csv").exists()


def test_the_query_s_minutes_are_whole_and_hold_the_run(clients: Clients, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    client = clients.client("cloudwatch")
    client.meta.events.register("provide-client-params.*.*", lambda params, **_: asked.append(params))
    collect_metrics(tmp_path, "e", SERVED, clients, **WINDOW)
    start, end = asked[0]["StartTime"].timestamp(), asked[0]["EndTime"].timestamp()
    assert (start % 60, end % 60) == (0, 0)
    assert start <= WINDOW["started_at"] < WINDOW["ended_at"] <= end


def test_a_component_has_its_own_invocations_and_its_endpoint_s_instances() -> None:
    served = MetricSource("bench", component="part")
    names = [
        [dimension["Name"] for dimension in query["MetricStat"]["Metric"]["Dimensions"]]
        for query in queries(served)
    ]
    spaces = [query["MetricStat"]["Metric"]["Namespace"] for query in queries(served)]
    assert {tuple(n) for n, s in zip(names, spaces, strict=True) if s == "AWS/SageMaker"} == {
        ("InferenceComponentName",)
    }
    assert {tuple(n) for n, s in zip(names, spaces, strict=True) if s != "AWS/SageMaker"} == {
        ("EndpointName", "VariantName")
    }


def test_a_component_s_concurrency_is_that_of_its_copies() -> None:
    def names(served: MetricSource) -> set[str]:
        found = {query["MetricStat"]["Metric"]["MetricName"] for query in queries(served)}
        return {name for name in found if name.startswith("Concurrent")}

    assert names(MetricSource("bench")) == {"ConcurrentRequestsPerModel"}
    assert names(MetricSource("bench", component="part")) == {"ConcurrentRequestsPerCopy"}


@pytest.mark.parametrize(("age_s", "shortest"), [(60.0, 10), (4 * 3600.0, 60)])
def test_old_windows_are_asked_for_in_minutes(
    age_s: float, shortest: int, clients: Clients, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []
    client = clients.client("cloudwatch")
    client.meta.events.register("provide-client-params.*.*", lambda params, **_: asked.append(params))
    started_at = time.time() - age_s
    collect_metrics(tmp_path, "e", SERVED, clients, started_at=started_at, ended_at=started_at + 30)
    assert min(query["MetricStat"]["Period"] for query in asked[0]["MetricDataQueries"]) == shortest


def test_every_latency_is_in_microseconds() -> None:
    assert {metric.unit for metric in METRICS if metric.name.endswith("Latency")} == {"Microseconds"}


def test_the_variant_is_the_described_one() -> None:
    assert production_variant({"endpoint": {"ProductionVariants": [{"VariantName": "blue"}]}}) == "blue"
    assert production_variant({"not_described": "…"}) == "AllTraffic"


def test_invocations_are_counted_by_the_service_itself(
    account: Account, clients: Clients, ledger: Ledger, tmp_path: Path
) -> None:
    spec = endpoint_specs(plan(), "metrics", clients)[0]
    started_at = time.time()
    with deployed(spec, clients, ledger, polling=QUICK):
        runtime = clients.client("sagemaker-runtime")
        for _ in range(3):
            runtime.invoke_endpoint(
                EndpointName=spec.name,
                ContentType="application/json",
                Body=b'{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}',
            )
    said = collect_metrics(
        tmp_path,
        "e",
        MetricSource(spec.name),
        clients,
        started_at=started_at,
        ended_at=time.time(),
        expected_invocations=3,
    )
    assert said is None
    found = rows(tmp_path)
    assert sum(float(row["value"]) for row in found if row["metric"] == "Invocations") == 3
    latencies = [
        float(row["value"])
        for row in found
        if (row["metric"], row["statistic"]) == ("ModelLatency", "Average")
    ]
    assert all(latency > 1_000 for latency in latencies), "microseconds, not milliseconds"
    assert latencies


@pytest.mark.parametrize(
    ("part", "age_s", "limit_s"),
    [([], 0.0, cloudwatch.EMPTY_S), ([3.0], 0.0, cloudwatch.LATE_S), ([3.0], 100.0, 80.0), ([], 3600.0, 0.0)],
    ids=["nothing at all", "a part", "a load of 100 s ago", "a load of an hour ago"],
)
def test_counts_that_do_not_come_are_waited_for_so_long_after_the_load(
    part: list[float], age_s: float, limit_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time()]
    began = now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("deploy.aws.cloudwatch.time.sleep", sleep)
    monkeypatch.setattr("deploy.aws.cloudwatch.time.monotonic", lambda: now[0])
    points = [CloudWatchPoint("e", "Invocations", "Sum", "Count", began, value) for value in part]
    monkeypatch.setattr(cloudwatch, "_points", lambda *_: iter(points))
    window = {"started_at": began - age_s - 60, "ended_at": began - age_s}
    missing = collect_metrics(tmp_path, "e", SERVED, cast("Clients", None), **window, expected_invocations=10)
    assert missing is not None
    assert limit_s - 2 * 15 <= now[0] - began <= limit_s
