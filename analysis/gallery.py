"""All pictures of a report, in the order of the page."""

from analysis.answer import Choice
from analysis.plots import seed
from analysis.plots.drawing import Drawing, Palette
from analysis.results import RunResult


def draw(result: RunResult, choices: list[Choice]) -> dict[str, Drawing]:
    """Draw what the run has data for, by file stem."""
    palette = Palette.of(result)
    drawn = (
        seed.business_summary(result, choices, palette),
        seed.error_rates(result, palette),
        seed.tokens_vs_latency(result, palette),
        seed.concurrency_vs_latency(result, palette),
    )
    return {drawing.name: drawing for drawing in drawn if drawing is not None}
