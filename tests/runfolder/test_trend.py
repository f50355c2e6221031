"""A series rises, or it does not: steady noise is no trend, and a queue that grows is one."""

import random

import pytest

from runfolder.trend import rises


def noisy(seed: int, count: int = 80, memory: float = 0.0) -> list[float]:
    """Numbers in flight around 10, each with some of its predecessor's noise."""
    chance, noise, values = random.Random(seed), 0.0, []  # noqa: S311 - reproducible
    for _ in range(count):
        noise = memory * noise + chance.gauss(0, 3)
        values.append(max(0.0, 10 + noise))
    return values


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_steady_series_hardly_ever_rise(memory: float) -> None:
    assert sum(rises(noisy(seed, memory=memory), least_growth=6.0) for seed in range(500)) <= 5


def test_a_queue_that_grows_rises() -> None:
    for seed in range(50):
        assert rises([value + index / 2 for index, value in enumerate(noisy(seed))])


def test_a_small_growth_does_not_matter() -> None:
    assert not rises([100 + index / 100 for index in range(80)])
    line = [100.0 + index for index in range(80)]
    assert (rises(line, least_growth=60.0), rises(line, least_growth=80.0)) == (True, False)


def test_a_queue_that_was_long_at_the_start_rises() -> None:
    assert rises([300 + 5 * index + value for index, value in enumerate(noisy(1))], least_growth=30.0)


def test_a_fall_is_no_rise() -> None:
    assert not rises([80.0 - index for index in range(80)])


@pytest.mark.parametrize("count", [0, 1, 15])
def test_too_few_values_tell_nothing(count: int) -> None:
    assert not rises([float(index) for index in range(count)])


def test_a_perfect_line_rises() -> None:
    assert rises([float(index) for index in range(16)])
