"""The offset of a worker's clock: how it is measured, and how well it is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locustfiles.master.worker_clocks import WorkerClocks

_DELAYS = st.floats(0.0, 0.5)


@given(ahead=st.floats(-3600, 3600), delays=st.lists(st.tuples(_DELAYS, _DELAYS), min_size=1, max_size=5))
def test_the_true_offset_is_within_the_uncertainty(ahead: float, delays: list[tuple[float, float]]) -> None:
    clocks = WorkerClocks()
    for there, back in delays:
        clocks.add("w", sent_at=100.0, worker_time=100.0 + there + ahead, now=100.0 + there + back)
    measured = clocks.measured["w"]
    assert abs(measured.ahead - ahead) <= measured.error + 1e-9
    assert measured.error == pytest.approx(min(there + back for there, back in delays) / 2, abs=1e-9)
    assert abs(clocks.offsets["w"] - ahead) <= 2 * measured.error + 0.001 + 1e-9


def test_equal_clocks_are_not_corrected_by_the_delay_of_a_message() -> None:
    clocks = WorkerClocks()
    clocks.add("w", sent_at=100.0, worker_time=100.03, now=100.03)
    assert clocks.measured["w"].ahead == pytest.approx(0.015)
    assert clocks.offsets["w"] == 0.0


def test_each_step_measures_anew_and_keeps_the_last_figure_until_then() -> None:
    clocks = WorkerClocks()
    clocks.add("w", sent_at=100.0, worker_time=105.0, now=100.002)
    clocks.begin()
    assert clocks.offsets["w"] == pytest.approx(4.999)
    clocks.add("w", sent_at=200.0, worker_time=206.0, now=200.1)  # slower, but of this step
    assert clocks.offsets["w"] == pytest.approx(5.95)
