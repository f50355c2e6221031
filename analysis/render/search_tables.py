"""The path of a search as a table: every probe with its verdict and the reason."""

from analysis.decide.search.course import Course
from analysis.decide.search.evidence import ERRORS, probe_of
from analysis.decide.search.probes import Criterion, Estimate, Probe, interval_of
from analysis.measure.results import StepResult
from analysis.render.levels import level_value
from analysis.render.tables import Cell, Column, Table, numbers, texts
from common.formatting import ABSENT, count, duration, milliseconds, number, percent

_KINDS = {"met": "met", "missed": "missed", "undecided": "open"}
_DIGITS = 6
_NOTE = (
    "Probes in the order in which they were played. A verdict rests on everything that was measured at any "
    "level; the reason gives what this probe measured, with its 95% interval."
)


def search_table(course: Course) -> Table:
    """One row per probe and confirmation."""
    steps = sorted([*course.steps, *course.confirmation_steps], key=lambda step: step.ordinal)
    columns = [*texts("load", "for"), Column("verdict", "status")]
    columns += [*numbers("load time", "measured", "requests", "requests/s"), Column("reason", "sentence")]
    rows = [_row(course, step) for step in steps]
    return Table("Search", columns, rows, note=_NOTE, layout="wraps")


def _row(course: Course, step: StepResult) -> list[str]:
    probe, verdict = probe_of(step, course.criteria), course.verdict_of(step) or ABSENT
    rate = step.throughput.per_minute
    return [
        level_value(step),
        step.purpose or "",
        Cell(verdict, _KINDS.get(verdict, "void")),
        duration(step.spent_s),
        duration(step.seconds),
        count(probe.requests),
        number(None if rate is None else rate / 60),
        _reason(course, probe),
    ]


def _reason(course: Course, probe: Probe) -> str:
    if probe.reasons:
        return ", ".join(code.replace("_", " ") for code in probe.reasons)
    found = [
        (criterion, estimate)
        for criterion, estimate in zip(course.criteria, probe.estimates, strict=False)
        if estimate is not None and (criterion.name != ERRORS or estimate.value > 0)
    ]
    return "; ".join(_measured(criterion, estimate) for criterion, estimate in found) or ABSENT


def _measured(criterion: Criterion, estimate: Estimate) -> str:
    """``E2E p95 ≤ 2 s: 3.1% above (1.9% to 4.8%), 5% allowed``."""
    interval = interval_of(estimate, criterion)
    if criterion.kind == "mean":
        around = f"{milliseconds(interval.low)} to {milliseconds(interval.high)}"
        return f"{criterion.name}: {milliseconds(estimate.value)} ({around})"
    what = "failed" if criterion.kind == "errors" else "above"
    low, high = round(interval.low, _DIGITS), round(interval.high, _DIGITS)
    around = f"{percent(low)} to {percent(high)}"
    return (
        f"{criterion.name}: {percent(estimate.value)} {what} ({around}), {percent(criterion.allowed)} allowed"
    )
