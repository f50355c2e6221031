"""A signal at any moment leaves no process, no endpoint, and a report of what was measured."""

import json
import os
import signal
from typing import Any

import pytest

from tests.bench.harness import SIMULATED, Bench, requests_of
from tests.support.polling import HANG_S, eventually

pytestmark = pytest.mark.e2e


def phase_is(bench: Bench, *phases: str) -> bool:
    try:
        status = json.loads(next(bench.results.glob("*-*/status.json")).read_text())
    except (StopIteration, FileNotFoundError, json.JSONDecodeError):
        return False
    return status.get("phase") in phases


MOMENTS = {
    "while the local SageMaker starts": lambda bench: any("emulator" in line for line in bench.processes()),
    "while creating": lambda bench: any(bench.ledger_files()),
    "in warm-up": lambda bench: phase_is(bench, "ramp", "warm_up"),
    "while measuring": lambda bench: phase_is(bench, "measure"),
}
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT)
"""One has the same handler as the other; `tests.deploy.test_interruptions` sends each at every call."""


@pytest.mark.parametrize(("moment", "sent"), list(zip(MOMENTS, SIGNALS, strict=True)), ids=MOMENTS)
def test_a_signal_leaves_no_process_no_endpoint_and_a_report(
    bench: Bench, moment: str, sent: signal.Signals
) -> None:
    plan: dict[str, Any] = SIMULATED | {"load": {"concurrency": [2, 4], "warm_up": "1s", "measure": "20s"}}
    process = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert eventually(lambda: MOMENTS[moment](bench) or process.poll() is not None)
    process.send_signal(sent)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode != 0, err
    assert bench.left_open() == []
    assert eventually(lambda: bench.processes() == []), bench.processes()
    assert "Traceback" not in err
    assert process.returncode == 128 + sent
    if moment == "while the local SageMaker starts":
        return
    manifest = json.loads((bench.latest() / "manifest.json").read_text())
    assert manifest["state"] == "interrupted"
    assert "interrupted" in (bench.latest() / "report.md").read_text().lower()
    if moment == "while measuring":
        assert len(requests_of(bench.latest())) > 0


def test_a_terminal_that_is_closed_leaves_no_endpoint_and_an_ended_run(bench: Bench) -> None:
    plan: dict[str, Any] = SIMULATED | {"load": {"concurrency": [2], "warm_up": "1s", "measure": "20s"}}
    window, terminal = os.openpty()
    process = bench.start("run", "--plan", bench.plan(plan), "--results", bench.results, stderr=terminal)
    os.close(terminal)
    assert eventually(lambda: phase_is(bench, "measure") or process.poll() is not None)
    os.close(window)  # from now on every line that it says is an error
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + signal.SIGHUP
    assert bench.left_open() == []
    assert json.loads((bench.latest() / "manifest.json").read_text())["state"] == "interrupted"
    assert (bench.latest() / "report.md").exists()
