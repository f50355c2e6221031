"""The arrival processes: their distributions, and how a plan asks for them."""

import itertools
import math
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from configs.arrivals import ArrivalProcess, arrival_process
from configs.load import Load

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
        ({"concurrency": [1], "max_in_flight": 5}, "max_in_flight belongs to rate and trace"),
        ({"rate": [1], "spawn_rate": 1}, "spawn_rate belongs to concurrency"),
        ({"trace": {"file": "t.csv"}, "measure": 60}, "measure belongs to concurrency and rate"),
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
