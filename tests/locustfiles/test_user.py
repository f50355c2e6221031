"""The Locust user under Locust's own stopping: a request that has begun always gets its row."""

import json
import subprocess
import sys

import pytest


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("case", "ok", "censored"),
    [("between", 1, 0), ("amid", 0, 1)],
    ids=["between two requests it starts no other", "amid a request it leaves its row and ends"],
)
def test_a_user_that_locust_stops_loses_no_request(case: str, ok: int, censored: int) -> None:
    command = [sys.executable, "-m", "tests.locustfiles.stopped_user", case]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert played.returncode == 0, played.stderr
    found = json.loads(played.stdout)
    assert found == {
        "sent": 1,
        "started": 1,
        "ok": ok,
        "failed": 0,
        "censored": censored,
        "withheld": 0,
        "in_flight": 0,
    }
