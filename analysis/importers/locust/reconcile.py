"""Our rows beside Locust's own statistics of the same steps."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.decide.trust import COUNTS_VOID
from analysis.importers.locust.entries import figure, records
from analysis.measure.locust_run import Reconciled
from analysis.measure.results import StepResult
from analysis.metrics.definitions import elapsed_ms, never_sent
from common.formatting import milliseconds

_REQUEST = "POST"
"""The type under which our users count a request; TTFT and TPOT are entries of types of their own."""


def reconcile(step: StepResult, rows: pd.DataFrame, stats: pd.DataFrame) -> Reconciled | None:
    """Compare one step with Locust's row of that name; None when Locust has none.

    Counts must be equal. Means may differ by 1%: both are of how long every request took that was sent,
    failed and cut-off ones too. Where an older record does not say how long those took, there is no mean to
    compare.
    """
    own = stats[(stats["Name"] == step.id) & (stats["Type"] == _REQUEST)]
    if not len(own):
        return None
    row = records(own)[0]
    ours = step.step_counts.total
    bad = step.step_counts.failed + step.step_counts.censored
    theirs, failures = int(figure(row, "Request Count") or 0), int(figure(row, "Failure Count") or 0)
    took = elapsed_ms(rows[~never_sent(rows)])
    mean = float(took.mean()) if len(took) else float("nan")
    return Reconciled(
        step=step.id,
        rows=ours,
        locust=theirs,
        failed_rows=bad,
        locust_failures=failures,
        mean_ms=mean if np.isfinite(mean) else None,
        locust_mean_ms=figure(row, "Average Response Time"),
    )


def check_reconciled(step: StepResult, compared: Reconciled) -> None:
    """Add a trust reason for a disagreement: void where the counts differ grossly."""
    if compared.agrees:
        return
    text = (
        f"Locust's CSV says {compared.locust:,} requests, {compared.locust_failures:,} failed, mean "
        f"{milliseconds(compared.locust_mean_ms)}; the rows say {compared.rows:,}, "
        f"{compared.failed_rows:,} failed or cut off, mean {milliseconds(compared.mean_ms)}"
    )
    gross = abs(compared.rows - compared.locust) > COUNTS_VOID * max(compared.rows, compared.locust)
    step.trust.add("void" if gross else "warn", "locust_csv_differs", text, **asdict(compared))
