"""Whether a second worker doubles the streams: CPU of a worker and error of TTFT, alone and with another one.

    python -m bench.benchmarks.two_workers [--users 128] [--rounds 3]

The server's own log has the truth. Server, master and workers share this machine's cores, so the streams that
a worker can carry are computed from the CPU time that it took for these. Prints a Markdown table of medians.
"""

from statistics import median
from typing import NamedTuple

import click

from bench.benchmarks.open_loop import Played, play, ttft_error_ms
from bench.calibration.truth import AnswerSchedule
from configs.load import Load

_ANSWERS = AnswerSchedule(ttft=0.2, gap=0.02, tokens=100)
_FULL = 85.0
"""CPU of a core, in percent, above which a worker is not trusted with more."""


class Part(NamedTuple):
    """One part of a round."""

    streams: float
    """In flight on average, all workers together."""
    cpu_percent: float
    """Of a core, per worker."""
    error_p99_ms: float

    @property
    def capacity(self) -> float:
        """Streams at which the workers would be full."""
        return self.streams * _FULL / self.cpu_percent


def measure(users: int, workers: int, seconds: float) -> Part:
    """Play a step with so many users per worker."""
    load = Load(concurrency=(users * workers,), warm_up=4.0, measure=seconds)
    played: Played = play(load, schedule=_ANSWERS, processes=workers)
    streams = played.rows["e2e_ms"].sum() / 1000 / played.seconds
    return Part(streams, played.cpu_percent, float(ttft_error_ms(played.rows).quantile(0.99)))


@click.command(help="Measure how the streams grow with a second worker.")
@click.option("--users", default=128, show_default=True, help="Users of each worker.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=15.0, show_default=True, help="Length of a measurement.")
def main(users: int, rounds: int, seconds: float) -> None:
    """Print one worker beside two."""
    parts: dict[int, list[Part]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in parts.items():
            found.append(measure(users, workers, seconds))
    print("| workers | streams | CPU per worker | TTFT error p99 | streams at 85% CPU |")
    print("|---:|---:|---:|---:|---:|")
    for workers, found in parts.items():
        cells = [median(column) for column in zip(*found, strict=True)]
        capacity = median(part.capacity for part in found)
        print(f"| {workers} | {cells[0]:.0f} | {cells[1]:.0f}% | {cells[2]:.2f} ms | {capacity:.0f} |")
    ratios = [two.capacity / one.capacity for one, two in zip(parts[1], parts[2], strict=True)]
    print(f"\nTwo workers carry {median(ratios):.2f} times the streams of one.")


if __name__ == "__main__":
    main()
