"""Pictures of the trade: latency against throughput and against money, one point per step."""

from collections.abc import Callable
from typing import Any

from analysis.decide.slo import limit_text
from analysis.measure.results import RunResult, StepResult
from analysis.render.plots.drawing import (
    ALERT,
    MUTED,
    Drawing,
    Palette,
    canvas,
    decorate,
    finish,
    label_of,
    legend_below,
    panels,
)
from common.formatting import joined

_AXES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E latency"}
Figure = Callable[[StepResult], float | None]


def statistic_of(result: RunResult, metric: str) -> str:
    """One statistic for a whole picture: the SLO's own, else p95, p90 or p50 if every step carries it."""
    wanted = [str(o["statistic"]) for o in result.objectives if o["metric"] == metric]
    steps = [s for s in result.steps if s.shown(metric, "p50") is not None]
    for name in (*wanted, "p95", "p90"):
        if all(s.shown(metric, name) is not None for s in steps):
            return name
    return "p50"


def throughput_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Throughput against TTFT and E2E latency, with the SLO's limits."""
    metrics = [
        m for m in ("ttft", "e2e") if any(s.shown(m, "p50") is not None for s in result.steps if s.per_minute)
    ]
    if not metrics:
        return None
    with panels(len(metrics), 4.0, share_y=False) as (figure, grid):
        dashed = False
        for axes, metric in zip(grid, metrics, strict=True):
            dashed = _curve(axes, result, palette, metric, lambda step: step.per_minute) or dashed
            axes.margins(x=0.06)
            axes.set_xlim(left=0)
            axes.set_xlabel("requests per minute")
        _legend(figure, grid, result)
        return finish(
            figure,
            result,
            name="throughput_latency",
            title="Throughput against latency",
            alt=f"{' and '.join(_AXES[m] for m in metrics)} over requests per minute, per concurrency.",
            caption="One point per concurrency (the number above it)"
            f"{_marks(result, metrics, dashed=dashed)}.",
        )


def cost_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Dollars per million output tokens against E2E latency."""
    if not any(
        s.usd_per_million_output is not None and s.shown("e2e", "p50") is not None for s in result.steps
    ):
        return None
    with canvas(3.8) as (figure, axes):
        dashed = _curve(axes, result, palette, "e2e", lambda step: step.usd_per_million_output)
        axes.margins(x=0.06)
        axes.set_xlim(left=0)
        assumed = " (assumed price)" if result.assumed_price else ""
        axes.set_xlabel(f"US dollars per million output tokens{assumed}")
        _legend(figure, [axes], result)
        return finish(
            figure,
            result,
            name="cost_vs_latency",
            title="Cost per million output tokens against latency",
            alt="Cost per million output tokens against end-to-end latency, one point per concurrency.",
            caption="At full load. Lower left is cheaper and faster; the number is the concurrency"
            f"{_marks(result, ['e2e'], dashed=dashed)}.",
        )


def _curve(axes: Any, result: RunResult, palette: Palette, metric: str, x_of: Figure) -> bool:
    """Draw a metric's curves; returns whether a limit of the SLO stands among them."""
    statistic = statistic_of(result, metric)
    highest = 0.0
    drawn: list[tuple[float, float, StepResult]] = []
    for experiment in result.experiments:
        points = []
        for step in experiment.steps:
            value, x = step.shown(metric, statistic), x_of(step)
            if value is not None and x is not None:
                points.append((x, value / 1000, step))
        if not points:
            continue
        hue, marker = palette.hue(experiment), palette.marker(experiment)
        highest = max(highest, *(y for _, y, _ in points))
        axes.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            color=hue,
            marker=marker,
            label=label_of(experiment, result),
        )
        for x, y, step in points:
            if not step.usable:
                axes.plot(x, y, marker=marker, color=hue, markerfacecolor="white")
        drawn += points
    limits = [o for o in result.objectives if o["metric"] == metric and o["statistic"] == statistic]
    highest, dashed = _limits(axes, limits, highest)
    axes.set_ylim(0, highest * 1.18)
    _levels(axes, drawn)
    decorate(axes, "", f"{_AXES[metric]} {statistic} (s)")
    return dashed


def _levels(axes: Any, drawn: list[tuple[float, float, StepResult]]) -> None:
    """The concurrency above its points, once where experiments lie on each other."""
    wide = max((x for x, _, _ in drawn), default=0.0)
    high = max((y for _, y, _ in drawn), default=0.0)
    told: list[tuple[float, float, int | None]] = []
    for x, y, step in sorted(drawn, key=lambda point: -point[1]):
        near = [a for a, b, level in told if level == step.concurrency and b - y < 0.14 * high]
        if any(abs(a - x) < 0.05 * wide for a in near):
            continue
        told.append((x, y, step.concurrency))
        text = str(step.concurrency)
        axes.annotate(
            text, (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=8.5, color=MUTED
        )


def _limits(axes: Any, limits: list[dict[str, Any]], highest: float) -> tuple[float, bool]:
    """The SLO's lines where they are near the data, else a word above the panel; the new top, and if any."""
    top, dashed, far = highest, False, []
    for objective in limits:
        limit, label = objective["limit_ms"] / 1000, f"SLO {objective['statistic']} ≤ "
        label += limit_text(objective["limit_ms"])
        if limit > 3 * highest:
            far.append(f"{label}: far above")
            continue
        dashed, top = True, max(top, limit)
        axes.axhline(limit, color=ALERT, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(label, (0, limit), (4, 3), textcoords="offset points", color=ALERT, fontsize=8.5)
    if far:
        axes.set_title("; ".join(far), fontsize=8.5, color=ALERT)
    return top, dashed


def _marks(result: RunResult, metrics: list[str], *, dashed: bool) -> str:
    """What the caption says of what is drawn, and of a limit that is not."""
    said = "; dashed: the SLO" if dashed else ""
    if any(not s.usable for s in result.steps):
        said += "; hollow: void step"
    other = [o for o in result.objectives if o["metric"] in metrics]
    other = [o for o in other if o["statistic"] != statistic_of(result, str(o["metric"]))]
    if other:
        what = joined([f"{o['metric'].upper()} {o['statistic']}" for o in other])
        said += (
            f". No limit is drawn for {what}: the curve shows another statistic, which more steps can show"
        )
    return said


def _legend(figure: Any, grid: list[Any], result: RunResult) -> None:
    if len(result.experiments) > 1:
        legend_below(figure, grid, 2)
