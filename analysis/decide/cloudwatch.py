"""What CloudWatch saw beside what the client saw: where the milliseconds go, and whether the counts agree."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.metrics.definitions import ended_at, never_sent, numbers
from analysis.metrics.statistics import Floats
from common.formatting import count

_TOLERANCE = 0.01
_LATENCIES = ("ModelLatency", "OverheadLatency")


@dataclass(frozen=True)
class CloudWatchLatency:
    """The same requests by both clocks, means in milliseconds; None where CloudWatch has no such metric."""

    step: StepResult
    client_ms: float
    """Of the requests that ended in those periods: CloudWatch counts by the end, too."""
    model_ms: float
    overhead_ms: float | None

    @property
    def rest_ms(self) -> float:
        """What neither the model nor SageMaker's overhead accounts for: network and client."""
        return max(0.0, self.client_ms - self.model_ms - (self.overhead_ms or 0.0))


def cloudwatch_latencies(result: RunResult) -> list[CloudWatchLatency]:
    """The steps of which CloudWatch has at least one whole period inside the window."""
    latencies = []
    for experiment in result.experiments:
        own = _own(result, experiment)
        if not len(own):
            continue
        rows = result.rows[result.rows["step"].isin([step.id for step in experiment.steps])]
        ended, e2e = ended_at(rows), numbers(rows, "e2e_ms")
        for step in experiment.steps:
            starts, period = _whole_periods(own, step)
            means = {name: _mean_over(own, name, starts) for name in _LATENCIES}
            client = e2e[_inside(ended, starts, period) & np.isfinite(e2e)]
            if len(client) and (model := means["ModelLatency"]) is not None:
                latencies.append(
                    CloudWatchLatency(step, float(client.mean()), model, means["OverheadLatency"])
                )
    return latencies


def check_invocation_count(result: RunResult) -> None:
    """Add a trust reason where CloudWatch's invocations of an experiment differ from its rows."""
    for experiment in result.experiments:
        counted = invocations(_own(result, experiment))
        own = result.rows[result.rows["step"].isin([step.id for step in experiment.steps])]
        rows = sum(s.step_counts.total for s in experiment.steps) + further_invocations(own)
        probes = experiment.session_probes
        probes += experiment.made_prompts.probes if experiment.made_prompts else 0
        if counted is None or abs(counted - rows - probes) <= _TOLERANCE * max(rows, 1):
            continue
        for step in experiment.steps:
            step.trust.add(
                "warn",
                "cloudwatch_count_differs",
                f"CloudWatch counted {count(counted)} invocations of this experiment, the rows {rows:,}",
                cloudwatch=counted,
                rows=rows,
            )


def further_invocations(rows: pd.DataFrame) -> int:
    """How many more invocations than rows there were.

    One for each session that was opened or closed, less one for each row of a request that was not sent. A
    turn without a session was not sent: none was opened for it, or it had ended.
    """
    calls = int(rows[["session_open_ms", "session_close_ms"]].notna().sum().sum())
    unopened = rows["session_open_ms"].notna() & rows["session_id"].isna()
    ended = (rows["error_class"].astype(object) == "session") & rows["http_status"].isna()
    return calls - int((never_sent(rows) | (unopened | ended).to_numpy()).sum())


def invocations(points: pd.DataFrame) -> float | None:
    """Sum of CloudWatch's Invocations; None without any point."""
    if not len(points):
        return None
    own = points[(points["metric"] == "Invocations") & (points["statistic"] == "Sum")]
    return float(numbers(own, "value").sum()) if len(own) else None


def _own(result: RunResult, experiment: ExperimentResult) -> pd.DataFrame:
    points = result.cloudwatch
    return points[points["experiment"] == experiment.name] if len(points) else points


def _whole_periods(points: pd.DataFrame, step: StepResult) -> tuple[Floats, float]:
    """Starts of CloudWatch's periods that lie inside the step's window, and their length in seconds."""
    at = np.unique(numbers(_average(points, "ModelLatency"), "timestamp"))
    period = float(np.diff(at).min()) if len(at) > 1 else 60.0
    if step.window is None:
        return at[:0], period
    return at[(at >= step.window.start) & (at + period <= step.window.end)], period


def _inside(at: Floats, starts: Floats, period: float) -> NDArray[np.bool_]:
    """Which times lie in one of the periods."""
    if not len(starts):
        return np.zeros(len(at), dtype=np.bool_)
    nearest = starts[np.clip(np.searchsorted(starts, at, side="right") - 1, 0, None)]
    return (at >= nearest) & (at < nearest + period)


def _mean_over(points: pd.DataFrame, metric: str, starts: Floats) -> float | None:
    """Mean of a latency over some periods, each by its invocations, in milliseconds (CloudWatch has µs)."""
    own = _average(points, metric)
    own = own[np.isin(numbers(own, "timestamp"), starts)]
    if not len(own):
        return None
    counts = points[(points["metric"] == "Invocations") & (points["statistic"] == "Sum")]
    by_period = dict(zip(numbers(counts, "timestamp"), numbers(counts, "value"), strict=True))
    weights = np.array([by_period.get(at, 0.0) for at in numbers(own, "timestamp")])
    return float(np.average(numbers(own, "value"), weights=weights if weights.sum() > 0 else None) / 1000)


def _average(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    return points[(points["metric"] == metric) & (points["statistic"] == "Average")]
