"""Latency, speed and money against throughput: one panel per payload, one point per step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.decide.search.course import search_of
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.metrics.statistics import Interval
from analysis.render.levels import level_noun
from analysis.render.plots.drawing import (
    ALERT,
    MUTED,
    Drawing,
    Palette,
    decorate,
    finish,
    label_of,
    legend_below,
    payload_grid,
)
from analysis.render.plots.point_labels import FONT_SIZE, LabeledPoint, place_labels
from common.formatting import ABSENT, listed

_AXES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E latency"}


@dataclass(frozen=True)
class Axis:
    """One axis: its label, the figure of a step, and its 95% interval where there is one."""

    label: str
    figure: Callable[[ExperimentResult, StepResult], float | None]
    interval: Callable[[ExperimentResult, StepResult], Interval | None] = lambda _experiment, _step: None


_RATE = Axis(
    "requests per minute",
    lambda _, step: step.throughput.per_minute,
    lambda _, step: step.throughput.per_minute_interval,
)
_SPEED = Axis("output tokens/s per user (median)", lambda _, step: step.streaming.tokens_per_s_p50)


def _per_instance(experiment: ExperimentResult, step: StepResult) -> float | None:
    rate = step.throughput.completion_tokens_per_s
    return None if rate is None else rate / experiment.instance_count


_TOKENS = Axis("output tokens/s per instance", _per_instance)


def percentile_of(result: RunResult, metric: str) -> int | None:
    """One statistic for a whole picture: the SLO's own where any step can show it, else what all can show.

    None stands for the mean.
    """
    wanted = [o.percentile for o in result.objectives_of_all if o.metric == metric]
    steps = [s for s in result.steps if s.shown(metric, 50) is not None]
    for percentile in wanted:
        if any(s.shown(metric, percentile) is not None for s in steps):
            return percentile
    for percentile in (95, 90):
        if all(s.shown(metric, percentile) is not None for s in steps):
            return percentile
    return 50


def _statistic(percentile: int | None) -> str:
    return "mean" if percentile is None else f"p{percentile}"


def throughput_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Throughput against TTFT and E2E latency, with the SLO's limits."""
    metrics = [
        m
        for m in ("ttft", "e2e")
        if any(s.shown(m, 50) is not None for s in result.steps if s.throughput.per_minute)
    ]
    if not metrics:
        return None
    return _draw(
        result,
        palette,
        [(_RATE, _latency(result, metric), metric) for metric in metrics],
        name="throughput_latency",
        title="Throughput against latency",
        alt=f"{' and '.join(_AXES[m] for m in metrics)} over requests per minute, per {level_noun(result)}.",
        caption=f"One point per {level_noun(result)} (the number beside it), with its 95% intervals",
    )


def cost_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Dollars per million output tokens against E2E latency."""
    if not any(
        s.cost.per_million_output is not None and s.shown("e2e", 50) is not None for s in result.steps
    ):
        return None
    assumed = " (assumed price)" if result.assumed_price else ""
    cost = Axis(
        f"US dollars per million output tokens{assumed}", lambda _, step: step.cost.per_million_output
    )
    return _draw(
        result,
        palette,
        [(cost, _latency(result, "e2e"), "e2e")],
        name="cost_vs_latency",
        title="Cost per million output tokens against latency",
        alt=f"Cost per million output tokens against end-to-end latency, one point per {level_noun(result)}.",
        caption=f"At full load. Lower left is cheaper and faster; the number is the {level_noun(result)}",
    )


def speed_throughput(result: RunResult, palette: Palette) -> Drawing | None:
    """What one user gets against what an instance gives: tokens per second of each."""
    if not any(s.streaming.tokens_per_s_p50 and s.throughput.completion_tokens_per_s for s in result.steps):
        return None
    return _draw(
        result,
        palette,
        [(_TOKENS, _SPEED, None)],
        name="speed_vs_throughput",
        title="Speed of one user against throughput of an instance",
        alt="Output tokens per second of one user over output tokens per second of an instance.",
        caption=f"Upper right is better. One point per {level_noun(result)} (the number beside it)",
    )


def _latency(result: RunResult, metric: str) -> Axis:
    percentile = percentile_of(result, metric)

    def interval(_: ExperimentResult, step: StepResult) -> Interval | None:
        described = step.latency.get(metric)
        own = described.intervals.get(percentile) if described and percentile is not None else None
        return None if own is None else Interval(own.low / 1000, own.high / 1000)

    def figure(_: ExperimentResult, step: StepResult) -> float | None:
        value = step.shown(metric, percentile)
        return None if value is None else value / 1000

    return Axis(f"{_AXES[metric]} {_statistic(percentile)} (s)", figure, interval)


def _draw(
    result: RunResult,
    palette: Palette,
    pairs: Sequence[tuple[Axis, Axis, str | None]],
    *,
    name: str,
    title: str,
    alt: str,
    caption: str,
) -> Drawing:
    """A row of panels per payload, a column per pair of axes; the metric of each pair has its SLO drawn."""
    dashed = False
    with payload_grid(result, palette, len(pairs), 3.4) as (figure, grid):
        for payload, row in grid.items():
            for axes, (x, y, metric) in zip(row, pairs, strict=True):
                drawn = _curves(axes, result, payload, palette, (x, y))
                highest = max((point[1] for point in drawn), default=0.0) or 1.0
                if metric is not None:
                    highest, near = _limits(axes, result, metric, highest)
                    dashed = dashed or near
                axes.set_ylim(0, highest * 1.18)
                axes.margins(x=0.06)
                axes.set_xlim(left=0)
                _levels(axes, drawn)
                decorate(axes, x.label, y.label)
        if len(palette.instances) > 1 or (result.open_loop and result.closed_loop):
            legend_below(figure, [axes for row in grid.values() for axes in row], 3)
        metrics = [metric for _, _, metric in pairs if metric is not None]
        caption += _marks(result, metrics, dashed=dashed)
        if missed_steps(result):
            caption += ". Red points miss the SLO, by the search"
        if any(_SATURATED in step.trust.codes for step in result.steps):
            caption += ". Saturated steps are left out: their latency grows with the window"
        return finish(figure, result, name=name, title=title, alt=alt, caption=f"{caption}.")


Point = tuple[float, float, StepResult]
_SATURATED = "saturated"
"""Code of a step whose requests piled up."""


def _curves(
    axes: Any, result: RunResult, payload: str, palette: Palette, pair: tuple[Axis, Axis]
) -> list[Point]:
    """Draw one curve per experiment of a payload, with whiskers; returns its points."""
    experiments = [experiment for experiment in result.experiments if experiment.payload == payload]
    x_axis, y_axis = pair
    drawn: list[Point] = []
    missed = missed_steps(result)
    for experiment in experiments:
        points = []
        for step in experiment.steps:
            if _SATURATED in step.trust.codes:
                continue
            x, y = x_axis.figure(experiment, step), y_axis.figure(experiment, step)
            if x is not None and y is not None:
                points.append((x, y, step))
                whiskers = (x_axis.interval(experiment, step), y_axis.interval(experiment, step))
                _whiskers(axes, (x, y), whiskers, palette.hue(experiment))
        look = {"color": palette.hue(experiment), "marker": palette.marker(experiment)}
        both = len({step.rate is None for _, _, step in points}) > 1
        for is_open, line in ((False, "-"), (True, (0, (3, 2)))):
            own = [(x, y) for x, y, step in _in_order(points) if (step.rate is not None) == is_open]
            kind = f", {'open' if is_open else 'closed'} loop" if both else ""
            if own:
                axes.plot(*zip(*own, strict=True), label=label_of(experiment) + kind, linestyle=line, **look)
        for x, y, step in points:
            if not step.usable:
                axes.plot(x, y, markerfacecolor="white", **look)
            elif step.id in missed:
                axes.plot(x, y, **look | {"color": ALERT})
        drawn += points
    return drawn


def _in_order(points: list[Point]) -> list[Point]:
    """The points of a search by their level, which it played in another order; others as they were played."""
    searched = any(step.purpose for _, _, step in points)
    return sorted(points, key=lambda point: point[2].level or 0.0) if searched else points


def missed_steps(result: RunResult) -> set[str]:
    """Ids of the steps that a search found to miss the SLO."""
    courses = [(e, course) for e in result.experiments if (course := search_of(e, result)) is not None]
    return {s.id for e, course in courses for s in e.steps if course.verdict_of(s) == "missed"}


def _whiskers(
    axes: Any, at: tuple[float, float], intervals: tuple[Interval | None, Interval | None], hue: str
) -> None:
    x, y = at
    across, along = intervals
    if across is not None:
        axes.plot([across.low, across.high], [y, y], color=hue, linewidth=0.9, alpha=0.7, zorder=1)
    if along is not None:
        axes.plot([x, x], [along.low, along.high], color=hue, linewidth=0.9, alpha=0.7, zorder=1)


def _levels(axes: Any, drawn: list[Point]) -> None:
    """The level beside each point, as far as there is room; the limits of the axes are set."""
    texts = [
        ABSENT if step.level is None else f"{step.level:.4g}" + ("/s" if step.rate else "")
        for _, _, step in drawn
    ]
    scale = 72 / axes.figure.dpi
    at = [axes.transData.transform((x, y)) * scale for x, y, _ in drawn]
    points = [LabeledPoint(x, y, text) for (x, y), text in zip(at, texts, strict=True)]
    look = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": FONT_SIZE}
    for place in place_labels(points):
        x, y, _ = drawn[place.point]
        axes.annotate(texts[place.point], (x, y), (place.x, place.y), color=MUTED, **look)


def _limits(axes: Any, result: RunResult, metric: str, highest: float) -> tuple[float, bool]:
    """The SLO's lines where they are near the data, else a word in the panel; the new top, and if any."""
    percentile = percentile_of(result, metric)
    top, dashed = highest, False
    for objective in result.objectives_of_all:
        if objective.metric != metric or objective.percentile != percentile:
            continue
        limit, label = objective.limit_ms / 1000, f"SLO {objective.statistic} ≤ {objective.limit}"
        if limit > 3 * highest:
            place = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 8.5}
            axes.annotate(f"{label}: far above", (0, 1), (4, -11), color=ALERT, **place)
            continue
        dashed, top = True, max(top, limit)
        axes.axhline(limit, color=ALERT, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(label, (0, limit), (4, 3), textcoords="offset points", color=ALERT, fontsize=8.5)
    return top, dashed


def _marks(result: RunResult, metrics: list[str], *, dashed: bool) -> str:
    """What the caption says of what is drawn, and of steps and limits that are not."""
    text = "; dashed: the SLO" if dashed else ""
    if any(not s.usable for s in result.steps):
        text += "; hollow: void step"
    shown = {metric: percentile_of(result, metric) for metric in metrics}
    few = [f"{m.upper()} {_statistic(p)}" for m, p in shown.items() if _some_lack(result, m, p)]
    if few:
        text += f". Steps with too few samples for {listed(few)} are left out"
    other = [o for o in result.objectives_of_all if o.metric in shown]
    other = [o for o in other if o.percentile != shown[o.metric]]
    if other:
        what = listed([o.name for o in other])
        text += f". No limit is drawn for {what}: the curve shows another statistic"
    return text


def _some_lack(result: RunResult, metric: str, percentile: int | None) -> bool:
    """Whether a step measured the metric on too few samples for the statistic."""
    measured = [s for s in result.steps if s.latency.get(metric) is not None]
    return any(step.shown(metric, percentile) is None for step in measured)
