"""On a system without epoll, the calibration says so instead of failing."""

import select
from pathlib import Path

import pytest

from bench.calibration.calibrate import calibrate
from common.errors import UserError


def test_calibrate_names_the_platform_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    with pytest.raises(UserError, match="calibrate needs Linux"):
        calibrate((1,), keep=tmp_path / "calibration.json")
