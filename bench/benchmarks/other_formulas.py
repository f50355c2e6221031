"""How two other tools compute their figures, written from their published formulas.

Each docstring names the version and the file in which the formula was read. No code is theirs.
"""

import statistics
from collections.abc import Sequence

SUITE_REQUESTS = 30
"""Requests per level: ``requests_per_level`` of the AWS sample suite's template and recipes."""
SUITE_WARM_UP = 3
"""``warmup_requests`` of the same."""
_LEAST_REQUESTS = 10
"""``min_requests_per_run`` of LLMeter's ``LoadTest``."""


def suite_requests_per_s(concurrency: int, latencies_s: Sequence[float]) -> float:
    """``rps`` of the AWS sample suite: concurrency / mean latency. It does not use how long the level took.

    Source: aws-samples/sagemaker-genai-hosting-examples at 089da29, 07-benchmark/
    sagemaker-inference-benchmark-suite, scripts/benchmarker.py and README.md ("Metrics Collected").

    Args:
        concurrency: the level that was asked for.
        latencies_s: of the answered requests, in seconds; at least one.
    """
    return concurrency / statistics.fmean(latencies_s)


def suite_percentile(values: Sequence[float], share: float) -> float:
    """A percentile of the AWS sample suite: the median, or the value at index ⌊n · share⌋ in order.

    Source: the same file. With n = 30, p99 is the largest value.

    Args:
        values: in any unit; at least one.
        share: 0.5, 0.9 or 0.99.
    """
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def llmeter_requests(clients: int) -> int:
    """How many requests each client of LLMeter's ``LoadTest`` sends by default: one, but ten in all at least.

    Source: LLMeter 0.2.0, llmeter/experiments.py.
    """
    return max(1, -(-_LEAST_REQUESTS // clients))


def llmeter_requests_per_minute(starts: Sequence[float]) -> float | None:
    """``requests_per_minute`` of LLMeter: 60 · n / (last start − first start); None without two starts.

    Source: LLMeter 0.2.0, llmeter/utils.py, ``RunningStats.to_stats``. n starts have n − 1 intervals, and the
    answers to the last ones are not waited for. Its ``output_tps`` divides by the whole run instead.

    Args:
        starts: when each request started, in seconds.
    """
    span = max(starts) - min(starts) if starts else 0.0
    return 60 * len(starts) / span if span else None
