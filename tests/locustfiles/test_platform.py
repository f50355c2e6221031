"""On a system without epoll, the calibration says so instead of failing."""

import select

import pytest

from bench.calibration.calibrate import calibrate
from common.errors import UserError


def test_calibrate_names_the_platform_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    with pytest.raises(UserError, match="calibrate needs Linux"):
        calibrate((1,))
