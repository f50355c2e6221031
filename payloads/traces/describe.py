"""The figures of a trace: rates, burstiness, lengths and sessions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payloads.traces.prefixes import block_chains, repeated_tokens
from payloads.traces.trace import Arrival, Trace

_BINS = 40


@dataclass(frozen=True)
class Lengths:
    """Token counts of the requests whose length is known."""

    known: int
    mean: float
    p50: float
    p95: float
    most: int
    total: int


@dataclass(frozen=True)
class TraceFacts:
    """The result of `describe_trace`. Rates are requests per second."""

    arrivals: int
    duration_s: float
    mean_rate: float | None
    """Arrivals after the first per second of the duration; None for a single moment."""
    peak_rate_1s: int
    """The most arrivals within one second, of any second that begins with an arrival."""
    peak_rate_60s: float
    """The most arrivals within a minute, per second."""
    cv: float | None
    """Coefficient of variation of the times between arrivals: 0 constant, 1 Poisson, more is bursty."""
    rates: tuple[float, ...]
    """Mean rate over equal parts of the duration."""
    prompt: Lengths | None
    output: Lengths | None
    sessions: int
    turns_per_session: float | None
    shared_prefix: float | None
    """Share of prefix blocks that an earlier request also had: the hit rate of a perfect prefix cache."""
    repeated_tokens: float | None
    """Share of the prompt tokens in those blocks."""


def describe_trace(trace: Trace) -> TraceFacts:
    """Rates, burstiness, lengths and sessions of a trace with at least one arrival."""
    times = np.array([arrival.at_s for arrival in trace.arrivals])
    gaps = np.diff(times)
    duration = trace.duration_s
    turns = Counter(arrival.session for arrival in trace.arrivals if arrival.session)
    return TraceFacts(
        arrivals=len(times),
        duration_s=duration,
        mean_rate=len(gaps) / duration if duration else None,
        peak_rate_1s=_most_within(times, 1.0),
        peak_rate_60s=_most_within(times, 60.0) / 60,
        cv=float(gaps.std() / gaps.mean()) if len(gaps) > 1 and gaps.mean() > 0 else None,
        rates=_rates(times, duration),
        prompt=_lengths([arrival.prompt_tokens for arrival in trace.arrivals]),
        output=_lengths([arrival.output_tokens for arrival in trace.arrivals]),
        sessions=len(turns),
        turns_per_session=turns.total() / len(turns) if turns else None,
        shared_prefix=_shared_prefix(trace.arrivals),
        repeated_tokens=_repeated_share(trace.arrivals),
    )


def _most_within(times: NDArray[np.float64], seconds: float) -> int:
    """The most arrivals in any half-open window of ``seconds``; the fullest one begins with an arrival."""
    ends = np.searchsorted(times, times + seconds, side="left")
    return int((ends - np.arange(len(times))).max())


def _rates(times: NDArray[np.float64], duration: float) -> tuple[float, ...]:
    if not duration:
        return ()
    counts, edges = np.histogram(times, bins=_BINS, range=(0.0, duration))
    return tuple(float(count / (edges[1] - edges[0])) for count in counts)


def _lengths(values: Sequence[int | None]) -> Lengths | None:
    known = np.array([value for value in values if value is not None])
    if not known.size:
        return None
    p50, p95 = (float(value) for value in np.percentile(known, (50, 95)))
    return Lengths(known.size, float(known.mean()), p50, p95, int(known.max()), int(known.sum()))


def _shared_prefix(arrivals: Sequence[Arrival]) -> float | None:
    """The share of shared blocks: an earlier prompt begins with the same blocks, up to this one."""
    chains = block_chains(arrivals)
    total = sum(len(chain) for chain in chains)
    return (total - len({block for chain in chains for block in chain})) / total if total else None


def _repeated_share(arrivals: Sequence[Arrival]) -> float | None:
    known = [arrival for arrival in arrivals if arrival.prompt_tokens]
    tokens = sum(arrival.prompt_tokens or 0 for arrival in known)
    if not tokens or not any(arrival.prefix for arrival in known):
        return None
    return sum(repeated_tokens(known)) / tokens
