"""Estimates how long a plan takes, how many requests it sends and what it costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from configs.load import TraceSize
from configs.plan import Plan
from configs.search import LEAST_PROBE_S, Search
from configs.workload import MAX_TOKENS_KEYS
from runfolder.manifest import PriceQuote

BOOT_S = 390.0
"""The middle of 5 to 8 minutes, the range in recorded DescribeEndpoint responses of LLM endpoints."""
TEARDOWN_S = 60.0
SECONDS_PER_TOKEN = 0.045
"""One user of a 7B model on one A10G (22 tokens/s). Used for estimates only, never in a report."""
FIRST_TOKEN_S = 0.5
DEFAULT_TOKENS = 100
_RAMP_S = 5.0
_CONFIRMATIONS = 4
"""As many as a search makes at most."""


@dataclass(frozen=True)
class Estimate:
    """Bounds for a plan: ``longest`` uses every window fully, ``shortest`` ends each as early as it may.

    The shortest search has one probe; the longest has all that it may need, within its time limit.
    """

    experiments: int
    steps: int
    boot_s: float
    shortest_s: float
    longest_s: float
    requests: int
    shortest_usd: float | None
    longest_usd: float | None
    assumptions: tuple[str, ...]


def answer_tokens(plan: Plan) -> int | None:
    """The longest answer that the plan asks for or allows, in tokens; None where it sets no limit."""
    values = [plan.workload.max_tokens, *(plan.workload.parameters.get(key) for key in MAX_TOKENS_KEYS)]
    limits = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    limit = max(limits, default=None)
    asked = [spec.distribution for spec in plan.workload.specs]
    longest = [one.output.longest if one and one.output else limit for one in asked]
    return None if None in longest else max(value for value in longest if value is not None)


def answer_seconds(plan: Plan) -> float:
    """The expected seconds of one answer for one user: the first token, plus the time of every token."""
    tokens = answer_tokens(plan)
    return FIRST_TOKEN_S + SECONDS_PER_TOKEN * (DEFAULT_TOKENS if tokens is None else tokens)


def estimate(
    plan: Plan,
    quotes: Mapping[str, PriceQuote],
    boots: Mapping[str, float | None] | None = None,
    trace: TraceSize | None = None,
) -> Estimate:
    """Estimate a plan.

    Args:
        plan: the plan.
        quotes: price by instance type.
        boots: seconds to InService by instance type, where known.
        trace: what the plan replays.
    """
    types = plan.endpoint.instance_type[:1] if plan.endpoint.name else plan.endpoint.instance_type
    answer_s = answer_seconds(plan)
    rates = _request_rates(plan, answer_s, trace)
    windows = [_window(plan, rate) for rate in rates]
    if plan.load.trace and trace:
        spans = [trace.seconds / speed - plan.load.warm_up_s for speed in plan.load.trace.speed]
        windows = [(span, span) for span in spans]
    if plan.load.shape:
        windows = [(piece.seconds, piece.seconds) for piece in plan.load.shape]
    rounds = len(plan.workload.labels)
    beside = 1 if plan.load.shape else len(windows)
    shortest_load, longest_load = (
        rounds * (sum(window[bound] for window in windows) + beside * (_RAMP_S + warm_up_s + answer_s))
        for bound, warm_up_s in enumerate((plan.load.least_warm_up_s, plan.load.warm_up_s))
    )
    if (search := plan.load.search) is not None:
        shortest_load = rounds * (windows[0][0] + plan.load.least_warm_up_s + answer_s)
        longest_load = min(longest_load, rounds * search.at_most)
    booting = {kind: _boot(plan, kind, boots) for kind in types}
    teardown_s = 0.0 if plan.endpoint.name else TEARDOWN_S
    idle = {kind: boot + teardown_s for kind, boot in booting.items()}
    warm_up_s = plan.load.warm_up_s
    requests = sum(rate * (long + warm_up_s) for rate, (_, long) in zip(rates, windows, strict=True))
    return Estimate(
        experiments=len(types) * rounds,
        steps=len(types) * rounds * len(windows),
        boot_s=sum(booting.values()),
        shortest_s=sum(idle.values()) + shortest_load * len(types),
        longest_s=sum(idle.values()) + longest_load * len(types),
        requests=round(requests * rounds * len(types)),
        shortest_usd=_usd(plan, quotes, idle, shortest_load),
        longest_usd=_usd(plan, quotes, idle, longest_load),
        assumptions=_assumptions(plan, boots),
    )


def _request_rates(plan: Plan, answer_s: float, trace: TraceSize | None) -> list[float]:
    """Expected requests per second of each step."""
    if plan.load.trace and trace:
        return [trace.requests / trace.seconds * speed for speed in plan.load.trace.speed]
    turns = plan.workload.turns
    if (search := plan.load.search) is not None:
        levels = search_levels(search)
        each = turns if search.over == "rate" else 1 / answer_s
        rates = [level * each for level in levels]
        return rates + [rates[-1]] * (_CONFIRMATIONS if plan.load.confirm else 0)
    pieces = [
        piece.mean_rate * turns if piece.mean_rate else (piece.mean_users or 0) / answer_s
        for piece in plan.load.shape or ()
    ]
    users = [users / answer_s for users in plan.load.concurrency or ()]
    return users + [rate * turns for rate in plan.load.rate or ()] + pieces


def search_levels(search: Search) -> list[float]:
    """The levels of the longest search: doubled up to the highest, then bisected below it."""
    doublings = math.ceil(math.log2(search.high / search.low))
    upwards = [min(search.high, search.low * 2**n) for n in range(doublings + 1)]
    halvings = math.ceil(math.log2(math.log(2) / math.log1p(search.resolution)))
    return upwards + [search.high] * max(0, halvings)


def _window(plan: Plan, rate: float) -> tuple[float, float]:
    """The shortest and the longest window in seconds."""
    if plan.load.search is not None:
        return min(LEAST_PROBE_S, plan.load.measure_s), plan.load.measure_s
    if plan.load.min_requests is None:
        return plan.load.least_measure_s, plan.load.measure_s
    return min(plan.load.measure_s, plan.load.min_requests / rate), plan.load.measure_s


def _boot(plan: Plan, instance_type: str, boots: Mapping[str, float | None] | None) -> float:
    if plan.endpoint.name:
        return 0.0
    boot_s = (boots or {}).get(instance_type)
    return BOOT_S if boot_s is None else boot_s


def _usd(
    plan: Plan, quotes: Mapping[str, PriceQuote], idle: Mapping[str, float], load_s: float
) -> float | None:
    total = 0.0
    for kind, idle_s in idle.items():
        price = quotes[kind].usd_per_hour if kind in quotes else None
        if price is None:
            return None
        total += (idle_s + load_s) / 3600 * price * plan.endpoint.instance_count
    return total


def _assumptions(plan: Plan, boots: Mapping[str, float | None] | None) -> tuple[str, ...]:
    tokens = answer_tokens(plan)
    length = f"{tokens} tokens" if tokens is not None else f"{DEFAULT_TOKENS} tokens (the plan sets no limit)"
    assumptions = [f"an answer of {length} takes {answer_seconds(plan):.1f} s"]
    if plan.endpoint.name:
        return (*assumptions, "the endpoint exists already: only the time of the load is counted")
    known_boots = [boot for boot in (boots or {}).values() if boot is not None]
    if known_boots:
        assumptions.append(f"{max(known_boots):.0f} s to InService")
    else:
        assumptions.append(f"{BOOT_S / 60:.1f} min to InService (5 to 8 are usual for LLMs)")
    return (*assumptions, f"{TEARDOWN_S:.0f} s to delete")
