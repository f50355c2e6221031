"""Trust checks of the workers: whether their set changed, whether the load held, whether they agree."""

from collections.abc import Callable, Sequence

import numpy as np

from analysis.measure.results import Level, StepResult
from analysis.measure.workers import WorkerFacts
from analysis.metrics.statistics import T95, THREE_SIGMA
from common.formatting import count, milliseconds, number, percent, plural

LOAD_HELD = 0.95
"""Share of the target that must have been in flight throughout for a step whose workers changed."""
UNKNOWN_LOAD = frozenset({"worker_silent", "load_gap", "clock_set"})
CHANGED_WORKERS = frozenset({"worker_lost", "worker_joined", "fewer_workers"})
OUTSIDE_VOID = 0.01
ONE_WORKERS_SHARE, CHANCE = 0.9, 0.001
"""Failures are one worker's if it has nine tenths of them and chance would do that once in a thousand."""
CPU_BUSY = 85.0
"""Per cent of one core (a worker is one process on one core): queueing starts well before 100."""
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
            f"{nearest.worker} {milliseconds(other)}{_distances(worker, nearest)}: "
            "the step's latency is a mixture of both"
        )
        step.trust.add("warn", "workers_disagree", text, worker=worker.worker, p50_ms=middle, other_ms=other)
        return


def _distances(worker: WorkerFacts, other: WorkerFacts) -> str:
    """The round trips of both, where they explain a part of the difference."""
    near, far = sorted((worker.rtt_ms or 0.0, other.rtt_ms or 0.0))
    if not near or far - near < max(1.0, near):
        return ""
    return f" (round trips to the endpoint: {milliseconds(worker.rtt_ms)} and {milliseconds(other.rtt_ms)})"


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


def check_failures(step: StepResult) -> None:
    """Failures of one worker only: its host or its way to the endpoint is at fault, not the endpoint."""
    failed = sum(worker.failed for worker in step.workers)
    for worker in step.workers:
        by_chance = worker.share**worker.failed
        if worker.failed >= ONE_WORKERS_SHARE * failed and by_chance < CHANCE:
            text = (
                f"{count(worker.failed)} of the {plural(failed, 'request')} that failed came from worker "
                f"{worker.title}, which made {percent(worker.share)} of the load: look at that host first"
            )
            step.trust.add("warn", "one_worker_failed", text, worker=worker.worker, failed=worker.failed)


def check_master(step: StepResult) -> None:
    """A master without time: what it sends and writes comes late, the workers' latencies stand."""
    cpu = step.health.master_cpu
    if cpu is not None and cpu >= CPU_BUSY:
        late = (
            "arrivals may have been handed out late" if step.rate is not None else "steps may have begun late"
        )
        text = f"the master's core was {number(cpu)}% busy: {late}, but workers measure latency on their own"
        step.trust.add("warn", "master_cpu", text, cpu_percent=cpu)


def busiest_core(workers: Sequence[WorkerFacts]) -> str:
    """Whose core was the busiest, in brackets, beside the others'; empty with one worker."""
    return _worst(workers, lambda worker: worker.cpu_max, lambda percents: f"{number(percents)}%")


def slowest_loop(workers: Sequence[WorkerFacts]) -> str:
    """Whose event loop lagged most, likewise."""
    return _worst(workers, lambda worker: worker.lag_p99_ms, milliseconds)


def _worst(
    workers: Sequence[WorkerFacts],
    value: Callable[[WorkerFacts], float | None],
    show: Callable[[float], str],
) -> str:
    known = sorted(((v, w.title) for w in workers if (v := value(w)) is not None), reverse=True)
    if len(known) < 2:
        return ""
    (_, name), (other, _), *_ = known
    return f" (worker {name}; of the others at most {show(other)})"


WORKER_CHECKS = (check_workers, check_agreement, check_clocks, check_failures, check_master)
