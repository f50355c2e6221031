"""Locust's statistics by method and name as tables for the pages and as data. No arithmetic of its own."""

from typing import Any

from analysis.measure.locust_run import LocustEntry, LocustRun
from analysis.measure.results import RunResult, StepResult
from analysis.render.tables import Table, numbers, texts
from common.formatting import ABSENT, milliseconds, number, percent, plural

_SHOWN = ("50", "95", "99")
_LEVELS = 4
"""More levels than this get no column each: summary.json has them."""
_MESSAGE = 200


def locust_tables(result: RunResult) -> list[Table]:
    """Requests by method and name, measures, failures and exceptions; none for a run folder."""
    run = result.locust
    if run is None:
        return []
    tables = [_requests(run, result.steps), _measures(run), _failures(run), _exceptions(run)]
    return [table for table in tables if table.rows]


def locust_data(run: LocustRun) -> dict[str, Any]:
    """The same tables for programs; null is "not in the files"."""
    return {
        "basis": "whole run" if run.whole_run else "level",
        "resets": run.resets,
        "requests": [_request_data(entry) for entry in run.requests],
        "measures": [_measure_data(entry) for entry in run.measures],
        "exceptions": run.exceptions,
    }


def _requests(run: LocustRun, steps: list[StepResult]) -> Table:
    levels = [step for step in steps if any(step.id in entry.per_minute_by_step for entry in run.requests)]
    shown = levels if len(levels) <= _LEVELS else []
    columns = [*texts("method", "name"), *numbers("requests", "failed", "failed share", "ok/min, whole run")]
    columns += numbers(*(f"ok/min, {_level_label(step)}" for step in shown))
    columns += numbers("mean", *(f"p{p}" for p in _SHOWN), "max", "bytes")
    rows = [[*_texts(entry), *_request_cells(entry, shown)] for entry in run.requests]
    if len(rows) > 1:
        rows.append(_total(run.requests, shown))
    note = (
        "As Locust's statistics have them, for the whole run with its ramp; times include failed requests "
        "and come from rounded buckets. "
    )
    if shown:
        note += (
            "At a level all names are counted over the same seconds, so their rates add up to the level's."
        )
    return Table("Requests by method and name", columns, rows, heading=1, note=note.strip())


def _level_label(step: StepResult) -> str:
    """``10 users``, ``10 users #2``."""
    again = f" #{step.repetition}" if step.repetition > 1 else ""
    return plural(step.concurrency or 0, "user") + again


def _request_cells(entry: LocustEntry, levels: list[StepResult]) -> list[str]:
    return [
        f"{entry.count:,}",
        f"{entry.failed:,}",
        percent(entry.error_rate),
        number(entry.per_minute),
        *(number(entry.per_minute_by_step.get(step.id)) for step in levels),
        milliseconds(entry.mean),
        *(milliseconds(entry.percentiles.get(p)) for p in _SHOWN),
        milliseconds(entry.high),
        number(entry.content_bytes),
    ]


def _total(requests: list[LocustEntry], levels: list[StepResult]) -> list[str]:
    count, failed = sum(entry.count for entry in requests), sum(entry.failed for entry in requests)
    rates = [entry.per_minute for entry in requests]
    known = [rate for rate in rates if rate is not None]
    return [
        "",
        "all requests",
        f"{count:,}",
        f"{failed:,}",
        percent(failed / count if count else None),
        number(sum(known)) if len(known) == len(rates) else ABSENT,
        *(number(sum(entry.per_minute_by_step.get(step.id, 0.0) for entry in requests)) for step in levels),
        *[ABSENT] * (len(_SHOWN) + 3),
    ]


def _measures(run: LocustRun) -> Table:
    columns = [*texts("type", "name"), *numbers("count", "mean", "min", *(f"p{p}" for p in _SHOWN), "max")]
    rows = [
        [
            *_texts(entry),
            f"{entry.count:,}",
            number(entry.mean),
            number(entry.low),
            *(number(entry.percentiles.get(p)) for p in _SHOWN),
            number(entry.high),
        ]
        for entry in run.measures
    ]
    note = (
        "What the users reported as events of their own, in units that the files do not say. These are not "
        "requests: no rate, failure or price holds them."
    )
    return Table("Measures that the users reported", columns, rows, heading=1, note=note)


def _failures(run: LocustRun) -> Table:
    rows = [
        [*_texts(entry), _shortened(error), f"{count:,}"]
        for entry in (*run.requests, *run.measures)
        for error, count in entry.errors.items()
    ]
    columns = [*texts("method", "name", "error"), *numbers("count")]
    return Table("Failures by method and name", columns, rows, heading=2)


def _exceptions(run: LocustRun) -> Table:
    rows = [[_shortened(message), f"{count:,}"] for message, count in run.exceptions.items()]
    note = "Raised in the users' own code; such a task ended without a request of its own."
    return Table("Exceptions in the users' code", [*texts("exception"), *numbers("count")], rows, note=note)


def _texts(entry: LocustEntry) -> list[str]:
    return [entry.method or ABSENT, entry.name]


def _shortened(text: str) -> str:
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}…"


def _request_data(entry: LocustEntry) -> dict[str, Any]:
    return {
        "method": entry.method,
        "name": entry.name,
        "requests": entry.count,
        "failed": entry.failed,
        "error_rate": entry.error_rate,
        "errors": entry.errors,
        "ok_per_minute_whole_run": entry.per_minute,
        "ok_per_minute_by_step": entry.per_minute_by_step,
        "response_time_ms": _spread(entry),
        "content_bytes_mean": entry.content_bytes,
    }


def _measure_data(entry: LocustEntry) -> dict[str, Any]:
    return {
        "type": entry.method,
        "name": entry.name,
        "count": entry.count,
        "failed": entry.failed,
        "errors": entry.errors,
        "value": _spread(entry),
    }


def _spread(entry: LocustEntry) -> dict[str, float | None]:
    percentiles = {f"p{p}": value for p, value in entry.percentiles.items()}
    return {"mean": entry.mean, "min": entry.low, "max": entry.high} | percentiles
