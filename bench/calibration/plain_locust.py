"""How accurate plain Locust is with our users, beside `make bench`, in one run.

    python -m bench.calibration.plain_locust --streams 64,256

Three ways play the same streams against a server with known token times: an experiment as `make bench` plays
it, ``locust -f locustfiles/sagemaker.py``, and ``locust -f`` with a locustfile of one's own.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.calibration.calibrate import SCHEDULE
from bench.calibration.probe import (
    REGION,
    LevelResult,
    calibration_payload,
    client_environment,
    play_levels,
    read_levels,
    truth_server,
)
from bench.calibration.truth import AnswerSchedule
from common.formatting import count, number, percent

_ROOT = Path(__file__).parents[2]
_RAMP_S = 4.0
"""Within which all users of a plain run have started."""
_ONE_ENDPOINT = _ROOT / "locustfiles/sagemaker.py"
_OWN = Path(__file__).with_name("own_locustfile.py")


def bench_level(streams: int, seconds: float, schedule: AnswerSchedule) -> LevelResult:
    """An experiment, as `make bench` plays it."""
    with tempfile.TemporaryDirectory(prefix="plain-") as folder:
        return play_levels([streams], Path(folder), tls=False, seconds=seconds, schedule=schedule)[0]


def plain_level(
    streams: int, seconds: float, schedule: AnswerSchedule, *, locustfile: Path = _ONE_ENDPOINT
) -> LevelResult:
    """Plain Locust with a run folder.

    Raises:
        ClickException: Locust ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="plain-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--only-summary"]
        command += ["-u", str(streams), "-r", str(max(1.0, streams / _RAMP_S))]
        command += ["-t", f"{seconds + _RAMP_S:.0f}s", "--endpoint", "truth", "--region", REGION]
        command += ["--run-folder", str(folder / "run")]
        if locustfile == _ONE_ENDPOINT:
            command += ["--payload", str(calibration_payload(folder)), "--schema", "tgi"]
            command += ["--max-tokens", str(schedule.tokens)]
        with truth_server(folder, schedule, None) as (url, truth):
            done = subprocess.run(
                command, env=client_environment(url, None), capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise click.ClickException(f"Locust ended with code {done.returncode}: {done.stderr}")
        return read_levels(folder / "run", truth, [streams], tls=False, step="truth/u{}")[0]


WAYS: dict[str, Callable[[int, float, AnswerSchedule], LevelResult]] = {
    "make bench": bench_level,
    "locust -f locustfiles/sagemaker.py": plain_level,
    "a SageMakerUser of one's own": partial(plain_level, locustfile=_OWN),
}


def comparison(levels: list[tuple[str, LevelResult]]) -> Table:
    """A table of what each way measured."""
    table = Table(title="Errors against the server, in milliseconds")
    titles = ("way", "streams", "in flight", "requests", "failed", "TTFT p50", "TTFT p99", "TPOT p99", "CPU")
    for title in titles:
        table.add_column(title, justify="left" if title == "way" else "right")
    for way, level in levels:
        errors = (level.ttft_error_p50_ms, level.ttft_error_p99_ms, level.tpot_error_p99_ms)
        table.add_row(
            way, count(level.streams), number(level.in_flight), count(level.requests), count(level.failed),
            *(number(error, 2) for error in errors), percent(level.cpu_percent / 100),
        )  # fmt: skip
    return table


@click.command()
@click.option("--streams", default="64,256", show_default=True, help="Concurrencies with commas.")
@click.option("--seconds", default=10.0, show_default=True, help="Window of each measurement.")
def main(streams: str, seconds: float) -> None:
    """Compare `make bench`, plain Locust and a locustfile of one's own."""
    levels = [
        (way, play(n, seconds, SCHEDULE)) for n in map(int, streams.split(",")) for way, play in WAYS.items()
    ]
    Console(width=120).print(comparison(levels))


if __name__ == "__main__":
    main()
