"""FMBench's pictures, by its file names, with pooled requests in place of bursts; one is in `scatter`."""

from typing import Any

import numpy as np

from analysis.decide.recommendation import Candidate, Choice, cheapest
from analysis.measure.results import ExperimentResult, RunResult
from analysis.measure.steps import steps_with_rows
from analysis.metrics.definitions import per_row
from analysis.render.levels import level_axis, level_name, level_noun, level_value
from analysis.render.plots.drawing import (
    ALERT,
    INK,
    MUTED,
    Drawing,
    Palette,
    canvas,
    decorate,
    finish,
    from_zero,
    label_of,
    legend_below,
    panels,
    payload_grid,
    shortened,
)
from analysis.render.prices import PER_REQUESTS, REQUESTS
from common.formatting import number

_STATUS_LABELS = {
    "met": "not trusted",
    "missed": "misses the SLO",
    "open": "not decided: too few samples",
    "unmeasured": "not measured",
}


def business_summary(result: RunResult, choices: list[Choice], palette: Palette) -> Drawing | None:
    """Price performance: dollars per 10,000 requests of each experiment's best step."""
    best = [pick for c in choices for e in result.experiments if (pick := _pick(e, c)) is not None]
    if not best:
        return None
    priced = all(c.step.cost.per_request is not None for c in best)
    values = [
        (c.step.cost.per_request or 0) * REQUESTS if priced else (c.step.throughput.per_minute or 0)
        for c in best
    ]
    with canvas(1.35 + 0.78 * len(best)) as (figure, axes):
        places = np.arange(len(best))[::-1]
        for place, value, candidate in zip(places, values, best, strict=True):
            passes = candidate.passes
            axes.barh(
                place,
                value,
                height=0.5,
                color=palette.hue(candidate.experiment) if passes else "none",
                edgecolor=palette.hue(candidate.experiment),
                hatch=None if passes else "////",
            )
            step = candidate.step
            e2e = step.latency.get("e2e")
            label = (
                f"{'$' if priced else ''}{number(value)} · {number(step.throughput.per_minute)} requests/min"
            )
            label += f" · {number(e2e.mean / 1000)} s each" if e2e else ""
            label += "" if passes else f" · {_STATUS_LABELS[candidate.slo_status]}"
            axes.annotate(
                label, (0, place + 0.3), (1, 2), textcoords="offset points", va="bottom", fontsize=8.5
            )
        names = [
            f"{shortened(c.experiment.payload)}\n{label_of(c.experiment)}\n{level_name(c.step)}" for c in best
        ]
        axes.set_yticks(places, names, fontsize=8.5)
        axes.set_ylim(-0.45, len(best) - 0.2)
        assumed = " (assumed price)" if result.assumed_price else ""
        axes.set_xlabel(
            f"US dollars per {PER_REQUESTS}{assumed}" if priced else "requests per minute (no price known)"
        )
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        return finish(
            figure,
            result,
            name="business_summary",
            title="Price performance",
            alt="Bar chart: "
            + "; ".join(f"{c.experiment.deployed} {number(v)}" for c, v in zip(best, values, strict=True)),
            caption="Each experiment's best step at full load. Hatched: not passing. Shorter is cheaper."
            if priced
            else "Each experiment's best step. No price is known, so throughput is shown.",
        )


def _pick(experiment: ExperimentResult, choice: Choice) -> Candidate | None:
    """The experiment's best step: of those that pass, else of those that may yet, else of all."""
    own = [c for c in choice.candidates if c.experiment is experiment and c.step.usable]
    undecided = [c for c in own if c.slo_status != "missed"]
    return cheapest([c for c in own if c.passes] or undecided or own)


def error_rates(result: RunResult, palette: Palette) -> Drawing | None:
    """Share of failed requests by concurrency, one panel per payload, the instances side by side."""
    points = [
        (e, s.level, 100 * s.errors.rate)
        for e in result.experiments
        for s in e.steps
        if s.errors.rate is not None and s.level is not None
    ]
    if not points:
        return None
    limit = 100 * (result.error_rate_slo or 0.0)
    top = max(max(r for _, _, r in points) * 1.15, limit * 1.3, 1.0)
    with payload_grid(result, palette, 1, 3.0) as (figure, grid):
        for payload, (axes,) in grid.items():
            _stems(axes, [p for p in points if p[0].payload == payload], palette)
            if result.error_rate_slo is not None:
                slo = f"SLO: at most {limit:g}%"
                axes.axhline(limit, color=ALERT, linewidth=1, linestyle=(0, (4, 3)), label=slo)
            axes.set_ylim(0, top)
            decorate(axes, level_axis(result), "failed requests (%)")
        legend_below(figure, [axes for (axes,) in grid.values()], 3)
        worst = max(points, key=lambda p: p[2])
        most = f"most: {number(worst[2])}% at {worst[1]:g}" if worst[2] else "none failed"
        return finish(
            figure,
            result,
            name="error_rates",
            title="Error rates",
            alt=f"Failed requests by {level_noun(result)}; {most}.",
            caption="Of the requests that started in the measure window; failed ÷ (failed + answered)."
            + ("" if worst[2] else " No request failed."),
        )


def _stems(axes: Any, points: list[tuple[ExperimentResult, float, float]], palette: Palette) -> None:
    """One stem per experiment and level, side by side."""
    levels = sorted({level for _, level, _ in points})
    experiments = list({id(e): e for e, _, _ in points}.values())
    width = 0.7 / max(1, len(experiments))
    for index, experiment in enumerate(experiments):
        own = [(level, rate) for e, level, rate in points if e is experiment]
        at = [levels.index(level) + (index - (len(experiments) - 1) / 2) * width for level, _ in own]
        rates = [rate for _, rate in own]
        hue = palette.hue(experiment)
        axes.vlines(at, 0, rates, color=hue, linewidth=1.8)
        look = {"color": hue, "marker": palette.marker(experiment), "linestyle": "none", "clip_on": False}
        axes.plot(at, rates, label=label_of(experiment), **look)
    axes.set_xlim(-0.5, max(0.5, len(levels) - 0.5))
    axes.set_xticks(range(len(levels)), [f"{level:.4g}" for level in levels])


def concurrency_vs_latency(result: RunResult, palette: Palette) -> Drawing | None:
    """Box plots of E2E latency by concurrency, one panel per experiment."""
    drawn = [(e, s, per_row(rows, "e2e") / 1000) for e, s, rows in steps_with_rows(result) if len(rows)]
    experiments = [e for e in result.experiments if any(d[0] is e for d in drawn)]
    if not experiments:
        return None
    with panels(len(experiments)) as (figure, grid):
        for axes, experiment in zip(grid, experiments, strict=True):
            own = [(s, values) for e, s, values in drawn if e is experiment]
            boxes = []
            for step, values in own:
                q = np.percentile(values, [5, 25, 50, 75, 95])
                keys = ("whislo", "q1", "med", "q3", "whishi")
                boxes.append(dict(zip(keys, q, strict=True)) | {"label": level_value(step), "fliers": []})
            parts = axes.bxp(boxes, patch_artist=True, showfliers=False, widths=0.5)
            for box, (step, _) in zip(parts["boxes"], own, strict=True):
                shade = palette.shade(step.level)
                box.set(facecolor=shade, alpha=0.45 if step.usable else 0.12, edgecolor=MUTED)
            for line in [*parts["whiskers"], *parts["caps"]]:
                line.set(color=MUTED)
            for line in parts["medians"]:
                line.set(color=INK, linewidth=1.8)
            decorate(axes, level_axis(result), "E2E latency (s)")
            if len(experiments) > 1:
                axes.set_title(label_of(experiment, result), fontsize=9)
        from_zero(grid)
        return finish(
            figure,
            result,
            name="concurrency_vs_inference_latency",
            title=f"{level_noun(result).capitalize()} against latency",
            alt=f"Box plots of end-to-end latency by {level_noun(result)}.",
            caption="Line: median; box: middle half; whiskers: p5 to p95 of the answers. Pale: void.",
        )
