"""What CloudWatch saw beside what the client saw: where the milliseconds go, and whether the counts agree."""

from dataclasses import dataclass

import pandas as pd

from analysis.metrics import numbers
from analysis.results import ExperimentResult, RunResult, StepResult
from analysis.words import number

_TOLERANCE = 0.01
_LATENCIES = ("ModelLatency", "OverheadLatency", "FirstChunkLatency")


@dataclass(frozen=True)
class ServiceView:
    """One step by both clocks, means in milliseconds; None where CloudWatch has no such metric."""

    step: StepResult
    client_ms: float
    model_ms: float
    overhead_ms: float | None
    first_chunk_ms: float | None

    @property
    def rest_ms(self) -> float:
        """What neither the model nor SageMaker's overhead accounts for: network and client."""
        return max(0.0, self.client_ms - self.model_ms - (self.overhead_ms or 0.0))


def service_views(result: RunResult) -> list[ServiceView]:
    """The steps of which CloudWatch has at least one whole period inside the window."""
    views = []
    for experiment in result.experiments:
        own = _own(result, experiment)
        for step in experiment.steps:
            e2e = step.latency.get("e2e")
            means = {name: _mean_in(own, name, step) for name in _LATENCIES}
            model = means["ModelLatency"]
            if e2e is not None and model is not None:
                views.append(
                    ServiceView(step, e2e.mean, model, means["OverheadLatency"], means["FirstChunkLatency"])
                )
    return views


def judge_counts(result: RunResult) -> None:
    """Compare CloudWatch's invocations of each experiment with its rows; a difference enters the verdicts."""
    for experiment in result.experiments:
        counted = invocations(_own(result, experiment))
        rows = sum(s.step_ok + s.step_failed + s.step_censored for s in experiment.steps)
        if counted is None or abs(counted - rows) <= _TOLERANCE * max(rows, 1):
            continue
        for step in experiment.steps:
            step.verdict.add(
                "warn",
                f"CloudWatch counted {number(counted, 6)} invocations of this experiment, the rows {rows:,}",
            )


def invocations(points: pd.DataFrame) -> float | None:
    """Sum of CloudWatch's Invocations; None without any point."""
    if not len(points):
        return None
    own = points[(points["metric"] == "Invocations") & (points["statistic"] == "Sum")]
    return float(numbers(own, "value").sum()) if len(own) else None


def _own(result: RunResult, experiment: ExperimentResult) -> pd.DataFrame:
    points = result.cloudwatch
    return points[points["experiment"] == experiment.name] if len(points) else points


def _mean_in(points: pd.DataFrame, metric: str, step: StepResult) -> float | None:
    """Mean of a latency over the whole periods inside the window, in milliseconds (CloudWatch has µs)."""
    if step.window is None or not len(points):
        return None
    own = points[(points["metric"] == metric) & (points["statistic"] == "Average")]
    at = numbers(own, "timestamp")
    period = float(pd.Series(at).sort_values().diff().min()) if len(own) > 1 else 60.0
    inside = (at >= step.window.start) & (at + period <= step.window.end)
    values = numbers(own, "value")[inside]
    return float(values.mean() / 1000) if len(values) else None
