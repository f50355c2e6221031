"""What the page's "what if" box answers from: the compared steps, with the report's own judgement of each."""

import math
from typing import Any

import numpy as np

from analysis.decide.recommendation import Candidate, Choice
from analysis.measure.results import RunResult
from analysis.metrics.statistics import PERCENTILES
from common.formatting import dollars, number

METRICS = ("ttft", "tpot", "e2e")


def what_if(result: RunResult, choices: list[Choice]) -> dict[str, Any]:
    """The measured points that the page re-answers from: trustworthy steps, statistics that are shown.

    ``limits`` has a row per objective of the plan, then one per metric that has none; at the plan's own
    limits the page repeats ``judgements`` and ``order``, so that it says what the answer says.
    """
    limits = [_limit(o["metric"], str(o["statistic"]), float(o["limit_ms"])) for o in result.objectives]
    named = {str(o["metric"]) for o in result.objectives}
    limits += [_limit(metric, "p50", None) for metric in METRICS if metric not in named]
    return {
        "points": [
            _point(result, choice.payload, c)
            for choice in choices
            for c in choice.competing
            if c.step.usable and math.isfinite(c.order)
        ],
        "limits": limits,
        "error_percent": round(100 * result.error_rate_limit, 9),
        "payloads": [c.payload for c in choices],
        "assumed": result.assumed_price,
    }


def _limit(metric: object, statistic: str, limit_ms: float | None) -> dict[str, Any]:
    """One row of the form; ``text`` is the limit with all its digits, as the browser reads it back."""
    text = "" if limit_ms is None else np.format_float_positional(limit_ms, trim="-")
    return {"metric": metric, "statistic": statistic, "limit_ms": limit_ms, "text": text}


def _point(result: RunResult, payload: str, candidate: Candidate) -> dict[str, Any]:
    step = candidate.step
    names = ("mean", *(f"p{p}" for p in PERCENTILES))
    return {
        "payload": payload,
        "instance": candidate.experiment.deployed,
        "concurrency": step.concurrency,
        "order": candidate.order,
        "rate": number(step.per_minute),
        "price": None if step.usd_per_request is None else dollars(step.usd_per_request * 10_000),
        "error_rate": step.error_rate,
        "too_many_errors": step.error_rate is None or step.error_rate > result.error_rate_limit,
        "judgements": [finding.judgement for finding in candidate.findings],
        "statistics": {m: {n: step.shown(m, n) for n in names} for m in METRICS if m in step.latency},
    }
