"""How often the report's 95% intervals contain the true value, if latencies are autocorrelated.

    python -m bench.benchmarks.coverage [--runs 400]

A closed loop on a server that is faster or slower for a while: its latency varies by 15% (standard
deviation) with an autocorrelation time ("memory"). The true value comes from a run of hours on the same
server. Prints a Markdown table: how often each interval contains it (and its half-width), how often the drift
check warns though nothing drifts, and how often one of two equal steps is called the better one for sure.
"""

import math
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd

from analysis.decide.recommendation import SURE
from analysis.decide.trust_stationary import check_stationary
from analysis.measure.results import StepResult
from analysis.measure.step_window import measure_window
from analysis.metrics.definitions import Window
from analysis.metrics.statistics import Interval, simulate_totals
from analysis.metrics.time_blocks import BlockSums
from runfolder.records import REQUEST_COLUMNS

SWING = 0.15
NOISE = 0.3
_WARM_UP_S = 60.0
_LONG_S = 20_000.0
_TICK_S = 0.25


@dataclass(frozen=True)
class Load:
    """A closed loop: users, mean latency (s), window (s), autocorrelation time of the swings (s; 0: none)."""

    users: int
    latency_s: float
    window_s: float
    memory_s: float


LOADS = (
    *(Load(1, 0.5, 120, memory) for memory in (0.0, 5.0)),
    *(Load(8, 2.0, 120, memory) for memory in (0.0, 2.0, 5.0, 10.0, 20.0)),
    *(Load(32, 4.0, 120, memory) for memory in (0.0, 5.0, 10.0)),
)


def swings(load: Load, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Logarithm of the server's slowness at every tick: an Ornstein-Uhlenbeck process."""
    count = int(seconds / _TICK_S) + 1
    if load.memory_s <= 0:
        return np.zeros(count)
    keeps = math.exp(-_TICK_S / load.memory_s)
    pushes = rng.normal(size=count) * SWING * math.sqrt(1 - keeps * keeps)
    values = np.empty(count)
    values[0] = rng.normal() * SWING
    for tick in range(1, count):
        values[tick] = keeps * values[tick - 1] + pushes[tick]
    return values


def play(load: Load, window_s: float, rng: np.random.Generator) -> pd.DataFrame:
    """The requests of a run, as rows of ``requests.csv``; its window starts at 0."""
    end = _WARM_UP_S + window_s
    slowness = swings(load, end + 20 * load.latency_s, rng)
    clock = rng.uniform(0, load.latency_s, load.users)
    starts, lasts = [], []
    while (clock < end).any():
        tick = np.minimum((clock / _TICK_S).astype(int), len(slowness) - 1)
        lasting = load.latency_s * np.exp(slowness[tick] + NOISE * rng.normal(size=load.users))
        running = clock < end
        starts.append(clock[running])
        lasts.append(lasting[running])
        clock = clock + lasting
    rows = pd.DataFrame({"started_at": np.concatenate(starts) - _WARM_UP_S})
    rows["e2e_ms"] = rows["elapsed_ms"] = 1000 * np.concatenate(lasts)
    rows["outcome"] = "ok"
    rows = rows.reindex(columns=list(REQUEST_COLUMNS))
    numeric = [name for name in REQUEST_COLUMNS if name.endswith(("_ms", "_tokens", "chunks"))]
    return rows.astype(dict.fromkeys(numeric, float))


def step(load: Load, window_s: float, rng: np.random.Generator) -> StepResult:
    """A measured step."""
    rows = play(load, window_s, rng)
    planned = StepResult("e/c", "e", 1, load.users, "complete", window=Window(0.0, window_s))
    nothing = pd.DataFrame(columns=["count", "low_ms", "high_ms"])
    return measure_window(planned, rows, rows, nothing, [])


def figures(measured: StepResult) -> dict[str, tuple[float, Interval | None]]:
    """The figures of the table, each with its interval."""
    e2e = measured.latency["e2e"]
    return {
        "requests/min": (measured.throughput.per_minute or 0.0, measured.throughput.per_minute_interval),
        "E2E p50": (e2e.percentiles[50], e2e.intervals.get(50)),
        "E2E p95": (e2e.percentiles[95], e2e.intervals.get(95)),
    }


def best_for_sure(step_a: StepResult, step_b: StepResult, rng: np.random.Generator) -> bool:
    """Whether the recommendation would call one of two equal steps better for sure."""
    if step_a.blocks is None or step_b.blocks is None:
        return False
    first, second = (
        BlockSums.from_matrix(simulate_totals(blocks.matrix(), rng)).completions
        for blocks in (step_a.blocks, step_b.blocks)
    )
    share = float((first > second).mean())
    return max(share, 1 - share) >= SURE


def row(load: Load, runs: int, rng: np.random.Generator) -> list[str]:
    """One line of the table."""
    truth = {name: value for name, (value, _) in figures(step(load, _LONG_S, rng)).items()}
    held, width = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0.0)
    alarms = sure = 0
    before: StepResult | None = None
    for _ in range(runs):
        measured = step(load, load.window_s, rng)
        for name, (_, interval) in figures(measured).items():
            if interval is not None:
                held[name] += interval.low <= truth[name] <= interval.high
                width[name] += (interval.high - interval.low) / 2 / truth[name]
        check_stationary(measured)
        alarms += measured.trust.level != "pass"
        sure += before is not None and best_for_sure(before, measured, rng)
        before = measured
    memory = "none" if load.memory_s <= 0 else f"{load.memory_s:g} s"
    cells = [f"{held[name] / runs:.0%} (±{width[name] / runs:.1%})" for name in truth]
    return [str(load.users), memory, *cells, f"{alarms / runs:.1%}", f"{sure / (runs - 1):.0%}"]


@click.command(help="Simulate RUNS steps per row and print how often each interval contains the true value.")
@click.option("--runs", type=click.IntRange(min=2), default=400, show_default=True)
def main(runs: int) -> None:
    """Print the table."""
    rng = np.random.default_rng(20240322)
    print("| users | memory | requests/min | E2E p50 | E2E p95 | drift alarms | equal steps told apart |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for load in LOADS:
        print(f"| {' | '.join(row(load, runs, rng))} |", flush=True)


if __name__ == "__main__":
    main()
