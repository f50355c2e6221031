"""The lengths that were asked of each request, and those that the server counted."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.metrics.definitions import numbers


@dataclass(frozen=True)
class LengthMatch:
    """Asked and counted tokens of the ok requests of a step, where both are known."""

    compared: int = 0
    asked_mean: float | None = None
    counted_mean: float | None = None
    mismatch: float | None = None
    """Mean of |counted / asked − 1| over the requests; None without a request to compare."""
    shorter: int = 0
    longer: int = 0


def match_lengths(
    ok: pd.DataFrame, asked: str, counted: str, sources: frozenset[str] = frozenset({"server"})
) -> LengthMatch:
    """Compare two columns of rows, each in tokens.

    Formula: mismatch = mean of |counted / asked − 1|.

    Args:
        ok: the ok rows of a step that started in its window.
        asked: the column of the asked length; it may be absent.
        counted: the column of the counted length; ``<counted>_source`` says who counted.
        sources: who may have counted.
    """
    if asked not in ok:
        return LengthMatch()
    known = ok[f"{counted}_source"].astype(object).isin(sources).to_numpy()
    wanted, got = numbers(ok, asked), numbers(ok, counted)
    known = known & (wanted > 0) & np.isfinite(got)
    wanted, got = wanted[known], got[known]
    if not len(wanted):
        return LengthMatch()
    return LengthMatch(
        compared=len(wanted),
        asked_mean=float(wanted.mean()),
        counted_mean=float(got.mean()),
        mismatch=float(np.abs(got / wanted - 1).mean()),
        shorter=int((got < wanted).sum()),
        longer=int((got > wanted).sum()),
    )
