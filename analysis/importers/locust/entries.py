"""Locust's statistics by method and name: requests, measures, failures. Pure functions."""

import re
from typing import Any

import numpy as np
import pandas as pd

from analysis.importers.locust.files import AGGREGATED, LocustFiles
from analysis.measure.locust_run import LocustEntry
from common.formatting import plural

HTTP_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"})
_PROTOCOLS = frozenset({"GRPC", "XMLRPC", "WS", "WSS", "WEBSOCKET", "SSE"})
"""Types of requests that Locust's own documentation fires without a content size."""
_MEASURE = re.compile(
    r"metrics?|measures?|measurements?|custom|ttft|ttfb|ttlt|tpot|itl|tbt|tps|e2e|latency|tokens?",
    re.IGNORECASE,
)
"""Types that LLM load tests give to measures which they fire as events, in milliseconds or any other unit."""
_PERCENTILE = re.compile(r"^(\d+(?:\.\d+)?)%$")
_SAME_COUNT = 0.01
_FEW = 20
_FAILING = 0.01
"""Share of failures from which a name is mentioned beside the table."""
_NAMED = 3
_MESSAGE = 120


def read_entries(files: LocustFiles) -> list[LocustEntry]:
    """Every row of the statistics but the aggregate; a reset leaves rows without a count.

    A type that names a measure is one, and so is a type that is not an HTTP method, has no content and never
    failed, beside types that are requests.
    """
    own = [row for row in records(files.stats) if not is_aggregate(row)]
    measures = [_is_measure(row) for row in own]
    certain = [
        not measure and (_type(row) in HTTP_METHODS | _PROTOCOLS or bool(figure(row, "Average Content Size")))
        for row, measure in zip(own, measures, strict=True)
    ]
    if any(certain):
        measures = [
            measure or (not sure and not figure(row, "Failure Count"))
            for row, measure, sure in zip(own, measures, certain, strict=True)
        ]
    return [
        _entry(row, files.failures, is_measure=measure) for row, measure in zip(own, measures, strict=True)
    ]


def aggregate(stats: pd.DataFrame) -> LocustEntry | None:
    """Locust's own total over all rows, measures too; None when the file has none."""
    row = next((row for row in records(stats) if is_aggregate(row)), None)
    return None if row is None else _entry(row, None, is_measure=False)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def is_aggregate(row: dict[str, Any]) -> bool:
    """Whether a row of the statistics is the sum of the others."""
    return str(row["Name"]) == AGGREGATED and _type(row) in ("", "NONE", "N/A")


def look_like_measures(requests: list[LocustEntry]) -> str | None:
    """A sentence where rows without content were counted exactly as often as others; None without any.

    Such rows may be streamed requests, or measures that were fired under an HTTP method.
    """
    empty = [e for e in requests if not e.content_bytes and not e.failed and e.count >= _FEW]
    twins = [
        e.label
        for e in empty
        if any(o is not e and abs(o.count - e.count) <= _SAME_COUNT * e.count for o in requests)
    ]
    if not twins:
        return None
    names = ", ".join(twins[:3])
    return (
        f"{names}: no content, and counted as often as another name. If "
        f"{'this is a measure' if len(twins) == 1 else 'these are measures'} rather than requests, "
        "the rate is too high: give measures a type of their own, such as METRIC."
    )


def failing_names(requests: list[LocustEntry]) -> list[str]:
    """Names with more failures than are let pass, worst first, one sentence each."""
    failing = [e for e in requests if (e.error_rate or 0.0) > _FAILING]
    failing.sort(key=lambda e: (-(e.error_rate or 0.0), -e.failed))
    more = len(failing) - _NAMED
    return [
        f"{e.label} failed {e.failed:,} of {plural(e.count, 'request')}{_main_error(e.errors)}."
        for e in failing[:_NAMED]
    ] + ([f"{plural(more, 'more name')} failed: see the table by method and name."] if more > 0 else [])


def _main_error(errors: dict[str, int]) -> str:
    return f" ({next(iter(errors))[:_MESSAGE]})" if errors else ""


def exceptions_of(files: LocustFiles) -> dict[str, int]:
    """Exceptions in the users' own code: message and count, most frequent first."""
    if files.exceptions is None:
        return {}
    counts: dict[str, int] = {}
    for row in records(files.exceptions):
        message = str(row["Message"])
        counts[message] = counts.get(message, 0) + int(figure(row, "Count") or 0)
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _entry(row: dict[str, Any], failures: pd.DataFrame | None, *, is_measure: bool) -> LocustEntry:
    rate, failing = figure(row, "Requests/s"), figure(row, "Failures/s")
    percentiles = {
        match[1]: value
        for column in row
        if (match := _PERCENTILE.match(column)) and (value := figure(row, column)) is not None
    }
    method, name = str(row.get("Type", "")), str(row["Name"])
    return LocustEntry(
        method=method,
        name=name,
        is_measure=is_measure,
        count=int(figure(row, "Request Count") or 0),
        failed=int(figure(row, "Failure Count") or 0),
        mean=figure(row, "Average Response Time"),
        low=figure(row, "Min Response Time"),
        high=figure(row, "Max Response Time"),
        percentiles=percentiles,
        content_bytes=figure(row, "Average Content Size"),
        per_minute=None if rate is None else 60 * (rate - (failing or 0.0)),
        errors=_errors(method, name, failures),
    )


def _errors(method: str, name: str, failures: pd.DataFrame | None) -> dict[str, int]:
    """Occurrences of each error of a method and name, most frequent first."""
    if failures is None:
        return {}
    own = failures[failures["Name"] == name]
    if "Method" in own:
        own = own[own["Method"] == method]
    counts = own.groupby("Error", sort=False)["Occurrences"].sum().sort_values(ascending=False, kind="stable")
    return {str(error): int(count) for error, count in counts.items()}


def _is_measure(row: dict[str, Any]) -> bool:
    return _MEASURE.fullmatch(_type(row)) is not None


def _type(row: dict[str, Any]) -> str:
    return str(row.get("Type", "")).strip().upper()


def figure(row: dict[str, Any], key: str) -> float | None:
    """A cell as a float; None where it holds no finite number."""
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
