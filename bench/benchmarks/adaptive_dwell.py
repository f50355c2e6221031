"""How often the interval of an adaptive measurement contains the true value, and how much time it saves.

    python -m bench.benchmarks.adaptive_dwell [--runs 300]

The closed loops of `bench.benchmarks.coverage`, in simulated time: a server that is faster or slower for a
while, with an autocorrelation time ("memory"). Each run lasts until a statistic is known to ±10%, by the rule
that ends a measurement of a real load (`analysis.decide.dwell`), at most 10 minutes. Beside it, the same runs
end at the first look that is narrow enough, which is what the rule avoids, and after the whole 10 minutes.
Writes the table of docs/dwell.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd

from analysis.decide.dwell import Look, is_known, look_at, next_look_s, statistic_of
from analysis.measure.results import StepResult
from analysis.measure.step_window import measure_window
from analysis.metrics.definitions import Window
from bench.benchmarks.coverage import Load, play
from configs.dwell import MeasureUntil, Statistic, statistic_name

MOST_S = 600.0
UNTIL = 0.1
_TRUTH_S = 20_000.0
_SEED = 20240322
PAGE = Path("docs/dwell.md")
BEGIN, END = "<!-- dwell benchmark -->\n", "<!-- end of the dwell benchmark -->\n"
_TITLES = (
    "users", "memory", "statistic",
    "ended early", "mean time", "of these: interval holds", "value within ±10%",
    "first narrow look: ended early", "mean time", "of these: interval holds", "after 10 min: interval holds",
)  # fmt: skip
HEAD = (f"| {' | '.join(_TITLES)} |", f"|---:|---:|---|{'---:|' * (len(_TITLES) - 3)}")
CASES: tuple[tuple[Load, Statistic], ...] = tuple(
    (Load(users, latency_s, MOST_S, memory_s), statistic)
    for users, latency_s, memory_s in (
        (8, 2.0, 0.0),
        (8, 2.0, 2.0),
        (8, 2.0, 5.0),
        (64, 1.0, 5.0),
        (64, 1.0, 20.0),
    )
    for statistic in ("throughput", "e2e_p95")
)


@dataclass(frozen=True)
class Outcome:
    """How one measurement ended."""

    seconds: float
    holds: bool
    """Whether its 95% interval contains the true value."""
    close: bool
    """Whether its value lies within the asked share of the true one."""


def step_until(rows: pd.DataFrame, load: Load, seconds: float) -> StepResult:
    """A run as the report would measure it, had its window ended after so many seconds."""
    planned = StepResult("e/c", "e", 1, load.users, "running", window=Window(0.0, seconds))
    ends = rows["started_at"] + rows["elapsed_ms"] / 1000
    own = rows[(rows["started_at"] < seconds) & (ends > 0)]
    return measure_window(planned, own, own, pd.DataFrame(columns=["count", "low_ms", "high_ms"]), [])


def outcome(step: StepResult, until: MeasureUntil, truth: float) -> Outcome:
    """What a measurement that ended there says of the truth."""
    found = statistic_of(step, until.of)
    if found is None:
        return Outcome(step.seconds or 0.0, holds=False, close=False)
    value, interval = found
    close = abs(value / truth - 1) <= until.until
    return Outcome(step.seconds or 0.0, interval.low <= truth <= interval.high, close)


def measure(
    rows: pd.DataFrame, load: Load, until: MeasureUntil, truth: float
) -> tuple[Outcome, Outcome, Outcome]:
    """How the same run ends by the rule, at the first narrow look, and at the longest time."""
    looks: list[Look] = []
    ruled: Outcome | None = None
    naive: Outcome | None = None
    whole = outcome(step_until(rows, load, until.at_most), until, truth)
    while ruled is None and (seconds := next_look_s(until, looks) or math.inf) < until.at_most:
        step = step_until(rows, load, seconds)
        looks.append(look := look_at(step, until))
        narrow = look.enough and look.reach is not None and look.reach <= until.until
        if naive is None and narrow:
            naive = outcome(step, until, truth)
        if is_known(until, looks):
            ruled = outcome(step, until, truth)
    return ruled or whole, naive or whole, whole


def row(load: Load, statistic: Statistic, runs: int) -> str:
    """One line of the table."""
    rng = np.random.default_rng([_SEED, load.users, int(10 * load.memory_s)])
    until = MeasureUntil(until=UNTIL, of=statistic, at_most=MOST_S)
    long = statistic_of(step_until(play(load, _TRUTH_S, rng), load, _TRUTH_S), statistic)
    truth = math.nan if long is None else long[0]
    ends = [measure(play(load, MOST_S, rng), load, until, truth) for _ in range(runs)]
    ruled, naive, whole = zip(*ends, strict=True)
    cells = [
        str(load.users),
        "none" if load.memory_s <= 0 else f"{load.memory_s:g} s",
        statistic_name(statistic),
        *_early(ruled, with_close=True),
        *_early(naive, with_close=False),
        f"{np.mean([end.holds for end in whole]):.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _early(ends: Sequence[Outcome], *, with_close: bool) -> list[str]:
    """How many ended early, the mean time of all, and how right those were that ended early."""
    early = [end for end in ends if end.seconds < MOST_S]
    cells = [f"{len(early) / len(ends):.0%}", f"{np.mean([end.seconds for end in ends]):.0f} s"]
    shares = [[end.holds for end in early], *([[end.close for end in early]] if with_close else [])]
    return cells + [f"{np.mean(share):.0%}" if share else "" for share in shares]


@click.command(help="Simulate RUNS measurements per row and write the table of docs/dwell.md.")
@click.option("--runs", type=click.IntRange(min=2), default=300, show_default=True)
def main(runs: int) -> None:
    """Play, print and write."""
    lines = list(HEAD)
    print("\n".join(HEAD))
    for load, statistic in CASES:
        lines.append(row(load, statistic, runs))
        print(lines[-1], flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
