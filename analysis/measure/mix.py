"""The parts of a mix in one step: counts, latency, tokens and cost of each."""

from dataclasses import replace

import pandas as pd

from analysis.measure.mix_parts import PartFacts
from analysis.measure.results import LATENCIES
from analysis.measure.step_parts import TokensPerRequest
from analysis.measure.step_window import count_outcomes, describe, mean_of
from analysis.metrics import definitions
from analysis.metrics.cost import usd_per_request_of_part
from analysis.metrics.definitions import Window
from analysis.metrics.in_flight import mean_in_flight


def part_facts(
    rows: pd.DataFrame, started: pd.DataFrame, window: Window, usd_per_hour: float | None, instances: int
) -> tuple[PartFacts, ...]:
    """Describe the parts of a mix, in the order of their names; empty without a mix.

    Args:
        rows: all rows of the experiment: throughput is what happened inside the window.
        started: the step's rows that started in the window; in open loop, that arrived in it.
        window: the measure window.
        usd_per_hour: of one instance; None without a price.
        instances: that served.
    """
    found = []
    whole = mean_in_flight(rows, window)
    for name in sorted(str(part) for part in started["part"].dropna().unique()):
        facts = _part(name, rows[rows["part"].eq(name)], started[started["part"].eq(name)], window)
        share = facts.in_flight / whole if facts.in_flight is not None and whole else None
        price = usd_per_request_of_part(usd_per_hour, instances, share, facts.per_minute)
        found.append(replace(facts, usd_per_request=price))
    return tuple(found)


def _part(name: str, rows: pd.DataFrame, started: pd.DataFrame, window: Window) -> PartFacts:
    ok = started[started["outcome"] == "ok"]
    tokens = (describe(ok, column, window) for column in ("prompt_tokens", "completion_tokens"))
    return PartFacts(
        part=name,
        counts=count_outcomes(started["outcome"]),
        per_minute=definitions.requests_per_minute(rows, window),
        completion_tokens_per_s=definitions.completion_tokens_per_s(rows, window),
        in_flight=mean_in_flight(rows, window),
        tokens=TokensPerRequest(*(mean_of(described) for described in tokens)),
        latency={metric: d for metric in LATENCIES if (d := describe(ok, metric, window)) is not None},
    )
