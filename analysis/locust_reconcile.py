"""Our rows beside Locust's own statistics of the same steps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.locust_entries import figure, records
from analysis.metrics import elapsed_ms
from analysis.results import StepResult
from analysis.words import ABSENT, milliseconds

_REQUEST = "POST"
"""The type under which our users count a request; TTFT and TPOT are entries of types of their own."""


@dataclass(frozen=True)
class Reconciled:
    """One step: our rows beside Locust's own row of the same name."""

    step: str
    rows: str
    locust: str
    failed_rows: str
    locust_failures: str
    mean: str
    locust_mean: str
    agrees: bool


def reconcile(step: StepResult, rows: pd.DataFrame, stats: pd.DataFrame) -> Reconciled | None:
    """Compare one step with Locust's row of that name; None when Locust has none.

    Counts must be equal. Means may differ by 1 %: both are of how long every request took, failed and cut-off
    ones too. Where an older record does not say how long those took, there is no mean to compare.
    """
    own = stats[(stats["Name"] == step.id) & (stats["Type"] == _REQUEST)]
    if not len(own):
        return None
    row = records(own)[0]
    ours = step.step_ok + step.step_failed + step.step_censored
    bad = step.step_failed + step.step_censored
    theirs, failures = int(figure(row, "Request Count") or 0), int(figure(row, "Failure Count") or 0)
    took = elapsed_ms(rows)
    mean = float(took.mean()) if len(took) else float("nan")
    locust_mean = figure(row, "Average Response Time")
    known = locust_mean is not None and np.isfinite(mean)
    close = not known or abs(mean - (locust_mean or 0.0)) <= 0.01 * max(mean, 1.0)
    return Reconciled(
        step=step.id,
        rows=f"{ours:,}",
        locust=f"{theirs:,}",
        failed_rows=f"{bad:,}",
        locust_failures=f"{failures:,}",
        mean=milliseconds(mean) if np.isfinite(mean) else ABSENT,
        locust_mean=milliseconds(locust_mean),
        agrees=ours == theirs and bad == failures and close,
    )


def disagreement(compared: Reconciled) -> str:
    """What a step's verdict says when the two do not agree."""
    return (
        f"Locust's CSV says {compared.locust} requests, {compared.locust_failures} failed, mean "
        f"{compared.locust_mean}; "
        f"the rows say {compared.rows}, {compared.failed_rows} failed or cut off, mean {compared.mean}"
    )
