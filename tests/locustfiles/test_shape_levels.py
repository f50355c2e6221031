"""The load shapes of plain Locust."""

from collections.abc import Callable

import pytest

from locustfiles.shape_levels import doubling, ramp, spike


@pytest.mark.parametrize(
    ("shape", "users", "expected"),
    [
        (doubling, 8, [1, 2, 4, 8]),
        (doubling, 6, [1, 2, 4, 6]),
        (doubling, 1, [1]),
        (ramp, 20, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
        (ramp, 3, [1, 2, 3]),
        (spike, 50, [10, 10, 50, 10, 10]),
        (spike, 2, [1, 1, 2, 1, 1]),
    ],
)
def test_a_shape_reaches_the_users_that_were_asked_for(
    shape: Callable[[float, int], int], users: int, expected: list[int]
) -> None:
    parts = len(expected)
    assert [shape(part / parts, users) for part in range(parts)] == expected
