"""What the best step of each experiment costs at full load and at lower utilisations."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.decide.recommendation import Candidate, Choice, cheapest
from analysis.measure.results import RunResult
from analysis.metrics.cost import UTILISATIONS, usd_per_million_tokens, usd_per_request


@dataclass(frozen=True)
class UtilisationPrice:
    """Dollars at one utilisation (0 to 1) of a candidate; None where its rate is not known."""

    candidate: Candidate
    utilisation: float
    usd_per_request: float | None
    usd_per_million_output: float | None
    usd_per_million_total: float | None


def utilisation_prices(result: RunResult, choices: Sequence[Choice]) -> list[UtilisationPrice]:
    """Prices at `UTILISATIONS`, per payload, of each experiment's cheapest step that passes.

    An experiment without such a step or without a price has none.
    """
    prices = []
    for choice in choices:
        for experiment in result.experiments:
            best = cheapest(c for c in choice.candidates if c.experiment is experiment and c.passes)
            if best is not None and experiment.usd_per_hour is not None:
                prices += [_price_at(best, share) for share in UTILISATIONS]
    return prices


def _price_at(best: Candidate, utilisation: float) -> UtilisationPrice:
    usd, instances = best.experiment.usd_per_hour, best.experiment.instance_count
    output, prompt = best.step.throughput.completion_tokens_per_s, best.step.throughput.prompt_tokens_per_s
    total = output + prompt if output is not None and prompt is not None else None
    return UtilisationPrice(
        candidate=best,
        utilisation=utilisation,
        usd_per_request=usd_per_request(usd, instances, best.step.throughput.per_minute, utilisation),
        usd_per_million_output=usd_per_million_tokens(usd, instances, output, utilisation),
        usd_per_million_total=usd_per_million_tokens(usd, instances, total, utilisation),
    )
