"""Pictures of the trade: latency against throughput and against money, one point per step."""

from collections.abc import Callable
from typing import Any

from analysis.objectives import limit_text
from analysis.plots.drawing import ALERT, MUTED, Drawing, Palette, canvas, decorate, finish, label_of, panels
from analysis.results import RunResult, StepResult

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
        for axes, metric in zip(grid, metrics, strict=True):
            _curve(axes, result, palette, metric, lambda step: step.per_minute)
            axes.margins(x=0.06)
            axes.set_xlim(left=0)
            axes.set_xlabel("requests per minute")
        _legend(figure, grid[0], result)
        return finish(
            figure,
            result,
            name="throughput_latency",
            title="Throughput against latency",
            alt=f"{' and '.join(_AXES[m] for m in metrics)} over requests per minute, per concurrency.",
            caption="One point per concurrency (the number beside it); dashed: the SLO; hollow: void step.",
        )


def cost_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Dollars per million output tokens against E2E latency."""
    if not any(
        s.usd_per_million_output is not None and s.shown("e2e", "p50") is not None for s in result.steps
    ):
        return None
    with canvas(3.8) as (figure, axes):
        _curve(axes, result, palette, "e2e", lambda step: step.usd_per_million_output)
        axes.margins(x=0.06)
        axes.set_xlim(left=0)
        assumed = " (assumed price)" if result.assumed_price else ""
        axes.set_xlabel(f"US dollars per million output tokens{assumed}")
        _legend(figure, axes, result)
        return finish(
            figure,
            result,
            name="cost_vs_latency",
            title="Cost per million output tokens against latency",
            alt="Cost per million output tokens against end-to-end latency, one point per concurrency.",
            caption="At full load. Towards the lower left is cheaper and faster; dashed: the SLO's limit.",
        )


def _curve(axes: Any, result: RunResult, palette: Palette, metric: str, x_of: Figure) -> None:
    statistic = statistic_of(result, metric)
    highest = 0.0
    for experiment in result.experiments:
        points = []
        for step in experiment.steps:
            value, x = step.shown(metric, statistic), x_of(step)
            if value is not None and x is not None:
                points.append((x, value / 1000, step))
        if not points:
            continue
        offset = 5 if result.experiments.index(experiment) % 2 == 0 else -11
        hue, marker = palette.hue(experiment), palette.marker(experiment)
        highest = max(highest, *(y for _, y, _ in points))
        axes.plot(
            [p[0] for p in points], [p[1] for p in points], color=hue, label=label_of(experiment, result)
        )
        for x, y, step in points:
            axes.plot(x, y, marker=marker, color=hue, markerfacecolor=hue if step.usable else "none")
            axes.annotate(
                str(step.concurrency),
                (x, y),
                (5, offset),
                textcoords="offset points",
                fontsize=8.5,
                color=MUTED,
            )
    limits = [o for o in result.objectives if o["metric"] == metric and o["statistic"] == statistic]
    for objective in limits:
        limit = objective["limit_ms"] / 1000
        if limit <= 3 * highest:
            axes.axhline(limit, color=ALERT, linewidth=1.2, linestyle=(0, (4, 3)))
            label = f"SLO {statistic} ≤ {limit_text(objective['limit_ms'])}"
            axes.annotate(label, (0, limit), (4, 3), textcoords="offset points", color=ALERT, fontsize=8.5)
            highest = max(highest, limit)
        else:
            axes.set_title(
                f"SLO {statistic} ≤ {limit_text(objective['limit_ms'])}: far above", fontsize=8.5, color=ALERT
            )
    axes.set_ylim(0, highest * 1.18)
    decorate(axes, "", f"{_AXES[metric]} {statistic} (s)")


def _legend(figure: Any, axes: Any, result: RunResult) -> None:
    if len(result.experiments) > 1:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), fontsize=8.5)
