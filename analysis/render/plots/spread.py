"""Pictures of spread: distributions per step."""

import numpy as np

from analysis.decide.slo import limit_text
from analysis.measure.results import RunResult
from analysis.measure.steps import steps_with_rows
from analysis.metrics.definitions import measured, numbers
from analysis.render.plots.drawing import (
    ALERT,
    Drawing,
    Palette,
    decorate,
    finish,
    label_of,
    legend_below,
    panels,
)

_NAMES = {"ttft": "TTFT", "e2e": "E2E latency"}
_CURVE_POINTS = 400


def distribution(result: RunResult, palette: Palette, metric: str) -> Drawing | None:
    """ECDF of a latency metric per step, one panel per experiment.

    Args:
        result: the run.
        palette: its colours.
        metric: ttft or e2e.
    """
    column = f"{metric}_ms"
    drawn = [(e, s, measured(numbers(rows, column)) / 1000) for e, s, rows in steps_with_rows(result)]
    drawn = [(e, s, values) for e, s, values in drawn if len(values)]
    experiments = [e for e in result.experiments if any(d[0] is e for d in drawn)]
    if not experiments:
        return None
    limits = [o for o in result.objectives if o["metric"] == metric and o["statistic"] != "mean"]
    with panels(len(experiments), 3.9) as (figure, grid):
        for axes, experiment in zip(grid, experiments, strict=True):
            for _, step, values in (d for d in drawn if d[0] is experiment):
                share = np.linspace(0, 100, min(_CURVE_POINTS, max(2, len(values))))
                axes.plot(
                    np.percentile(values, share),
                    share,
                    color=palette.shade(step.concurrency),
                    linestyle=palette.dashes(step.concurrency),
                    alpha=1 if step.usable else 0.35,
                    label=f"concurrency {step.concurrency}",
                )
            right = max(float(np.percentile(v, 99.5)) for e, _, v in drawn if e is experiment) * 1.08
            for objective in limits:
                limit = objective["limit_ms"] / 1000
                if limit <= right * 1.6:
                    right = max(right, limit * 1.08)
                    axes.plot(
                        [limit], [int(objective["statistic"][1:])], marker="X", color=ALERT, clip_on=False
                    )
                    axes.axvline(limit, color=ALERT, linewidth=1, linestyle=(0, (4, 3)))
            axes.set_xlim(0, right)
            axes.set_ylim(0, 101)
            decorate(axes, f"{_NAMES[metric]} (s)", "requests at or below (%)")
            if len(experiments) > 1:
                axes.set_title(label_of(experiment, result), fontsize=9)
        legend_below(figure, grid)
        slo = f" Red: the SLO ({'; '.join(_limit(o) for o in limits)})." if limits else ""
        return finish(
            figure,
            result,
            name=f"{metric}_distribution",
            title=f"{_NAMES[metric]}: distribution by concurrency",
            alt=f"Cumulative distribution of {_NAMES[metric]} per concurrency.",
            caption=f"Share of the window's answered requests at or below each latency.{slo}",
        )


def _limit(objective: dict[str, object]) -> str:
    return f"{objective['statistic']} ≤ {limit_text(float(str(objective['limit_ms'])))}"
