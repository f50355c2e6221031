"""Pictures over time: what the run did, how the client fared, what CloudWatch saw; and errors by class."""

from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.measure.results import ExperimentResult, RunResult
from analysis.metrics.definitions import (
    TokenArrivals,
    Window,
    ended_at,
    measured,
    numbers,
    per_row,
)
from analysis.metrics.in_flight import in_flight_at
from analysis.render.plots.drawing import (
    ALERT,
    BAND,
    INK,
    MUTED,
    Drawing,
    canvas,
    decorate,
    finish,
    label_of,
    legend_below,
    shortened,
)

_BINS = 120
_SAMPLE = 100_000
"""Rows that the timeline looks at; more are thinned evenly and scaled up."""

_SILENT_S = 30.0
_NAMED = 4
"""More experiments than this are named by their instances only."""
_CHARACTER = 0.0135
"""Width of a small character, as a share of the panel's width."""
Label = tuple[str, float]
"""A text and where its middle is on the x axis."""


def timeline(result: RunResult) -> Drawing | None:
    """Output tokens per second, median E2E and requests in flight over the run, with the measure windows."""
    rows = result.rows[result.rows["outcome"] == "ok"]
    if not len(rows) or not any(s.window for s in result.steps):
        return None
    stride = -(-len(rows) // _SAMPLE)
    zero, last = float(rows["started_at"].min()), float(np.nanmax(ended_at(rows)))
    edges = zero + np.linspace(0, max(last - zero, 1.0), min(_BINS, max(12, len(rows) // 6)) + 1)
    thinned = rows[::stride]
    arrivals = TokenArrivals.of(thinned)
    tokens = np.array([stride * arrivals.inside(Window(a, b)) / (b - a) for a, b in pairwise(edges)])
    place = np.clip(np.digitize(ended_at(thinned), edges) - 1, 0, len(edges) - 2)
    median = pd.Series(per_row(thinned, "e2e") / 1000).groupby(place).median()
    median = median.reindex(range(len(edges) - 1)).interpolate(limit=2, limit_area="inside")
    middle = (edges[:-1] + edges[1:]) / 2 - zero
    curves = (
        (middle, tokens, "output tokens/s"),
        (middle, median, "median E2E (s)"),
        (edges - zero, in_flight_at(result.rows, edges), "in flight"),
    )
    with canvas(5.4, 3, 1, sharex=True) as (figure, grid):
        _windows(tuple(grid), result, zero, 60.0)
        for axes, (at, values, label) in zip(grid, curves, strict=True):
            axes.plot(at / 60, values, color=INK, linewidth=1.3)
            decorate(axes, "", label)
            axes.set_ylim(bottom=0)
        grid[-1].set_xlabel("minutes since the first request")
        grid[0].margins(x=0.01)
        return finish(
            figure,
            result,
            name="timeline",
            title="Over time",
            alt="Output tokens per second, median end-to-end latency and requests in flight over the run.",
            caption="Tokens by when they arrived, latency by when the answer ended. Shaded: the measure "
            "windows, with their level of load where it has room; between steps the load stays up.",
        )


def _windows(grid: tuple[Any, ...], result: RunResult, zero: float, scale: float) -> None:
    """Shade the measure windows; name them above the first panel as far as names have room."""
    levels, groups = [], []
    for experiment in result.experiments:
        windows = [(s.level, s.window) for s in experiment.steps if s.window is not None]
        for level, window in windows:
            start, end = (window.start - zero) / scale, (window.end - zero) / scale
            for axes in grid:
                axes.axvspan(start, end, color=BAND, linewidth=0)
            levels.append((f"{level:.4g}", (start + end) / 2))
        if windows:
            start, end = ((w - zero) / scale for w in (windows[0][1].start, windows[-1][1].end))
            groups.append((experiment, start, end))
    span = max((end for _, _, end in groups), default=0.0) or 1.0
    if len(_fitting(levels, span)) == len(levels):
        _write_above(grid[0], levels, 2)
    if len(groups) > _NAMED:
        names = _by_instance(groups)
        for row, points in ((names[::2], 14), (names[1::2], 26)):
            _write_above(grid[0], _fitting(row, span), points)
    elif len(groups) > 1:
        names = [(label_of(e, result).replace(", ", "\n"), (a + b) / 2) for e, a, b in groups]
        _write_above(grid[0], _fitting(names, span), 14)


def _by_instance(groups: list[tuple[ExperimentResult, float, float]]) -> list[Label]:
    """One name for the experiments that follow each other on the same instances."""
    names = []
    for _, parts in groupby(groups, key=lambda group: group[0].deployed):
        own = list(parts)
        names.append((label_of(own[0][0]), (own[0][1] + own[-1][2]) / 2))
    return names


def _fitting(labels: list[Label], span: float) -> list[Label]:
    """The labels without those that would run into the one before them."""
    free, fitting = -span, []
    for text, x in labels:
        width = max(len(line) for line in text.split("\n")) * _CHARACTER * span
        if x - width / 2 >= free:
            free = x + width / 2
            fitting.append((text, x))
    return fitting


def _write_above(axes: Any, labels: list[Label], points: float) -> None:
    for text, x in labels:
        axes.annotate(
            text,
            (x, 1),
            (0, points),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=MUTED,
        )


def client_health(result: RunResult) -> Drawing | None:
    """CPU and event-loop lag of the load generator's workers."""
    workers = result.workers
    if not len(workers) or not len(measured(numbers(workers, "cpu_percent"))):
        return None
    zero = float(workers["reported_at"].min())
    with canvas(4.2, 2, 1, sharex=True) as (figure, grid):
        upper, lower = grid
        _windows((upper, lower), result, zero, 60.0)
        for _, reports in workers.groupby("worker", observed=True):
            own = _with_gaps(reports)
            at = (numbers(own, "reported_at") - zero) / 60
            upper.plot(at, numbers(own, "cpu_percent"), color=INK, linewidth=1.1)
            lower.plot(at, numbers(own, "lag_p99_ms"), color=INK, linewidth=1.1, label="event-loop lag p99")
            lower.plot(
                at, numbers(own, "clock_lag_p99_ms"), color=ALERT, linewidth=1.1, linestyle=(0, (2, 1.5)),
                label="read after arrival, p99",
            )  # fmt: skip
        upper.axhline(85, color=ALERT, linewidth=1, linestyle=(0, (4, 3)))
        decorate(upper, "", "CPU (% of one core)")
        decorate(lower, "minutes since the first report", "milliseconds")
        upper.set_ylim(0, max(100.0, float(np.nanmax(numbers(workers, "cpu_percent")))))
        lower.set_ylim(bottom=0)
        handles, labels = lower.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        lower.legend(unique.values(), unique.keys(), loc="upper left")
        return finish(
            figure,
            result,
            name="client_health",
            title="Was the load generator itself healthy?",
            alt="CPU per worker, event-loop lag and reading lag over the run.",
            caption="One line per worker. Above the dashed line the client may be the bottleneck. Reading "
            "lag does not enter latency where arrivals carry kernel time stamps.",
        )


def _with_gaps(reports: pd.DataFrame) -> pd.DataFrame:
    """A worker's reports with an empty row where it was silent, so that no line bridges what nobody saw."""
    at = reports["reported_at"]
    silent = at[at.diff() > _SILENT_S]
    empty = pd.DataFrame({"reported_at": silent - 0.001})
    return pd.concat([reports, empty]).sort_values("reported_at") if len(empty) else reports


def error_classes(result: RunResult) -> Drawing | None:
    """Failed requests by class and step; none when nothing failed."""
    steps = [s for s in result.steps if s.errors.classes]
    if not steps:
        return None
    classes = list(dict.fromkeys(name for s in steps for name in s.errors.classes))
    hatches = ("", "////", "....", "xxxx", "\\\\\\\\", "++", "oo")
    with canvas(1.6 + 0.45 * len(steps)) as (figure, axes):
        places = np.arange(len(steps))[::-1]
        left = np.zeros(len(steps))
        for index, name in enumerate(classes):
            counts = np.array([s.errors.classes.get(name, 0) for s in steps], dtype=float)
            axes.barh(
                places, counts, left=left, height=0.6, label=name, color=(ALERT, MUTED, INK)[index % 3],
                edgecolor="white", hatch=hatches[index % len(hatches)],
            )  # fmt: skip
            left += counts
        axes.set_yticks(places, [shortened(s.id) for s in steps], fontsize=8.5)
        axes.set_xlabel("failed requests")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        legend_below(figure, [axes], 4)
        return finish(
            figure,
            result,
            name="error_classes",
            title="Errors by class",
            alt="Failed requests by error class and step.",
            caption="Of the requests that started in the measure window.",
        )
