"""FMBench's method on our records, beside the true figures, with the reason for every difference.

FMBench (aws-samples/foundation-model-benchmarking-tool, March 2024) sends synchronised bursts, takes rates
per burst, averages the rates, and truncates. Pure functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.measure.results import StepResult
from analysis.metrics.definitions import elapsed_ms, numbers
from analysis.metrics.in_flight import most_per_minute
from common.formatting import number, plural


@dataclass(frozen=True)
class Burst:
    """One burst: sums over its requests. ``seconds`` is its wall time E, ``latency_sum`` in seconds too."""

    seconds: float
    successes: int
    errors: int
    prompt_tokens: float
    completion_tokens: float
    latency_sum: float | None
    """None where the record has percentiles of several answers instead (FMBench 2.x)."""


@dataclass(frozen=True)
class PrintedFigures:
    """What FMBench prints for one concurrency; None where it would have divided by nothing."""

    transactions_per_minute: int
    price_per_txn: float | None
    prompt_token_throughput: int
    completion_token_throughput: int
    prompt_token_count_mean: int
    completion_token_count_mean: int
    latency_mean: float | None
    score: float | None


def fmbench_level(bursts: list[Burst], usd_per_hour: float | None) -> PrintedFigures | None:
    """FMBench's figures for one concurrency; None without an answered burst.

    Formula: per burst, rates over its wall time E rounded to 0.01 and transactions/min = int(60 × rate);
    over bursts, unweighted means, truncated to integers; latency to 0.01 s; price = $/h / 60 / that rate.
    Unit: as FMBench's table.
    Source: ``calculate_metrics`` of FMBench at 22 March 2024.
    """
    answered = [b for b in bursts if b.successes and b.seconds > 0]
    if not answered:
        return None
    per_minute = int(_mean(int(60 * round(b.successes / b.seconds, 2)) for b in answered))
    means = [b.latency_sum / b.successes for b in answered if b.latency_sum is not None]
    latency = round(_mean(means), 2) if len(means) == len(answered) else None
    price = usd_per_hour / 60 / per_minute if usd_per_hour is not None and per_minute else None
    score = 0.5 / price + 0.5 / latency if price and latency else None
    return PrintedFigures(
        transactions_per_minute=per_minute,
        price_per_txn=price,
        prompt_token_throughput=int(_mean(round(b.prompt_tokens / b.seconds, 2) for b in answered)),
        completion_token_throughput=int(_mean(round(b.completion_tokens / b.seconds, 2) for b in answered)),
        prompt_token_count_mean=int(_mean(b.prompt_tokens / b.successes for b in answered)),
        completion_token_count_mean=int(_mean(b.completion_tokens / b.successes for b in answered)),
        latency_mean=latency,
        score=score,
    )


def bursts_of(rows: pd.DataFrame, concurrency: int) -> list[Burst]:
    """Our records as FMBench's bursts: requests in order of start, N at a time, E the slowest of each.

    Our load has no barrier between bursts, so at N > 1 this is what its arithmetic makes of our requests,
    not what its load would have measured.
    """
    ordered = rows[rows["outcome"] != "censored"].sort_values("started_at", kind="stable")
    ok = (ordered["outcome"] == "ok").to_numpy()
    e2e = np.nan_to_num(elapsed_ms(ordered)) / 1000
    prompt = np.nan_to_num(numbers(ordered, "prompt_tokens"))
    completion = np.nan_to_num(numbers(ordered, "completion_tokens"))
    starts = np.arange(0, len(ordered), max(1, concurrency))
    if not len(starts):
        return []
    longest = np.maximum.reduceat(e2e, starts)
    counts = np.add.reduceat(np.ones(len(ordered)), starts)
    sums = [
        np.add.reduceat(column, starts) for column in (ok.astype(float), prompt, completion * ok, e2e * ok)
    ]
    return [
        Burst(float(e), int(good), int(size - good), float(tokens_in), float(tokens_out), float(latency))
        for e, size, good, tokens_in, tokens_out, latency in zip(longest, counts, *sums, strict=True)
    ]


@dataclass(frozen=True)
class Difference:
    """One line of the comparison: both figures, and why they differ. None is "not known"."""

    name: str
    """As FMBench's table has it; so is the unit: dollars, tokens, tokens/s, requests/min or seconds."""
    fmbench: float | None
    true: float | None
    reason: str


def differences(step: StepResult, level: PrintedFigures) -> list[Difference]:
    """The comparison of one step, line by line."""
    e2e = step.latency.get("e2e")
    rate_reason = "a mean of rates: short requests weigh as much as long ones"
    if step.concurrency and step.concurrency > 1:
        rate_reason += ", and each burst waits for its slowest request"
    if (impossible := impossible_rate(step, level)) is not None:
        rate_reason = f"{rate_reason}; {impossible}"
    return [
        Difference(
            "transactions_per_minute", level.transactions_per_minute, step.throughput.per_minute, rate_reason
        ),
        Difference(
            "price_per_txn",
            level.price_per_txn,
            step.cost.per_request,
            "follows from transactions_per_minute",
        ),
        Difference(
            "prompt_token_throughput",
            level.prompt_token_throughput,
            step.throughput.prompt_tokens_per_s,
            "a mean of rates, truncated",
        ),
        Difference(
            "completion_token_throughput",
            level.completion_token_throughput,
            step.throughput.completion_tokens_per_s,
            "a mean of rates: short answers pull it down; truncated",
        ),
        Difference(
            "prompt_token_count_mean",
            level.prompt_token_count_mean,
            step.tokens_per_request.prompt,
            "truncated; failed requests' prompts count in FMBench",
        ),
        Difference(
            "completion_token_count_mean",
            level.completion_token_count_mean,
            step.tokens_per_request.completion,
            "truncated to an integer",
        ),
        Difference(
            "latency_mean",
            level.latency_mean,
            None if e2e is None else e2e.mean / 1000,
            "the mean of bursts' means; a mean hides the tail",
        ),
    ]


def impossible_rate(step: StepResult, level: PrintedFigures) -> str | None:
    """Why FMBench's rate cannot be, by Little's law; None when it can."""
    e2e = step.latency.get("e2e")
    if e2e is None or not step.concurrency:
        return None
    most = most_per_minute(step.concurrency, e2e.mean)
    if level.transactions_per_minute <= most * 1.02:
        return None
    who = "one client" if step.concurrency == 1 else plural(step.concurrency, "client")
    return (
        f"{who} at {number(e2e.mean / 1000)} s cannot do {level.transactions_per_minute} a minute "
        f"(at most {number(most)})"
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return float(sum(listed) / len(listed))
