"""The key figures of a recommendation: the tiles at the top of the page."""

from dataclasses import dataclass

from analysis.decide.recommendation import Candidate, Choice
from analysis.decide.slo import SloCheck
from analysis.render.levels import level_name
from analysis.render.prices import PER_REQUESTS, request_price
from common.formatting import ABSENT, milliseconds, number, plural


@dataclass(frozen=True)
class KeyFigure:
    """One tile: what it is, its value, and a note below."""

    label: str
    value: str
    note: str = ""


def key_figures(choices: list[Choice]) -> list[list[KeyFigure]]:
    """A row of tiles for each payload that has a recommendation."""
    several = len(choices) > 1
    return [_of_best(choice.best, several=several) for choice in choices if choice.best is not None]


def _of_best(best: Candidate, *, several: bool) -> list[KeyFigure]:
    step, experiment = best.step, best.experiment
    payload = f"{experiment.payload}: " if several else ""
    figures = [
        KeyFigure(f"{payload}recommended", experiment.deployed, f"at {level_name(step)}"),
    ]
    if step.cost.per_request is not None:
        note = "assumed price" if experiment.price.assumption else "at full load"
        figures.append(KeyFigure(f"per {PER_REQUESTS}", request_price(step.cost.per_request), note))
    tokens = step.throughput.completion_tokens_per_s
    note = ABSENT if tokens is None else f"{number(tokens)} output tokens/s"
    figures.append(KeyFigure("requests per minute", number(step.throughput.per_minute), note))
    if best.checks:
        return figures + [_of_check(check) for check in best.checks]
    medians = [(metric, step.shown(metric, 50)) for metric in ("ttft", "e2e")]
    return figures + [KeyFigure(f"{m.upper()} p50", milliseconds(v)) for m, v in medians if v]


def _of_check(check: SloCheck) -> KeyFigure:
    """One objective: the measured value or, on too few samples for it, the limit that surely holds."""
    label = check.objective.name
    limit = check.objective.limit
    if check.hidden:
        return KeyFigure(label, f"≤ {limit}", f"95% confidence, {plural(check.samples, 'sample')}")
    return KeyFigure(label, milliseconds(check.value_ms), f"limit {limit}")
