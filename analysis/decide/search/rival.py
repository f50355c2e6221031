"""The best confirmed price of the searches before, and whether another type can beat it. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.decide.search.course import Course
from analysis.decide.search.method import End
from analysis.measure.results import ExperimentResult
from analysis.metrics.cost import usd_per_request
from runfolder.manifest import ExperimentEntry, Rival


def confirmed_rate(course: Course) -> float | None:
    """Answered requests per second whose price may be held against other types; None without such.

    Where the answer is played as arrivals, the SLO must have held there. Elsewhere, the level must be met
    beyond noise.
    """
    low = course.bracket.low
    if not course.ended or low is None:
        return None
    if not course.rules.confirm:
        return course.rates.get(low.level) if low.sure else None
    held = course.confirmed
    if held is None:
        return None
    return (
        course.rates.get(low.level) if held is course.confirmations[0] else held.rate * (course.turns or 1.0)
    )


def rival_of(entry: ExperimentEntry, finished: Iterable[tuple[ExperimentEntry, Course]]) -> Rival | None:
    """The cheapest of the searches before with the same payload; None where there is none, or no price."""
    prices = {}
    for other, course in finished:
        rate = confirmed_rate(course)
        usd = usd_per_request(other.price.usd_per_hour, other.instance_count, rate and rate * 60)
        if other.payload == entry.payload and usd is not None:
            prices[other.name] = usd, course
    per_hour = entry.price.usd_per_hour
    if not prices or per_hour is None:
        return None
    name = min(prices, key=lambda each: prices[each][0])
    usd, course = prices[name]
    must_beat = rate_to_beat(usd, course.rules.resolution, per_hour * entry.instance_count)
    return Rival(experiment=name, usd_per_request=usd, spent_s=course.spent_s, must_beat=must_beat)


def rate_to_beat(usd: float, resolution: float, usd_per_hour: float) -> float:
    """Answered requests per second at which an endpoint is as cheap as a confirmed price.

    Formula: $/h / (3600 × $ per request × (1 + resolution)): the confirmed level is exact to the resolution,
    so its price may be that much higher.

    Args:
        usd: dollars per request, confirmed.
        resolution: of the search that confirmed it.
        usd_per_hour: of all instances of the endpoint that is to beat it.
    """
    return usd_per_hour / (3600 * usd * (1 + resolution))


@dataclass(frozen=True)
class EarlyEnd:
    """A search that ended because its instance type cannot have the best price."""

    rival: Rival
    rate_at_most: float
    """Requests per second that no level within the SLO exceeds."""
    usd_at_least: float | None
    """Dollars per request at that rate."""
    seconds_saved: float
    """Load time, if the search had taken as long as that of the rival."""
    usd_saved: float | None


def early_end(course: Course, experiment: ExperimentResult) -> EarlyEnd | None:
    """What the early end of a search rests on, and what it saved; None for any other end."""
    bound, rival = course.bracket.bound, experiment.rival
    if course.move != End("beaten") or bound is None or rival is None:
        return None
    seconds = max(0.0, rival.spent_s - course.spent_s)
    hourly = experiment.usd_per_endpoint_hour
    return EarlyEnd(
        rival,
        bound.rate,
        usd_per_request(hourly, 1, bound.rate * 60),
        seconds,
        None if hourly is None else hourly * seconds / 3600,
    )
