"""The arrival processes: their distributions, and how a plan asks for them."""

import itertools
import math
import re
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from configs.arrivals import ArrivalProcess, arrival_process
from configs.experiment import load_steps
from configs.load import Load
from configs.plan import Plan

PROCESSES = (
    ArrivalProcess("poisson"),
    ArrivalProcess("gamma", 0.5),
    ArrivalProcess("gamma", 4.0),
    ArrivalProcess("weibull", 0.5),
    ArrivalProcess("weibull", 2.0),
)
COUNT = 20_000


def drawn(process: ArrivalProcess, seed: int = 1) -> list[float]:
    return list(itertools.islice(process.intervals(Random(seed)), COUNT))  # noqa: S311


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_intervals_have_mean_1_and_the_stated_variation(process: ArrivalProcess) -> None:
    times = drawn(process)
    mean = math.fsum(times) / COUNT
    variation = math.sqrt(math.fsum((t - mean) ** 2 for t in times) / COUNT) / mean
    assert mean == pytest.approx(1.0, abs=6 * process.variation / math.sqrt(COUNT))
    assert variation == pytest.approx(process.variation, rel=0.1)


def test_a_constant_process_does_not_vary() -> None:
    process = ArrivalProcess("constant")
    assert set(drawn(process)) == {1.0}
    assert process.variation == 0.0


@pytest.mark.parametrize("kind", ["gamma", "weibull"])
def test_a_shape_of_1_is_a_poisson_process(kind: Any) -> None:
    process = ArrivalProcess(kind, 1.0)
    assert process.variation == pytest.approx(1.0)
    times = sorted(drawn(process))
    distance = max(abs((i + 1) / COUNT - (1 - math.exp(-t))) for i, t in enumerate(times))
    assert distance < 1.95 / math.sqrt(COUNT)  # Kolmogorov and Smirnov, 0.1%


def test_the_same_seed_gives_the_same_times() -> None:
    for process in PROCESSES:
        assert drawn(process, 7) == drawn(process, 7) != drawn(process, 8)


@pytest.mark.parametrize(
    ("written", "process"),
    [
        ("poisson", ArrivalProcess("poisson")),
        ("constant", ArrivalProcess("constant")),
        ({"gamma": 0.5}, ArrivalProcess("gamma", 0.5)),
        ({"weibull": 2}, ArrivalProcess("weibull", 2.0)),
    ],
)
def test_a_plan_names_the_process(written: Any, process: ArrivalProcess) -> None:
    load = Load.model_validate({"rate": [1], "arrivals": written})
    assert arrival_process(load.arrivals) == process
    assert Load.model_validate(load.model_dump(mode="json")) == load


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({}, "give concurrency"),
        ({"concurrency": [1], "arrivals": "constant"}, "arrivals belongs to rate"),
        ({"concurrency": [1], "max_in_flight": 5}, "max_in_flight belongs to rate, trace, shape and search"),
        ({"rate": [1], "spawn_rate": 1}, "spawn_rate belongs to concurrency"),
        ({"trace": {"file": "t.csv"}, "measure": 60}, "measure belongs to concurrency, rate and search"),
        ({"trace": {"file": "t.csv"}, "rate": [1]}, "give concurrency"),
        ({"trace": {"file": "t.csv", "speed": [0]}}, "greater than 0"),
        ({"rate": [0]}, "greater than 0"),
        ({"rate": []}, "at least 1 item"),
        ({"rate": [1], "arrivals": "uniform"}, "write poisson, constant"),
        ({"rate": [1], "arrivals": {"gamma": 0}}, "the shape of gamma must be from 0.05 to 1000"),
        ({"rate": [1], "arrivals": {"gamma": True}}, "write poisson, constant"),
        ({"rate": [1], "arrivals": {"gamma": 1, "weibull": 1}}, "write poisson, constant"),
    ],
)
def test_a_load_that_cannot_be_is_refused(load: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Load.model_validate(load)


def test_a_shape_is_a_list_of_pieces() -> None:
    shape = [{"rate": 2, "for": "2m"}, {"rate": {"from": 2, "to": 20}, "for": "30s"}]
    load = Load.model_validate({"shape": shape})
    assert [piece.mean_rate for piece in load.shape or ()] == [2.0, 11.0]
    assert [piece.seconds for piece in load.shape or ()] == [120.0, 30.0]
    assert [step.id for step in load_steps(load, "x")] == ["x/r2", "x/r2-20"]
    assert [step.continues for step in load_steps(load, "x")] == [True, False]
    assert Load.model_validate_json(load.model_dump_json(by_alias=True)) == load


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([{"rate": 2}], "Field required"),
        ([{"for": 5}], "give a piece a rate or a concurrency"),
        ([{"rate": 2, "concurrency": 2, "for": 5}], "give a piece a rate or a concurrency"),
        ([{"rate": 2, "for": 5}, {"concurrency": 2, "for": 5}], "give all pieces of a shape a rate"),
        ([{"rate": {"from": 2}, "for": 5}], "Field required"),
        ([{"rate": 0, "for": 5}], "greater than 0"),
    ],
)
def test_a_mistake_in_a_shape_is_named(shape: list[Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Load.model_validate({"shape": shape})
    assert message in caught.value.errors()[0]["msg"]


def test_a_shape_has_no_window_of_its_own_length() -> None:
    with pytest.raises(ValidationError, match="measure belongs to concurrency, rate and search"):
        Load.model_validate({"shape": [{"rate": 2, "for": 5}], "measure": 60})


@pytest.mark.parametrize(
    ("rate", "turns", "refused"),
    [
        (100, None, None),
        (101, None, "101 requests/s with an E2E of 10 s are 1,010 requests in flight"),
        (25, 4, None),
        (26, 4, "26 conversations/s of 4 turns with an E2E of 10 s are 1,040 requests in flight"),
    ],
)
def test_a_rate_beyond_the_requests_in_flight_is_refused(
    rate: float, turns: int | None, refused: str | None
) -> None:
    """By Little's law, at the latency that the SLO allows; each turn of a conversation is a request."""
    content = {
        "name": "p",
        "model": {"name": "m", "source": "local"},
        "workload": {"payload": "en_50-100", "schema": "openai"}
        | ({} if turns is None else {"conversation": {"turns": turns}}),
        "load": {"rate": [rate], "max_in_flight": 1000},
        "slo": {"e2e_p95": "10s"},
    }
    if refused is None:
        Plan.model_validate(content)
        return
    with pytest.raises(ValidationError, match=re.escape(refused)):
        Plan.model_validate(content)
