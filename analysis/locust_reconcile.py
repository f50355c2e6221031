"""Our rows beside Locust's own statistics of the same steps."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from analysis.locust_entries import figure, records
from analysis.metrics import elapsed_ms
from analysis.results import StepResult
from analysis.trust import COUNTS_VOID
from analysis.words import milliseconds

_REQUEST = "POST"
"""The type under which our users count a request; TTFT and TPOT are entries of types of their own."""


@dataclass(frozen=True)
class Reconciled:
    """One step: our rows beside Locust's own row of the same name."""

    step: str
    rows: int
    locust: int
    failed_rows: int
    """Failed or cut off: Locust counts both as failures."""
    locust_failures: int
    mean_ms: float | None
    """Of how long every request took; None where an older record does not say it."""
    locust_mean_ms: float | None

    @property
    def agrees(self) -> bool:
        """Whether the counts are equal and the means differ by no more than 1%."""
        counts = (self.rows, self.failed_rows) == (self.locust, self.locust_failures)
        if self.mean_ms is None or self.locust_mean_ms is None:
            return counts
        return counts and abs(self.mean_ms - self.locust_mean_ms) <= 0.01 * max(self.mean_ms, 1.0)

    @property
    def gross(self) -> bool:
        """Whether the counts differ by more than rounding at the edges explains."""
        return abs(self.rows - self.locust) > COUNTS_VOID * max(self.rows, self.locust)


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
    return Reconciled(
        step=step.id,
        rows=ours,
        locust=theirs,
        failed_rows=bad,
        locust_failures=failures,
        mean_ms=mean if np.isfinite(mean) else None,
        locust_mean_ms=figure(row, "Average Response Time"),
    )


def judge_reconciled(step: StepResult, compared: Reconciled) -> None:
    """Add a disagreement to the step's verdict: void where the counts differ grossly."""
    if compared.agrees:
        return
    text = (
        f"Locust's CSV says {compared.locust:,} requests, {compared.locust_failures:,} failed, mean "
        f"{milliseconds(compared.locust_mean_ms)}; the rows say {compared.rows:,}, "
        f"{compared.failed_rows:,} failed or cut off, mean {milliseconds(compared.mean_ms)}"
    )
    step.verdict.add("void" if compared.gross else "warn", "locust_csv_differs", text, **asdict(compared))
