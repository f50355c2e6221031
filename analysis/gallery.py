"""All pictures of a report, in the order of the page."""

from analysis.answer import Choice
from analysis.plots import curves, overtime, scatter, seed, service, spread
from analysis.plots.drawing import Drawing, Palette
from analysis.results import RunResult


def draw(result: RunResult, choices: list[Choice]) -> dict[str, Drawing]:
    """Draw what the run has data for, by file stem."""
    palette = Palette.of(result)
    drawn = (
        seed.business_summary(result, choices, palette),
        seed.error_rates(result, palette),
        scatter.tokens_vs_latency(result, palette),
        seed.concurrency_vs_latency(result, palette),
        curves.throughput_latency(result, palette),
        curves.cost_latency(result, palette),
        spread.distribution(result, palette, "ttft"),
        spread.distribution(result, palette, "e2e"),
        scatter.ttft_prompt(result, palette),
        overtime.timeline(result),
        overtime.error_classes(result),
        overtime.client_health(result),
        service.where_time_goes(result),
    )
    return {drawing.name: drawing for drawing in drawn if drawing is not None}
