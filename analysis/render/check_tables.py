"""The tables of the section "Checks": Locust's own count, and FMBench's figures beside the true ones."""

from collections.abc import Sequence

from analysis.importers.fmbench.comparison import FmbenchComparison
from analysis.importers.fmbench.method import Difference
from analysis.measure.results import RunResult
from analysis.render.tables import Cell, Column, Table, numbers, texts
from common.formatting import ABSENT, count, milliseconds, number

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


def fmbench_tables(comparisons: Sequence[FmbenchComparison]) -> list[Table]:
    """FMBench's figures beside the true ones, a table for each step."""
    return [_difference_table(comparison) for comparison in comparisons]


def _difference_table(comparison: FmbenchComparison) -> Table:
    """The true figures before FMBench's, so that a narrow screen shows them first."""
    cells = [[d.name, _true(d), _fmbench(d), d.reason] for d in comparison.differences]
    columns = [*texts("figure"), *numbers("true", "FMBench"), Column("why they differ", "sentence")]
    note = "" if comparison.own_bursts or comparison.concurrency == 1 else _NO_BARRIER
    title = f"What FMBench's method would have printed: {comparison.step}"
    return Table(title, columns, cells, note=note)


def _true(line: Difference) -> str:
    if line.true is None:
        return ABSENT
    if line.name == "price_per_txn":
        return f"{line.true:.6f}"
    if line.name == "latency_mean":
        return f"{number(line.true)} s"
    digits = {"prompt_token_throughput": 4, "prompt_token_count_mean": 4}
    return number(line.true, digits.get(line.name, 3))


def _fmbench(line: Difference) -> str:
    """As FMBench prints it."""
    if line.fmbench is None:
        return ABSENT
    formats = {"price_per_txn": f"{line.fmbench:.6f}", "latency_mean": f"{line.fmbench:.2f} s"}
    return formats.get(line.name, str(line.fmbench))
