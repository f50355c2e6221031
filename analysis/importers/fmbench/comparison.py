"""What FMBench's method would have printed for a step, beside the true figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.recommendation import Choice
from analysis.importers.fmbench.method import Difference, bursts_of, differences, fmbench_level
from analysis.measure.results import RunResult
from analysis.metrics.definitions import started_in


@dataclass(frozen=True)
class FmbenchComparison:
    """One step's figures by FMBench's method, each beside the true one."""

    step: str
    concurrency: int
    own_bursts: bool
    """Whether FMBench sent the requests itself; otherwise its formulas are applied to the step's requests."""
    differences: tuple[Difference, ...]


def compare_with_fmbench(result: RunResult, choices: Sequence[Choice]) -> list[FmbenchComparison]:
    """Compare each payload's best step and, for an FMBench folder, every step."""
    best = [choice.best.repetitions[0] for choice in choices if choice.best is not None]
    compared = []
    for experiment in result.experiments:
        for step in experiment.steps:
            if step.window is None or not step.concurrency or not step.window_counts.ok:
                continue
            if result.source != "fmbench" and not any(step is chosen for chosen in best):
                continue
            recorded = result.fmbench.get(step.id)
            bursts = recorded
            if bursts is None:
                rows = started_in(result.rows[result.rows["step"] == step.id], step.window)
                bursts = bursts_of(rows, step.concurrency)
            level = fmbench_level(bursts, experiment.usd_per_endpoint_hour)
            if level is not None:
                lines = tuple(differences(step, level))
                compared.append(FmbenchComparison(step.id, step.concurrency, recorded is not None, lines))
    return compared
