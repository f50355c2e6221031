"""Changes of a rate or of a mean within a window: how large, how sure, and where. Pure functions."""

from dataclasses import dataclass

import numpy as np

from analysis.metrics.statistics import Floats, standard_error

_LEAST_BLOCKS = 20
_EDGE = 0.1
"""A shift is looked for between the first and the last tenth."""


@dataclass(frozen=True)
class Change:
    """A change from one level to another at a block."""

    split: int
    """The block at which the second level begins."""
    share: float
    """Second level / first level − 1."""
    errors: float
    """How many standard errors of its noise it is."""


def change_at(amounts: Floats, per: Floats, split: int) -> Change | None:
    """The change of a ratio of sums between the blocks before ``split`` and those after.

    Formula: R = Σ amounts / Σ per on each side; share = R₂ / R₁ − 1; errors = |R₂ − R₁| / s, s from the
    `cosine_projections` of the swings about both levels, the slowest one left out because a drift is one.
    Unit: share of the first level; standard errors, Student's t with six degrees of freedom.
    Source: difference of two means with the noise of `cosine_projections`.

    Args:
        amounts: what is counted, per block of time.
        per: requests or seconds, per block of time.
        split: index of the first block of the second part.

    Returns:
        None where a side holds nothing, or the noise is not known.
    """
    parts = (slice(None, split), slice(split, None))
    totals = [float(per[part].sum()) for part in parts]
    if min(totals) <= 0 or amounts[:split].sum() <= 0:
        return None
    levels = [float(amounts[part].sum()) / total for part, total in zip(parts, totals, strict=True)]
    error = standard_error(amounts - per * np.repeat(levels, [split, len(per) - split]), first=2)
    if error is None:
        return None
    shares = [np.sqrt(split) / totals[0], np.sqrt(len(per) - split) / totals[1]]
    noise = error / np.sqrt(len(per)) * float(np.hypot(*shares))
    distance = abs(levels[1] - levels[0])
    errors = distance / noise if noise > 0 else np.inf if distance > 0 else 0.0
    return Change(split, levels[1] / levels[0] - 1, errors)


def level_shift(amounts: Floats, per: Floats) -> Change | None:
    """The change at the block where two constant levels fit a series best.

    Formula: the split with the least sum of squares of the block means about the means of both sides,
    weighted by ``per``; its `change_at`.
    Unit: as `change_at`. By chance, a steady series exceeds 8 standard errors in one of 300 windows, and in
    one of 80 if the load remembers a tenth of the window. (Pettitt's rank test takes blocks as independent:
    at p < 0.001 it calls 40% of the latter shifted.)
    Source: least-squares change point; D. M. Hawkins, "Testing a Sequence of Observations for a Shift in
    Location", 1977.

    Returns:
        None where a straight line fits better, so that it is a drift, or from fewer than 20 blocks with data.
    """
    held = per > 0
    if held.sum() < _LEAST_BLOCKS:
        return None
    amounts, weight, place = amounts[held], per[held], np.flatnonzero(held)
    means, count = amounts / weight, len(weight)
    w, wx, wxx = (np.cumsum(weight * means**power) for power in (0, 1, 2))
    edge = max(2, round(_EDGE * count))
    splits = np.arange(edge, count - edge + 1)
    left = wxx[splits - 1] - wx[splits - 1] ** 2 / w[splits - 1]
    rest = w[-1] - w[splits - 1]
    right = wxx[-1] - wxx[splits - 1] - (wx[-1] - wx[splits - 1]) ** 2 / rest
    best = int(np.argmin(left + right))
    line = np.polynomial.Polynomial.fit(place, means, 1, w=np.sqrt(weight))
    if float((weight * (means - line(place)) ** 2).sum()) <= float((left + right)[best]):
        return None
    found = change_at(amounts, weight, int(splits[best]))
    return None if found is None else Change(int(place[found.split]), found.share, found.errors)
