"""How a load ended is one sentence that says what to do, also where the load generator itself broke down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.calibration.probe import client_environment
from bench.locust_process import LoadEnd, LoadOptions, _Silence, play_load, stop_child
from configs.experiment import Experiment
from tests.locustfiles.runs import experiment
from tests.locustfiles.support import response, sends, serving

pytestmark = pytest.mark.e2e

EXPIRED = response(403, b'{"message":"expired"}', {"x-amzn-ErrorType": "ExpiredTokenException"})


def end_of(played: Experiment) -> LoadEnd:
    with serving(sends(EXPIRED)) as server, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in client_environment(f"http://127.0.0.1:{server.port}", None).items():
            patch.setenv(name, value)
        file = played.run_folder / "experiment.json"
        file.write_text(played.model_dump_json(), encoding="utf-8")
        return play_load(file, played.run_folder / "locust", LoadOptions(), over_budget=lambda: False)


def test_a_refusal_names_its_remedy(tmp_path: Path) -> None:
    end = end_of(experiment(tmp_path, load={"measure": 60.0}))
    assert end.code == 4
    assert "expired" in end.message
    assert "renew them" in end.message


def test_a_load_generator_that_breaks_down_is_told_by_its_own_last_words_alone(tmp_path: Path) -> None:
    (tmp_path / "locust.log").write_text("[…] host/ERROR/x: of an earlier experiment\n", encoding="utf-8")
    end = end_of(experiment(tmp_path, payload=Path("nowhere.jsonl")))
    assert "\n" not in end.message
    assert end.code == 1, "nothing was wrong before something was started"
    assert "ended with code 2" in end.message
    assert "nowhere.jsonl" in end.message
    assert "earlier" not in end.message


FROZEN = """
import os, pathlib, signal, sys
pathlib.Path(sys.argv[1], "status.json").write_text('{"phase": "measure", "step": "c1"}')
os.kill(os.getpid(), signal.SIGSTOP)
"""


def load_of(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> LoadEnd:
    """The end of a load whose generator is a Python program."""
    monkeypatch.setattr(
        "bench.locust_process.locust_command", lambda *_, **__: [sys.executable, "-c", program, str(folder)]
    )
    return play_load(folder / "experiment.json", folder / "x", LoadOptions(), over_budget=lambda: False)


def test_a_load_that_falls_silent_is_reported_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.locust_process._SILENCE_S", 1.0)
    monkeypatch.setattr("bench.locust_process._ORDERLY_S", 0.5)
    end = load_of(FROZEN, tmp_path, monkeypatch)
    assert end == LoadEnd(1, "the load generator has not reported for 1 s and is ended")


@pytest.mark.parametrize(
    ("program", "end"),
    [
        (
            "import os; print('INFO: of no interest', flush=True); os.kill(os.getpid(), 9)",
            LoadEnd(
                1, "the load generator was killed by signal 9 (SIGKILL); often the machine ran out of memory"
            ),
        ),
        (
            "import os; os.kill(os.getpid(), 11)",
            LoadEnd(1, "the load generator was killed by signal 11 (SIGSEGV)"),
        ),
        ("import sys; sys.exit(120)", LoadEnd(1, "the load generator ended with code 120: it wrote nothing")),
        ("import sys; sys.exit(3)", LoadEnd(3, "some steps are incomplete; the report says which, and why")),
    ],
    ids=["killed", "crashed", "a code of no table", "a documented code"],
)
def test_every_end_of_a_load_has_a_documented_code(
    program: str, end: LoadEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_of(program, tmp_path, monkeypatch) == end


def test_time_that_this_machine_slept_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.locust_process.time.monotonic", lambda: now[0])
    silence = _Silence()
    silence.seconds(1)
    now[0] += 3600.0
    assert silence.seconds(1) == pytest.approx(1.0)
    for _ in range(240):
        now[0] += 0.25
        seconds = silence.seconds(1)
    assert seconds == pytest.approx(61.0)
    now[0] += 0.25
    assert silence.seconds(2) == 0.0


LOST_ITS_SIGNAL = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    print("there", flush=True)
    time.sleep(60)
_, status = os.wait()
sys.exit(0 if os.waitstatus_to_exitcode(status) == -signal.SIGTERM else 9)
"""
"""A parent that only waits, and a child whose interrupt was lost while it was forked."""


def test_a_forked_worker_that_lost_its_interrupt_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.locust_process._TERMINATE_AFTER_S", 0.2)
    child = subprocess.Popen(
        [sys.executable, "-c", LOST_ITS_SIGNAL], stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"there\n"
    stop_child(child, whole_group=True)
    child.stdout.close()
    assert child.returncode == 0
    assert "is killed" not in capsys.readouterr().err
