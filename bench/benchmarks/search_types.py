"""What it saves to end the search of an instance type that cannot have the best price, and what it risks.

    python -m bench.benchmarks.search_types

Plans of four simulated instance types with a price each (`search_shapes`), in simulated time. Writes the
second table of docs/search.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import click
import numpy as np

from analysis.decide.search.method import Bracket, End, next_move
from analysis.decide.search.probes import Probe
from analysis.decide.search.rival import rate_to_beat
from bench.benchmarks.search import DOCS, RULES, search
from bench.benchmarks.search_shapes import (
    CRITERIA,
    SHAPES,
    WARM_UP_S,
    Shape,
    SimulatedEndpoint,
    highest_passing,
    rate_at,
)

PLANS = 100
TYPES = 4
_CONFIRMATION_S = 60.0 + WARM_UP_S
_BEGIN, _END = "<!-- types benchmark -->\n", "<!-- end of the types benchmark -->\n"
_HEAD = (
    "| order | ended early | the best ended early | found the cheapest | load time | cost | saving stated |",
    "|---|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True)
class InstanceType:
    """A simulated instance type. ``usd`` is its true price per request at its highest passing level."""

    shape: Shape
    capacity: float
    usd_per_hour: float
    seed: int
    usd: float


@dataclass(frozen=True)
class Searched:
    """How the search of a type ended."""

    kind: InstanceType
    spent_s: float
    usd_per_request: float
    """Measured, at the highest level that is met; infinite where none is."""
    ended_early: bool = False
    stated_s: float = 0.0
    """Load time that the report would say was saved."""


def draw_types(seed: int) -> list[InstanceType]:
    """Types whose prices per hour differ by up to eight times, those per request by about 1.5 times."""
    random = np.random.default_rng([seed, 11])
    types = []
    for number in range(TYPES):
        shape = SHAPES[int(random.integers(len(SHAPES)))]
        size = math.exp(random.uniform(0, math.log(8)))
        capacity = min(200.0, 12 * size * math.exp(random.normal(0, 0.4)))
        level = highest_passing(shape, capacity)
        usd = size / 3600 / rate_at(shape, capacity, level) if level else math.inf
        types.append(InstanceType(shape, capacity, size, 100 * seed + number, usd))
    return types


def play(types: Sequence[InstanceType], *, stop: bool) -> list[Searched]:
    """Search the types one after the other; with ``stop``, each must beat the best price before it."""
    played: list[Searched] = []
    for kind in types:
        rival = min(played, key=lambda each: each.usd_per_request, default=None)
        rules = RULES
        if stop and rival is not None and math.isfinite(rival.usd_per_request):
            to_beat = rate_to_beat(rival.usd_per_request, RULES.resolution, kind.usd_per_hour)
            rules = replace(RULES, must_beat=to_beat)
        endpoint = SimulatedEndpoint(kind.shape, kind.capacity, kind.seed)
        bracket, probes = search(endpoint, rules)
        if rival is not None and next_move(rules, CRITERIA, probes) == End("beaten"):
            stated = max(0.0, rival.spent_s - endpoint.now)
            played.append(Searched(kind, endpoint.now, math.inf, ended_early=True, stated_s=stated))
        else:
            confirmation = _CONFIRMATION_S if bracket.low is not None else 0.0
            price = _price(kind, bracket, probes)
            played.append(Searched(kind, endpoint.now + confirmation, price))
    return played


def _price(kind: InstanceType, bracket: Bracket, probes: Sequence[Probe]) -> float:
    """Dollars per request at the highest level that is met, as measured."""
    if bracket.low is None:
        return math.inf
    own = [probe for probe in probes if probe.level == bracket.low.level and probe.counts]
    rate = math.fsum(probe.requests for probe in own) / math.fsum(probe.seconds for probe in own)
    return kind.usd_per_hour / 3600 / rate if rate else math.inf


def table_row(name: str, plans: Sequence[list[Searched]], whole: Sequence[list[Searched]]) -> str:
    """One line of the table; ``whole`` are the same plans without early ends."""
    searches = [each for plan in plans for each in plan]
    meets = [plan for plan in plans if any(math.isfinite(each.kind.usd) for each in plan)]
    dropped = [_dropped_the_best(plan) for plan in meets]
    right = [_chosen(plan).usd <= 1.05 * _best(plan).usd for plan in meets]
    spent, usd = _totals(plans)
    saved_s = _totals(whole)[0] - spent
    stated_s = math.fsum(each.stated_s for each in searches)
    early = np.mean([each.ended_early for each in searches])
    cells = [
        f"{early:.0%}",
        f"{np.mean(dropped):.1%}",
        f"{np.mean(right):.1%}",
        f"{spent / len(plans) / 60:.0f} min",
        f"${usd / len(plans):.2f}",
        f"{stated_s / saved_s:.0%} of the true" if saved_s > 0 else "",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _totals(plans: Sequence[list[Searched]]) -> tuple[float, float]:
    """Load time in seconds and its price."""
    searches = [each for plan in plans for each in plan]
    spent = math.fsum(each.spent_s for each in searches)
    return spent, math.fsum(each.spent_s * each.kind.usd_per_hour / 3600 for each in searches)


def _best(plan: Sequence[Searched]) -> InstanceType:
    return min((each.kind for each in plan), key=lambda kind: kind.usd)


def _chosen(plan: Sequence[Searched]) -> InstanceType:
    return min(plan, key=lambda each: each.usd_per_request).kind


def _dropped_the_best(plan: Sequence[Searched]) -> bool:
    return any(each.ended_early and each.kind is _best(plan) for each in plan)


ORDERS: tuple[tuple[str, Callable[[InstanceType], float], bool], ...] = (
    ("any, every search to its end", lambda kind: kind.seed, False),
    ("by chance", lambda kind: kind.seed, True),
    ("dearest instance first", lambda kind: -kind.usd_per_hour, True),
    ("cheapest instance first (as played)", lambda kind: kind.usd_per_hour, True),
)


@click.command(help="Play plans of several instance types and write their table of docs/search.md.")
@click.option("--plans", default=PLANS, show_default=True, help="Plans of four types each.")
def main(plans: int) -> None:
    """Play, print and write."""
    drawn = [draw_types(seed) for seed in range(plans)]
    whole: list[list[Searched]] = []
    lines = list(_HEAD)
    for name, order, stop in ORDERS:
        played = [play(sorted(types, key=order), stop=stop) for types in drawn]
        whole = whole or played
        lines.append(table_row(name, played, whole))
        print(lines[-1], flush=True)
    page = DOCS / "search.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    table = "\n".join(lines)
    page.write_text(f"{before}{_BEGIN}{table}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
