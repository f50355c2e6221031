"""The load is started with the options that were given to it, and no others."""

from pathlib import Path

import pytest

from bench.locust_process import LoadOptions
from common.errors import UserError
from locustfiles.launch import locust_environment


def test_locusts_variables_of_the_users_shell_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCUST_MODE_MASTER", "LOCUST_TAGS", "LOCUST_RESET_STATS", "LOCUST_USERS"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    environment = locust_environment()
    assert not [name for name in environment if name.startswith("LOCUST_")]
    assert environment["AWS_REGION"] == "us-east-1"


def test_locusts_configuration_file_stops_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    LoadOptions().check()
    (tmp_path / ".locust.conf").write_text("master = true\n")
    with pytest.raises(UserError, match=r"\.locust\.conf: Locust would read options"):
        LoadOptions().check()
