"""Pictures of spread: distributions per step."""

import numpy as np

from analysis.measure.results import RunResult
from analysis.measure.steps import steps_with_rows
from analysis.metrics.definitions import measured, numbers, per_row
from analysis.metrics.statistics import Floats
from analysis.render.levels import level_name, level_noun
from analysis.render.plots.drawing import (
    ALERT,
    Drawing,
    Palette,
    decorate,
    finish,
    label_of,
    legend_below,
    panels,
    shortened,
)

_NAMES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E latency"}
_CURVE_POINTS = 400


def distribution(result: RunResult, palette: Palette, metric: str) -> Drawing | None:
    """ECDF of a latency metric per step, one panel per experiment.

    Args:
        result: the run.
        palette: its colors.
        metric: ttft, tpot or e2e.
    """
    drawn = [(e, s, measured(per_row(rows, metric)) / 1000) for e, s, rows in steps_with_rows(result)]
    drawn = [(e, s, values) for e, s, values in drawn if len(values)]
    experiments = [e for e in result.experiments if any(d[0] is e for d in drawn)]
    if not experiments:
        return None
    own = [o for o in result.objectives_of_all if o.metric == metric]
    limits = [(o, o.percentile) for o in own if o.percentile is not None]
    with panels(len(experiments), 3.9) as (figure, grid):
        for axes, experiment in zip(grid, experiments, strict=True):
            for _, step, values in (d for d in drawn if d[0] is experiment):
                share = np.linspace(0, 100, min(_CURVE_POINTS, max(2, len(values))))
                axes.plot(
                    np.percentile(values, share),
                    share,
                    color=palette.shade(step.level),
                    linestyle=palette.dashes(step.level),
                    alpha=1 if step.usable else 0.35,
                    label=level_name(step),
                )
            right = max(float(np.percentile(v, 99.5)) for e, _, v in drawn if e is experiment) * 1.08
            for objective, percentile in limits:
                limit = objective.limit_ms / 1000
                if limit <= right * 1.6:
                    right = max(right, limit * 1.08)
                    axes.plot([limit], [percentile], marker="X", color=ALERT, clip_on=False)
                    axes.axvline(limit, color=ALERT, linewidth=1, linestyle=(0, (4, 3)))
            axes.set_xlim(0, right)
            axes.set_ylim(0, 101)
            decorate(axes, f"{_NAMES[metric]} (s)", "requests at or below (%)")
            if len(experiments) > 1:
                axes.set_title(label_of(experiment, result), fontsize=9)
        legend_below(figure, grid)
        slo = (
            f" Red: the SLO ({'; '.join(f'{o.statistic} ≤ {o.limit}' for o, _ in limits)})." if limits else ""
        )
        return finish(
            figure,
            result,
            name=f"{metric}_distribution",
            title=f"{_NAMES[metric]}: distribution by {level_noun(result)}",
            alt=f"Cumulative distribution of {_NAMES[metric]} per {level_noun(result)}.",
            caption=f"Share of the window's answered requests at or below each latency.{slo}",
        )


def lengths(result: RunResult, palette: Palette) -> Drawing | None:
    """Histograms of prompt and answer lengths, one curve per payload."""
    named = (("prompt_tokens", "prompt tokens"), ("completion_tokens", "output tokens"))
    drawn = [(e.payload, rows) for e, _, rows in steps_with_rows(result)]
    payloads = list(dict.fromkeys(payload for payload, _ in drawn))
    counted = {
        (payload, column): np.concatenate(
            [measured(numbers(rows, column)) for name, rows in drawn if name == payload]
        )
        for payload in payloads
        for column, _ in named
    }
    if not any(len(values) for values in counted.values()):
        return None
    with panels(len(named), 3.2, share_y=False) as (figure, grid):
        for axes, (column, label) in zip(grid, named, strict=True):
            every = np.concatenate([counted[payload, column] for payload in payloads])
            edges = _whole_bins(every)
            for index, payload in enumerate(payloads):
                values = counted[payload, column]
                if not len(values):
                    continue
                share = 100 * np.histogram(values, edges)[0] / len(values)
                hue, dashes = palette.shade_at(index, len(payloads)), palette.dashes_at(index)
                axes.stairs(share, edges, label=shortened(payload), color=hue, linestyle=dashes)
            decorate(axes, label, "answered requests (%)")
        if len(payloads) > 1:
            legend_below(figure, grid, 3)
        return finish(
            figure,
            result,
            name="lengths",
            title="Lengths of prompts and answers",
            alt="Histograms of prompt tokens and of output tokens per payload.",
            caption="Answered requests of the measure windows, share of each payload.",
        )


def _whole_bins(counts: Floats) -> Floats:
    """About 25 bins of equally many whole numbers: bins of other widths would make stripes of counts."""
    if not len(counts):
        return np.array([0.0, 1.0])
    low, high = float(counts.min()), float(counts.max())
    width = max(1.0, np.ceil((high - low + 1) / 25))
    return np.arange(low, high + width + 1, width) - 0.5
