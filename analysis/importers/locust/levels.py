"""Levels of load in a Locust history: stretches of time in which the number of users held. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from analysis.importers.locust.counters import Amounts, Timeline
from analysis.measure.locust_run import Key
from analysis.metrics.definitions import Window
from analysis.metrics.statistics import Floats

HELD_S = 10.0
"""Seconds that a number of users must hold to be a level: less is a stage of a ramp."""
_BRIDGED = 0.1
"""A dip of the user count shorter than this share of a level does not end it (a worker's late report)."""
_MIXED = 0.2
"""With more than this share of the requests outside of it, a whole-run figure is not one of the level."""
_OVERLAP = 0.5
"""Names that overlap by more than this share of the shorter one are sent at the same time."""


@dataclass(frozen=True)
class Level:
    """A number of users, and the first and the last row at which it held."""

    users: int
    first: int
    last: int


@dataclass(frozen=True)
class LevelAmounts:
    """What happened at a level, between the first and the last answer that the history shows there.

    ``intervals`` are those of the timeline that were counted. ``seconds`` may be shorter than ``window``:
    intervals with a reset of the counters are not in it.
    ``silent_s`` is the time at the level after the last answer.
    """

    window: Window
    intervals: slice
    seconds: float
    requests: int
    failures: int
    mean_ms: float | None
    silent_s: float

    @property
    def ok(self) -> int:
        """Answered requests that did not fail."""
        return self.requests - self.failures

    @property
    def per_minute(self) -> float:
        """Answered requests that did not fail, per minute."""
        return 60 * self.ok / self.seconds


def levels(run: Timeline, amounts: Amounts) -> list[Level]:
    """The levels at which requests were answered, in the order of time.

    A number of users must have held for `HELD_S`; where none did, the longest stretch is the only level.
    """
    busy = _busy(run, amounts)
    lengths = {each: run.at[each.last] - run.at[each.first] for each in busy}
    held = [each for each in busy if lengths[each] >= HELD_S]
    return held or sorted(busy, key=lambda each: lengths[each])[-1:]


def main_level(run: Timeline, amounts: Amounts) -> Level | None:
    """The number of users at which most of the requests were answered; None where no file says."""
    return max(_busy(run, amounts), key=lambda each: _requests(amounts, each), default=None)


def _busy(run: Timeline, amounts: Amounts) -> list[Level]:
    stretches = _bridged(_stretches(run.users), run.at)
    return [each for each in stretches if each.users and _requests(amounts, each) > 0]


def _requests(amounts: Amounts, level: Level) -> float:
    return float(amounts.requests[level.first : level.last].sum())


def _stretches(users: Floats) -> list[Level]:
    edges = [0, *(np.flatnonzero(np.diff(users) != 0) + 1), len(users)]
    return [
        Level(int(users[first]), int(first), int(end) - 1)
        for first, end in pairwise(edges)
        if np.isfinite(users[first])
    ]


def _bridged(stretches: list[Level], at: Floats) -> list[Level]:
    """Stretches of the same level on both sides of a short dip are one."""
    joined: list[Level] = []
    for each in stretches:
        before = next((i for i in range(len(joined) - 1, -1, -1) if joined[i].users == each.users), None)
        if before is not None:
            gap = at[each.first] - at[joined[before].last]
            if gap <= _BRIDGED * (at[each.last] - at[joined[before].first]):
                joined[before:] = [Level(each.users, joined[before].first, each.last)]
                continue
        joined.append(each)
    return joined


def measure(run: Timeline, amounts: Amounts, level: Level) -> LevelAmounts | None:
    """What happened at a level; None when no interval there can be counted.

    The first interval in which a request was answered only opens the window: counted from answer to answer,
    the wait for the first one does not pull the rate down.
    """
    inside = slice(level.first, level.last)
    answered = level.first + np.flatnonzero(amounts.requests[inside] > 0)
    if not len(answered):
        return None
    first = answered[0] + 1 if len(answered) > 1 else answered[0]
    end = int(answered[-1]) + 1
    seconds = float(run.seconds[first:end].sum())
    if seconds <= 0:
        return None
    requests, failures = (int(each[first:end].sum()) for each in (amounts.requests, amounts.failures))
    response_ms = float(amounts.response_ms[first:end].sum())
    return LevelAmounts(
        window=Window(float(run.at[first]), float(run.at[end])),
        intervals=slice(int(first), end),
        seconds=seconds,
        requests=requests,
        failures=failures,
        mean_ms=response_ms / requests if np.isfinite(response_ms) and response_ms > 0 else None,
        silent_s=float(run.at[level.last] - run.at[end]),
    )


def covers(run: Timeline, amounts: Amounts, level: Level) -> bool:
    """Whether the level holds so much of all requests that whole-run figures may stand for it.

    The interval in which its users came from none belongs to it: nobody else sent what was answered there.
    """
    first = level.first - 1 if level.first and run.users[level.first - 1] == 0 else level.first
    total = float(amounts.requests.sum())
    return total > 0 and float(amounts.requests[first : level.last].sum()) >= (1 - _MIXED) * total


def one_after_the_other(run: Timeline, spans: Mapping[Key, Amounts]) -> bool:
    """Whether only one of the names was sent at a time, but for the seam between two of them."""
    active = []
    for amounts in spans.values():
        answered = np.flatnonzero(amounts.requests > 0)
        if not len(answered):
            return False
        active.append((float(run.at[answered[0]]), float(run.at[answered[-1] + 1])))
    return all(
        min(end, other_end) - max(start, other_start) <= _OVERLAP * min(end - start, other_end - other_start)
        for (start, end), (other_start, other_end) in combinations(active, 2)
    )
