"""A shift within a window is told from a drift and from noise with a memory."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.decide.trust_stationary import SHIFT_ERRORS, check_level_shift
from analysis.measure.results import StepResult
from analysis.measure.step_parts import InFlight
from analysis.metrics.changes import change_at, level_shift
from analysis.metrics.definitions import Window
from analysis.metrics.time_blocks import BLOCKS, BlockSums, ObjectiveSums

EACH = np.full(BLOCKS, 10.0)


def noise(rng: np.random.Generator, memory: float, spread: float = 0.05) -> np.ndarray:
    """Block means around 1 that remember so many blocks."""
    keeps = np.exp(-1 / memory) if memory else 0.0
    values, pushes = np.empty(BLOCKS), rng.normal(size=BLOCKS) * np.sqrt(1 - keeps**2)
    values[0] = rng.normal()
    for block in range(1, BLOCKS):
        values[block] = keeps * values[block - 1] + pushes[block]
    return 1 + spread * values


def step(tpot: np.ndarray, **changes: object) -> StepResult:
    nothing = np.zeros(BLOCKS)
    measured = StepResult(
        "e/c4", "e", 1, 4, "complete",
        window=Window(0.0, 120.0),
        blocks=BlockSums(nothing, nothing, nothing, nothing, nothing),
        tpot_blocks=ObjectiveSums(EACH, tpot * EACH),
    )  # fmt: skip
    return replace(measured, **changes)  # type: ignore[arg-type]


def test_a_change_by_hand() -> None:
    amounts = np.array([1.0, 1, 1, 1, 3, 3, 3, 3])
    change = change_at(amounts, np.ones(8), 4)
    assert change is not None
    assert (change.share, change.errors) == (2.0, np.inf)


@pytest.mark.parametrize("at", [15, 30, 48])
def test_a_shift_is_found_where_it_happened(at: int) -> None:
    means = noise(np.random.default_rng(at), memory=1.0)
    means[at:] *= 1.5
    judged = step(means)
    check_level_shift(judged)
    (reason,) = judged.trust.reasons
    assert (reason.code, reason.level) == ("level_shift", "warn")
    assert reason.values["at_s"] == pytest.approx(2 * at, abs=4)
    assert reason.values["change"] == pytest.approx(0.5, abs=0.1)


def test_a_steady_drift_is_no_shift() -> None:
    means = noise(np.random.default_rng(3), memory=0.0) + np.linspace(0, 0.6, BLOCKS)
    assert level_shift(means * EACH, EACH) is None


@pytest.mark.parametrize("memory", [0.0, 1.0, 3.0])
def test_a_steady_load_with_a_memory_hardly_ever_shifts(memory: float) -> None:
    rng = np.random.default_rng(5)
    found = [level_shift(noise(rng, memory) * EACH, EACH) for _ in range(200)]
    assert sum(each is not None and each.errors > SHIFT_ERRORS for each in found) <= 3


def test_blocks_without_a_request_do_not_count() -> None:
    means = noise(np.random.default_rng(9), memory=0.0)
    means[30:] *= 1.5
    some = np.where(np.arange(BLOCKS) % 2, EACH, 0.0)
    shift = level_shift(means * some, some)
    assert shift is not None
    assert shift.split == pytest.approx(30, abs=2)
    few = np.where(np.arange(BLOCKS) % 6, 0.0, EACH)
    assert level_shift(means * few, few) is None


def test_in_open_loop_the_requests_in_flight_may_shift_alone() -> None:
    rng = np.random.default_rng(2)
    over_time = tuple(np.concatenate([rng.normal(4, 0.1, 10), rng.normal(8, 0.1, 10)]))
    steady = noise(rng, memory=0.0)
    in_flight = InFlight(over_time=over_time)
    closed, opened = step(steady, in_flight=in_flight), step(steady, in_flight=in_flight, rate=2.0)
    for judged in (closed, opened):
        check_level_shift(judged)
    assert closed.trust.codes == []
    assert opened.trust.codes == ["level_shift"]
