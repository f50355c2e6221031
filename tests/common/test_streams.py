"""A closed terminal, a full disk, a reader that left: the exit code is still the program's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.parent_process import LOAD_PARENT_VARIABLE

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def closed_terminal() -> int:
    window, terminal = os.openpty()
    os.close(window)
    return terminal


pytestmark = pytest.mark.e2e
STREAMS = {"full disk": full_disk, "closed pipe": closed_pipe, "closed terminal": closed_terminal}


def exit_code(arguments: list[str], lost: Callable[[], int], **environment: str) -> int:
    """Run Python with both streams lost."""
    descriptor = lost()
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            timeout=60,
            check=False,
        ).returncode
    finally:
        os.close(descriptor)


ENDINGS = {
    "sys.exit": "sys.exit(129)",
    "text that is still buffered": "sys.stdout.write('x'); sys.stderr.write('y'); sys.exit(129)",
    "a line at exit": "import atexit; atexit.register(print, 'late'); print('early'); sys.exit(129)",
    "a file of its own": "open(2, 'w', closefd=False).write('z'); print('x', flush=True); sys.exit(129)",
}


@pytest.mark.parametrize("lost", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("unbuffered", [[], ["-u"]], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_with_its_code(ending: str, unbuffered: list[str], lost: Callable[[], int]) -> None:
    program = f"import sys; from common.streams import survive_lost_streams as s; s(); {ending}"
    assert exit_code([*unbuffered, "-c", program], lost) == 129


@pytest.mark.parametrize("lost", [full_disk, closed_terminal], ids=["full disk", "closed terminal"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-m", "bench", "run", "--plan", "missing.yml"], 2),
        (["-m", "bench", "--help"], 0),
        (["-m", "emulator", "--faults", "missing.yml"], 2),
        (["-m", "emulator.containers.simulated"], 2),
        (["-m", "locust", "-f", "locustfiles/experiment.py", "--headless"], 2),
    ],
    ids=["a mistake", "help", "the local SageMaker", "a container", "Locust"],
)
def test_every_program_ends_with_its_code(arguments: list[str], code: int, lost: Callable[[], int]) -> None:
    environment = {
        LOAD_PARENT_VARIABLE: str(os.getpid()),
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    assert exit_code(arguments, lost, **environment) == code


def test_what_a_full_disk_lost_is_reported_once() -> None:
    program = (
        "from common.streams import survive_lost_streams as s; s()\nfor _ in range(3): print('x', flush=True)"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert done.stderr.splitlines() == ["error: standard output cannot be written: No space left on device"]


def test_what_can_be_written_is_written_in_full() -> None:
    program = (
        "from common.streams import survive_lost_streams as s; s()\n"
        "import sys; print('ä' * 100_000); print('ö', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert (done.stdout, done.stderr) == ("ä" * 100_000 + "\n", "ö\n")
