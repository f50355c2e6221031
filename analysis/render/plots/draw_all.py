"""All pictures of a report, in the order of the page."""

from analysis.decide.recommendation import Choice
from analysis.measure.results import RunResult
from analysis.render.plots import cloudwatch, curves, fmbench, overtime, scatter, spread
from analysis.render.plots.drawing import Drawing, Palette


def draw_all(result: RunResult, choices: list[Choice]) -> dict[str, Drawing]:
    """Draw what the run has data for, by file stem."""
    palette = Palette.of(result)
    drawn = (
        fmbench.business_summary(result, choices, palette),
        fmbench.error_rates(result, palette),
        scatter.tokens_vs_latency(result, palette),
        fmbench.concurrency_vs_latency(result, palette),
        curves.throughput_latency(result, palette),
        curves.cost_latency(result, palette),
        curves.speed_throughput(result, palette),
        spread.distribution(result, palette, "ttft"),
        spread.distribution(result, palette, "tpot"),
        spread.distribution(result, palette, "e2e"),
        spread.lengths(result, palette),
        scatter.ttft_prompt(result, palette),
        overtime.timeline(result),
        overtime.error_classes(result),
        overtime.client_health(result),
        cloudwatch.where_time_goes(result),
    )
    return {drawing.name: drawing for drawing in drawn if drawing is not None}
