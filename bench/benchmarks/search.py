"""How often the search finds the knee, how often it is sure and wrong, and what it costs beside a sweep.

    python -m bench.benchmarks.search

Simulated endpoints with known knees (`search_shapes`), 40 seeds each, in simulated time. Writes the table and
the picture of docs/search.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np

from analysis.decide.search.method import Bracket, End, bracket_of, next_move
from analysis.decide.search.probes import Probe, Rules
from bench.benchmarks.search_shapes import (
    CRITERIA,
    HIGH,
    LOW,
    SHAPES,
    Shape,
    SimulatedEndpoint,
    Visit,
    highest_passing,
)

mpl.use("Agg")
from matplotlib import pyplot as plt

SEEDS = 40
RULES = Rules(low=LOW, high=HIGH, resolution=0.05, least_s=20, most_s=900, limit_s=7200)
DOCS = Path("docs")
_BEGIN, _END = "<!-- search benchmark -->\n", "<!-- end of the search benchmark -->\n"
_HEAD = (
    "| endpoint | found within 5% | sure | sure, wrong | probes | load time | sweep: time | sweep: found |",
    "|---|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True)
class Result:
    """How a search or a sweep ended."""

    answer: float
    truth: float
    spent_s: float
    sure: bool = False
    probes: int = 0

    @property
    def right(self) -> bool:
        """Whether the answer is the highest passing level, within the resolution or one user."""
        if not self.truth or not self.answer:
            return self.truth == self.answer
        apart = max(self.truth, self.answer) / min(self.truth, self.answer) - 1
        return apart <= RULES.resolution + 1e-9 or abs(self.truth - self.answer) <= 1


def search(endpoint: SimulatedEndpoint, rules: Rules = RULES) -> tuple[Bracket, list[Probe]]:
    """Search an endpoint with the method that plays a live search."""
    probes: list[Probe] = []
    visit: Visit | None = None
    while not isinstance(move := next_move(rules, CRITERIA, probes), End):
        missing_s = move.until_s - math.fsum(p.seconds for p in probes if p.level == move.level)
        if visit is None or visit.level != move.level:
            visit = Visit(endpoint, move.level)
            probes.append(visit.extend(missing_s))
        else:
            probes[-1] = visit.extend(missing_s)
    return bracket_of(rules, CRITERIA, probes), probes


def sweep(endpoint: SimulatedEndpoint, rules: Rules = RULES) -> float:
    """The highest passing level by a sweep upwards, the resolution apart, until two levels are missed.

    Each level is measured until its interval decides, as long as the search may measure one.
    """
    answer, misses, level = 0.0, 0, rules.low
    while level <= rules.high and misses < 2:
        visit, alone = Visit(endpoint, level), replace(rules, low=level, high=level, limit_s=None)
        probe = visit.extend(rules.least_s)
        while not isinstance(move := next_move(alone, CRITERIA, [probe]), End):
            probe = visit.extend(move.until_s - probe.seconds)
        if bracket_of(alone, CRITERIA, [probe]).low is None:
            misses += 1
        elif not misses:
            answer = level
        level = max(level + 1, math.floor(level * (1 + rules.resolution)))
    return answer


def play(shape: Shape, seed: int) -> tuple[Result, Result]:
    """A search and a sweep of the same endpoint."""
    capacity = math.exp(np.random.default_rng([seed, 7]).uniform(math.log(8), math.log(160)))
    endpoint = SimulatedEndpoint(shape, capacity, seed)
    bracket, probes = search(endpoint)
    found = Result(
        answer=bracket.low.level if bracket.low is not None else 0.0,
        truth=highest_passing(shape, capacity, endpoint.now),
        spent_s=endpoint.now,
        sure=bracket.is_sure(RULES),
        probes=len(probes),
    )
    endpoint = SimulatedEndpoint(shape, capacity, seed + 1000)
    answer = sweep(endpoint)
    return found, Result(answer, highest_passing(shape, capacity, endpoint.now), endpoint.now)


def table_row(name: str, played: Sequence[tuple[Result, Result]]) -> str:
    """One line of the table."""
    found, swept = [pair[0] for pair in played], [pair[1] for pair in played]
    cells = [
        f"{np.mean([result.right for result in found]):.1%}",
        f"{np.mean([result.sure for result in found]):.0%}",
        f"{np.mean([result.sure and not result.right for result in found]):.1%}",
        f"{np.mean([result.probes for result in found]):.1f}",
        f"{np.mean([result.spent_s for result in found]) / 60:.1f} min",
        f"{np.mean([result.spent_s for result in swept]) / 60:.1f} min",
        f"{np.mean([result.right for result in swept]):.1%}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def draw(played: dict[str, list[tuple[Result, Result]]], path: Path) -> None:
    """Left: each answer beside the truth. Right: the load time of search and sweep."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, pairs in played.items():
        known = [found for found, _ in pairs if found.truth and found.answer]
        left.plot([r.truth for r in known], [r.answer for r in known], ".", label=name, alpha=0.7)
    ends = np.array([LOW, HIGH])
    left.fill_between(ends, ends / 1.05, ends * 1.05, color="0.85", label="within 5%")
    left.set(xscale="log", yscale="log", xlim=(5, 300), ylim=(5, 300))
    left.set(xlabel="highest passing level", ylabel="answer of the search")
    left.legend(fontsize=7)
    places = np.arange(len(played))
    for offset, index, label in ((-0.2, 0, "search"), (0.2, 1, "sweep at 5% steps")):
        minutes = [np.mean([pair[index].spent_s for pair in pairs]) / 60 for pairs in played.values()]
        right.barh(places + offset, minutes, height=0.38, label=label)
    right.set_yticks(places, list(played))
    right.invert_yaxis()
    right.set_xlabel("mean load time in minutes")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


@click.command(help="Play every simulated endpoint and write the table and the picture of docs/search.md.")
@click.option("--seeds", default=SEEDS, show_default=True, help="Endpoints per shape.")
def main(seeds: int) -> None:
    """Play, print and write."""
    played = {}
    print("\n".join(_HEAD))
    lines = list(_HEAD)
    for shape in SHAPES:
        played[shape.name] = [play(shape, seed) for seed in range(seeds)]
        lines.append(table_row(shape.name, played[shape.name]))
        print(lines[-1], flush=True)
    lines.append(table_row("**all**", [pair for pairs in played.values() for pair in pairs]))
    print(lines[-1])
    draw(played, DOCS / "search.png")
    page = DOCS / "search.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    table = "\n".join(lines)
    page.write_text(f"{before}{_BEGIN}{table}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
