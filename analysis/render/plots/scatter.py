"""Latency over prompt length, a point per answered request: one picture for E2E latency, one for TTFT."""

import math

from analysis.measure.results import RunResult
from analysis.measure.steps import steps_with_rows
from analysis.metrics.definitions import numbers
from analysis.render.levels import level_name, level_noun
from analysis.render.plots.drawing import (
    Drawing,
    Palette,
    decorate,
    finish,
    from_zero,
    label_of,
    legend_below,
    panels,
)

POINTS = 1500
"""Points per step at most; more are thinned evenly, and the caption says so."""
_ALL_POINTS = 15_000
"""Points per picture at most, so that a page of thirty experiments stays a few megabytes."""


def tokens_vs_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """E2E latency over prompt tokens, one panel per experiment."""
    return _over_prompts(
        result, palette, ("e2e_ms", "E2E latency"), name="tokens_vs_latency", title="Tokens against latency"
    )


def ttft_prompt(result: RunResult, palette: Palette) -> Drawing | None:
    """TTFT over prompt tokens: what prefill costs."""
    return _over_prompts(
        result, palette, ("ttft_ms", "TTFT"), name="ttft_vs_prompt_tokens", title="TTFT against prompt tokens"
    )


def _over_prompts(
    result: RunResult, palette: Palette, metric: tuple[str, str], *, name: str, title: str
) -> Drawing | None:
    column, label = metric
    drawn = [
        (e, s, rows[rows[column].notna() & rows["prompt_tokens"].notna()])
        for e, s, rows in steps_with_rows(result)
    ]
    drawn = [(e, s, rows) for e, s, rows in drawn if len(rows)]
    experiments = [e for e in result.experiments if any(d[0] is e for d in drawn)]
    if not experiments:
        return None
    most = min(POINTS, max(50, _ALL_POINTS // len(drawn)))
    thinned = any(len(rows) > most for _, _, rows in drawn)
    with panels(len(experiments), 3.9) as (figure, grid):
        for axes, experiment in zip(grid, experiments, strict=True):
            for _, step, rows in (d for d in drawn if d[0] is experiment):
                stride = math.ceil(len(rows) / most)
                axes.scatter(
                    numbers(rows, "prompt_tokens")[::stride],
                    numbers(rows, column)[::stride] / 1000,
                    s=12,
                    alpha=0.65,
                    linewidths=0,
                    color=palette.shade(step.level),
                    label=level_name(step),
                )
            decorate(axes, "prompt tokens", f"{label} (s)")
            if len(experiments) > 1:
                axes.set_title(label_of(experiment, result), fontsize=9)
        from_zero(grid)
        legend_below(figure, grid)
        return finish(
            figure,
            result,
            name=name,
            title=title,
            alt=f"Scatter plot of {label} over prompt tokens, colored by {level_noun(result)}.",
            caption="Every answered request of the measure windows"
            + (f", thinned evenly to at most {most:,} per step." if thinned else "."),
        )
