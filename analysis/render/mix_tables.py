"""The table of a mix: what each of its parts got, beside the whole."""

from analysis.measure.results import ExperimentResult, RunResult
from analysis.render.levels import level_noun, level_value
from analysis.render.prices import PER_REQUESTS, assumed_mark, request_price
from analysis.render.tables import Table, numbers, texts
from common.formatting import count, milliseconds, number

_SHOWN = (("ttft", 50), ("ttft", 95), ("tpot", 50), ("e2e", 50), ("e2e", 95))


def part_table(result: RunResult, experiment: ExperimentResult) -> Table:
    """One row per step and part."""
    assumed = assumed_mark(assumed=result.assumed_price)
    columns = [
        *texts(level_noun(result), "part"),
        *numbers("ok", "failed", "requests/min", "output tokens/s"),
    ]
    columns += numbers("prompt tokens", "answer tokens", *(f"{m.upper()} p{p}" for m, p in _SHOWN))
    columns += numbers(f"$/{PER_REQUESTS}{assumed}")
    rows = [
        [
            level_value(step),
            part.part,
            count(part.counts.ok),
            count(part.counts.failed),
            number(part.per_minute),
            number(part.completion_tokens_per_s),
            number(part.tokens.prompt),
            number(part.tokens.completion),
            *(
                milliseconds(None if (found := part.latency.get(m)) is None else found.shown(p))
                for m, p in _SHOWN
            ),
            request_price(part.usd_per_request),
        ]
        for step in experiment.steps
        for part in step.parts
    ]
    note = "The price is shared among the parts by the time that their requests are in flight."
    return Table("Parts of the mix", columns, rows, note=note)
