"""Whether a series rises beyond its noise. Used while a step is measured and again by the report."""

import itertools
import math
from collections.abc import Sequence

BLOCKS = 8
LEAST_VALUES = 2 * BLOCKS
"""Of so few, no rise can be told from noise; nor of what is in flight of so few requests."""
_CRITICAL_T = 5.21
"""Student's t with 6 degrees of freedom, exceeded by chance once in 1,000 steady series."""
_LEAST_GROWTH = 1.0
UNSERVED = 0.05
"""An endpoint does not keep up if it leaves more than this share of the arrivals unserved: then so many more
requests are in flight at the end, and the last one has waited for that share of the time."""


def rises(values: Sequence[float], least_growth: float = 0.0) -> bool:
    """Whether equally spaced values rise beyond noise, from their start to their end.

    Formula: the means of 8 blocks, a least-squares line through them, and its slope's Student's t. The means
    of blocks, unlike single values, are nearly independent of each other.

    Args:
        values: at equal intervals; fewer than `LEAST_VALUES` are never called rising.
        least_growth: a smaller growth does not matter.
    """
    if len(values) < LEAST_VALUES:
        return False
    edges = [round(index * len(values) / BLOCKS) for index in range(BLOCKS + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    middle, mean = (BLOCKS - 1) / 2, math.fsum(means) / BLOCKS
    spread = math.fsum((index - middle) ** 2 for index in range(BLOCKS))
    slope = math.fsum((index - middle) * value for index, value in enumerate(means)) / spread
    growth = slope * (BLOCKS - 1)
    if growth <= max(_LEAST_GROWTH, least_growth):
        return False
    residual = math.fsum((value - mean - slope * (index - middle)) ** 2 for index, value in enumerate(means))
    error = math.sqrt(residual / (BLOCKS - 2) / spread)
    return slope > _CRITICAL_T * error
