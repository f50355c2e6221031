"""The tables of the section "Checks": Locust's own count, and FMBench's figures beside the true ones."""

from analysis.decide.recommendation import Choice
from analysis.importers.fmbench.method import Difference, bursts_of, differences, fmbench_level
from analysis.measure.results import RunResult
from analysis.metrics.definitions import started_in
from analysis.render.tables import Cell, Column, Table, numbers, texts
from common.formatting import count, milliseconds

_NO_BARRIER = (
    "FMBench sends bursts: it waits for the slowest request before it sends the next ones. This load "
    "did not. Above one client these are FMBench's formulas on our requests, not what its own load would "
    "have measured."
)


def locust_check_table(result: RunResult) -> Table | None:
    """Our rows beside Locust's own statistics; None where Locust left none."""
    rows = [
        [
            pair.step,
            *(count(n) for n in (pair.rows, pair.locust, pair.failed_rows, pair.locust_failures)),
            milliseconds(pair.mean_ms),
            milliseconds(pair.locust_mean_ms),
            Cell("yes", "met") if pair.agrees else Cell("no", "missed"),
        ]
        for pair in result.reconciled
    ]
    columns = texts("step")
    columns += numbers("rows", "Locust", "failed or cut off", "Locust failures", "mean", "Locust mean")
    columns.append(Column("agree", "status"))
    return Table("Our records beside Locust's own count", columns, rows) if rows else None


def fmbench_tables(result: RunResult, choices: list[Choice]) -> list[Table]:
    """FMBench's figures beside the true ones: each payload's best step, every step of an FMBench folder."""
    tables = []
    for experiment in result.experiments:
        for step in experiment.steps:
            if step.window is None or not step.concurrency or not step.window_ok:
                continue
            chosen = any(c.best is not None and step is c.best.repetitions[0] for c in choices)
            if not chosen and result.source != "fmbench":
                continue
            bursts, note = result.fmbench.get(step.id), ""
            if bursts is None:
                note = _NO_BARRIER if step.concurrency > 1 else ""
                rows = started_in(result.rows[result.rows["step"] == step.id], step.window)
                bursts = bursts_of(rows, step.concurrency)
            level = fmbench_level(bursts, experiment.usd_per_endpoint_hour)
            if level is not None:
                tables.append(_difference_table(step.id, differences(step, level), note))
    return tables


def _difference_table(step: str, rows: list[Difference], note: str) -> Table:
    """The true figures before FMBench's, so that a narrow screen shows them first."""
    cells = [[row.name, row.true, row.fmbench, row.reason] for row in rows]
    columns = [*texts("figure"), *numbers("true", "FMBench"), Column("why they differ", "sentence")]
    return Table(f"What FMBench's method would have printed: {step}", columns, cells, note=note)
