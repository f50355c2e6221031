"""How many instances a demand takes and what they cost: functions of measured steps."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.decide.recommendation import Candidate, Choice
from analysis.metrics.cost import HOURS_PER_MONTH
from common.errors import UserError

HEADROOM = 0.25
EXAMPLES = (60.0, 600.0, 6000.0)
"""Demands in requests per minute that are planned for where none is given."""
_DAY = 24


@dataclass(frozen=True)
class Demand:
    """Requests per minute: one number for all hours, or 24 of them."""

    per_hour_of_day: tuple[float, ...]

    @property
    def peak(self) -> float:
        """The busiest hour, in requests per minute."""
        return max(self.per_hour_of_day)


@dataclass(frozen=True)
class Fleet:
    """One way to carry a demand. ``instances`` carry the peak with headroom, ``spare`` stands by (N+1)."""

    candidate: Candidate
    demand: Demand
    instances: int
    least: int
    """What the quietest hour needs."""
    spare: int
    per_instance: float
    """Measured requests per minute of one instance."""
    utilisation: float
    """Mean demand / capacity of all instances of the fixed fleet."""
    usd_per_month: float | None
    usd_per_month_scaled: float | None
    """With as many instances as each hour needs (never fewer than one, and the spare)."""
    usd_per_request: float | None
    """At this utilisation, fixed fleet."""

    @property
    def level_each(self) -> float:
        """The level of one instance: its concurrency, or its arrivals per second."""
        return (self.candidate.step.level or 0.0) / self.candidate.experiment.instance_count


@dataclass(frozen=True)
class FleetPlan:
    """The ways to carry one demand for one payload, cheapest first."""

    payload: str
    demand: Demand
    fleets: list[Fleet]


def plan_fleets(choices: Sequence[Choice], demand: Demand | None) -> list[FleetPlan]:
    """Fleets for every payload that has a step to recommend; for `EXAMPLES` where no demand is given."""
    demands = [Demand((rate,) * _DAY) for rate in EXAMPLES] if demand is None else [demand]
    return [
        FleetPlan(choice.payload, each, found)
        for choice in choices
        for each in demands
        if (found := fleets(choice, each))
    ]


def read_demand(text: str) -> Demand:
    """A number of requests per minute, or a CSV file of a 24-hour curve (hour, requests per minute).

    Raises:
        UserError: neither a positive number nor such a file.
    """
    try:
        return Demand((_positive(text),) * _DAY)
    except ValueError:
        path = Path(text)
    if not path.is_file():
        raise UserError(
            f"demand {text} is neither a number nor a file",
            "give requests per minute, or a CSV file with 24 hours of them",
        )
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
        values = {int(row[0]): _positive(row[1], zero=True) for row in rows if row[0].strip().isdigit()}
    except (ValueError, IndexError, UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"{path} is not a demand curve ({error})", "write rows of hour (0 to 23) and requests per minute"
        ) from None
    if sorted(values) != list(range(_DAY)) or max(values.values()) <= 0:
        raise UserError(
            f"{path} has {len(values)} hours or no demand at all", "write each hour from 0 to 23 once"
        )
    return Demand(tuple(values[hour] for hour in range(_DAY)))


def _positive(text: str, *, zero: bool = False) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{text} is no rate")
    return value


def fleets(choice: Choice, demand: Demand, headroom: float = HEADROOM) -> list[Fleet]:
    """The ways to carry a demand, cheapest first (fewest instances where no price is known).

    Each instance type runs at the concurrency that passes and does most. The measured rate is that of a full
    load, so the headroom is what keeps queues short: capacity ≥ peak × (1 + headroom).
    """
    best: dict[str, Candidate] = {}
    for candidate in choice.candidates:
        name, rate = candidate.experiment.name, candidate.step.throughput.per_minute
        if candidate.passes and rate:
            before = best.get(name)
            if before is None or (before.step.throughput.per_minute or 0) < rate:
                best[name] = candidate
    planned = [fleet_of(candidate, demand, headroom) for candidate in best.values()]
    return sorted(planned, key=lambda f: (f.usd_per_month is None, f.usd_per_month or f.instances + f.spare))


def fleet_of(candidate: Candidate, demand: Demand, headroom: float = HEADROOM) -> Fleet:
    """One candidate's fleet.

    Formula: instances = ⌈peak × (1 + headroom) / rate of one instance⌉, plus one spare;
    $/month = instances × $/h × 730.
    Unit: instances, dollars.
    Source: the measured rate of the step at full load.
    """
    count = candidate.experiment.instance_count
    rate = (candidate.step.throughput.per_minute or 0.0) / count
    needed = [max(1, math.ceil(d * (1 + headroom) / rate - 1e-9)) for d in demand.per_hour_of_day]
    instances, spare = max(needed), 1
    mean_demand = sum(demand.per_hour_of_day) / _DAY
    price = candidate.experiment.usd_per_hour
    month = None if price is None else price * (instances + spare) * HOURS_PER_MONTH
    mean_instances = sum(needed) / _DAY + spare
    return Fleet(
        candidate=candidate,
        demand=demand,
        instances=instances,
        least=min(needed),
        spare=spare,
        per_instance=rate,
        utilisation=mean_demand / (rate * (instances + spare)),
        usd_per_month=month,
        usd_per_month_scaled=None if price is None else price * mean_instances * HOURS_PER_MONTH,
        usd_per_request=None if month is None else month / (mean_demand * 60 * HOURS_PER_MONTH),
    )
