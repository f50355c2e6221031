"""Trust checks of the workers: whether their set changed, whether the load held, whether they agree."""

import numpy as np

from analysis.measure.results import Level, StepResult
from analysis.measure.workers import WorkerFacts
from analysis.metrics.statistics import T95, THREE_SIGMA
from common.formatting import milliseconds, number, percent

LOAD_HELD = 0.95
"""Share of the target that must have been in flight throughout for a step whose workers changed."""
UNKNOWN_LOAD = frozenset({"worker_silent", "load_gap", "clock_set"})
CHANGED_WORKERS = frozenset({"worker_lost", "worker_joined", "fewer_workers"})
OUTSIDE_VOID = 0.01
DIFFERENCE = 0.10
"""Medians of two workers that differ by less than a tenth need no word, however certain that is."""
_EVENTS = {
    "worker_silent": "a worker did not report",
    "load_gap": "the load paused",
    "clock_set": "a clock was set",
    "worker_lost": "a worker was lost",
    "worker_joined": "a worker joined",
    "fewer_workers": "fewer workers made the load than in an earlier step",
}

_RECOVERED = ", and the rows on its disk were recovered"
_NOT_RECOVERED = "; rows that it had measured may still be on its disk (`make collect`)"


def check_workers(step: StepResult) -> None:
    """Who made the load: a set of workers that changed, a worker that was silent, a clock that was set."""
    codes = [code for code in step.reason_codes if code in UNKNOWN_LOAD | CHANGED_WORKERS]
    if not codes:
        return
    least, target = step.in_flight.least, step.concurrency
    held, flight = False, ""
    if least is not None and target is not None:
        held = least >= LOAD_HELD * target and not UNKNOWN_LOAD.intersection(codes)
        flight = f"; at the least {number(least)} of {target} requests were in flight"
    elif step.rate is not None:
        # In an open loop, the workers that are there from the start of a step get all of its arrivals.
        held = codes == ["fewer_workers"]
    for code in codes:
        rows = ""
        if code == "worker_lost":
            rows = _RECOVERED if "rows_recovered" in step.reason_codes else _NOT_RECOVERED
        text = f"{_EVENTS[code]}{rows}{flight}"
        step.trust.add("warn" if held else "void", code, text, least_in_flight=least)


def check_agreement(step: StepResult) -> None:
    """A worker whose median differs from the others' by more than both intervals: far away, or slow."""
    known = [w for w in step.workers if w.first_token_p50_ms and w.first_token_interval is not None]
    for worker in known:
        others = [w for w in known if w is not worker]
        if not others:
            return
        nearest = min(others, key=lambda other: _apart(worker, other))
        if _apart(worker, nearest) <= 0:
            continue
        middle, other = worker.first_token_p50_ms, nearest.first_token_p50_ms
        text = (
            f"worker {worker.worker} measured a median of {milliseconds(middle)} to the first token, and "
            f"{nearest.worker} {milliseconds(other)}: the step's latency is a mixture of both"
        )
        step.trust.add("warn", "workers_disagree", text, worker=worker.worker, p50_ms=middle, other_ms=other)
        return


def _apart(worker: WorkerFacts, other: WorkerFacts) -> float:
    """By how many milliseconds two medians differ beyond noise and a tenth; at most 0 where they do not."""
    a, b = worker.first_token_p50_ms or 0.0, other.first_token_p50_ms or 0.0
    one, two = worker.first_token_interval, other.first_token_interval
    assert one is not None and two is not None  # noqa: PT018, S101 - the caller's condition
    noise = THREE_SIGMA / T95 * float(np.hypot(one.high - one.low, two.high - two.low)) / 2
    return abs(a - b) - max(noise, DIFFERENCE * min(a, b))


def check_clocks(step: StepResult) -> None:
    """Rows outside of their step's time: a worker's clock differs from the master's by seconds."""
    rows = step.step_counts.total
    if step.outside:
        share = step.outside / rows
        text = f"{percent(share)} of the requests began outside of their step: a worker's clock is wrong"
        level: Level = "void" if share > OUTSIDE_VOID else "warn"
        step.trust.add(level, "rows_outside_step", text, rows=step.outside, share=share)


WORKER_CHECKS = (check_workers, check_agreement, check_clocks)
