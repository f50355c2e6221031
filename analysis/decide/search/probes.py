"""What a search knows: its rules, its criteria, and what each visit of a level measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from analysis.metrics.statistics import (
    T95,
    Floats,
    Interval,
    cosine_projections,
    effective_count,
    samples_needed,
    share_interval,
)

Outcome = Literal["measured", "saturated", "not_reached", "void"]
"""Measured: it has evidence. Saturated: requests piled up, so the level is missed. Not reached: fewer
requests were in flight than the level demands. Void: the trust gate refuses it. The last two decide
nothing."""


@dataclass(frozen=True)
class Rules:
    """Where a search looks, how closely, and what it may spend."""

    low: float
    high: float
    resolution: float
    """The bracket's width at which the search is content, as a share of the level."""
    whole: bool = True
    """Whether levels are whole numbers, as users are."""
    least_s: float = 20.0
    """Shortest measurement of a level."""
    most_s: float = 120.0
    """Longest measurement of a level, all visits together."""
    limit_s: float | None = None
    """Load time after which the search ends, warm-ups included."""
    waves: int = 5
    """Requests of a measurement at least, as a multiple of those in flight."""
    confirm: bool = False
    """Whether the answer is played again as arrivals."""
    must_beat: float | None = None
    """Answered requests per second that the answer must exceed for the best price; None without a rival."""


@dataclass(frozen=True)
class Criterion:
    """One thing that must hold: a share of requests at most ``allowed``, or a mean at most ``allowed``."""

    name: str
    allowed: float
    kind: Literal["share", "mean", "errors"] = "share"


@dataclass(frozen=True)
class Estimate:
    """A measured share or mean, and how much evidence it rests on.

    ``weight`` is the effective number of independent requests of a share, and 1/variance of a mean.
    """

    value: float
    weight: float


@dataclass(frozen=True)
class Probe:
    """One visit of a level: an unbroken stay of the load there, and what it measured."""

    level: float
    seconds: float = 0.0
    """Length of the measurement so far."""
    spent_s: float = 0.0
    """Load time that the visit took, with ramp, warm-up and tail."""
    requests: int = 0
    in_flight: float = 0.0
    """Mean number of requests in flight."""
    estimates: tuple[Estimate | None, ...] = ()
    """One per criterion; None where nothing was measured."""
    late: tuple[float | None, ...] = ()
    """Each criterion's value in the second half of the measurement alone."""
    outcome: Outcome = "measured"
    reasons: tuple[str, ...] = field(default=(), compare=False)
    """Codes of the trust gate, for the report."""
    rate_at_most: float | None = None
    """Answered requests per second, the upper end of their 95% interval; None where it has none yet."""

    @property
    def counts(self) -> bool:
        """Whether it says anything about its level."""
        return self.outcome in ("measured", "saturated")

    def is_long_enough(self, rules: Rules) -> bool:
        """Whether the measurement holds several waves of requests, and is not shorter than the shortest."""
        return self.seconds >= rules.least_s and self.requests >= self.requests_needed(rules)

    def requests_needed(self, rules: Rules) -> float:
        """Several waves of the requests in flight, and enough for a median: the trust gate voids fewer."""
        return max(samples_needed(50), rules.waves * self.in_flight)


def estimate_share(measured: Floats, counted: Floats) -> Estimate | None:
    """A share from sums per block of time, with the noise of their swings; None without a request.

    Args:
        measured: requests per block.
        counted: how many of them count for the share, per block.
    """
    total = float(measured.sum())
    if total <= 0:
        return None
    share = float(counted.sum()) / total
    return Estimate(share, effective_count(int(total), share, counted - share * measured))


def estimate_mean(measured: Floats, amounts: Floats) -> Estimate | None:
    """A mean from sums per block of time, with the noise of their swings; None where it has no noise yet."""
    total = float(measured.sum())
    if total <= 0:
        return None
    mean = float(amounts.sum()) / total
    terms = cosine_projections(amounts - mean * measured)
    if not len(terms) or not terms.any():
        return None
    variance = float((terms * terms).mean()) / total**2
    return Estimate(mean, 1 / variance)


def pooled(estimates: Sequence[Estimate]) -> Estimate | None:
    """The weighted mean of several estimates, with all their evidence; None of none."""
    weight = math.fsum(each.weight for each in estimates)
    if weight <= 0:
        return None
    return Estimate(math.fsum(each.value * each.weight for each in estimates) / weight, weight)


def interval_of(estimate: Estimate, criterion: Criterion) -> Interval:
    """The 95% interval of an estimate: Wilson's of a share, Student's of a mean."""
    if criterion.kind == "mean":
        reach = T95 / math.sqrt(estimate.weight)
        return Interval(estimate.value - reach, estimate.value + reach)
    return share_interval(min(1.0, estimate.value) * estimate.weight, estimate.weight)
