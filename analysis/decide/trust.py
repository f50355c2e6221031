"""The trust gate: every step passes, warns or is void, with coded reasons. Pure functions.

A void step is shown, greyed, and cannot enter a recommendation.
"""

from collections.abc import Callable
from typing import Any

from analysis.decide.trust_answers import ANSWER_CHECKS, check_tokens
from analysis.decide.trust_open_loop import OPEN_LOOP_CHECKS
from analysis.decide.trust_stationary import STATIONARY_CHECKS
from analysis.decide.trust_workers import CPU_BUSY, WORKER_CHECKS, busiest_core, slowest_loop
from analysis.measure.results import Level, RunResult, StepResult
from analysis.metrics.statistics import samples_needed
from common.formatting import count, milliseconds, number, percent, plural

CPU_FULL = 97.0
LITTLE_WARN, UNDERLOAD_VOID = 0.05, 0.25
LAG_SHARE = 0.05
"""Reading lag that matters: a twentieth of the median TTFT."""
CENSORED_VOID = 0.05
COUNTS_VOID = 0.05
"""A larger difference between two counts of the same requests is more than rounding at the edges."""


_KEY_BEFORE_0_2 = "honest_concurrency"


def check_run(result: RunResult) -> None:
    """Run every check on every step."""
    limits = accurate_concurrency(result.calibration).values()
    calibrated = max((limit for limit in limits if limit), default=None)
    for step in result.steps:
        check_step(step)
        in_flight = step.concurrency if step.rate is None else step.in_flight.mean
        per_worker = (in_flight or 0) / (step.health.workers or 1)
        if calibrated is not None and per_worker > calibrated:
            step.trust.add(
                "warn",
                "beyond_calibration",
                f"{number(per_worker)} streams per worker exceed this machine's calibrated limit of "
                f"{calibrated}",
                streams_per_worker=per_worker,
                calibrated=calibrated,
            )


def accurate_concurrency(calibration: dict[str, Any] | None) -> dict[str, int | None]:
    """Protocol (HTTP, TLS) → streams per worker up to which `calibrate` found this machine accurate.

    None where not even one stream was; empty without a calibration.
    """
    calibration = calibration or {}
    limits = calibration.get("max_accurate_concurrency") or calibration.get(_KEY_BEFORE_0_2)
    if not isinstance(limits, dict):
        return {}
    return {str(name): limit if isinstance(limit, int) else None for name, limit in limits.items()}


def check_step(step: StepResult) -> None:
    """Run every check on one step; a step without a window or without an ok request is void at once."""
    if step.state == "interrupted":
        step.trust.add("void", "interrupted", f"the step was interrupted{_because(step)}")
    if step.state == "planned":
        step.trust.add("void", "not_played", step.reasons or "the step was not played")
    elif step.state == "lost":
        rows = step.step_counts.total
        text = f"steps.csv has no row of this step, though {plural(rows, 'request')} of it are on record"
        step.trust.add("void", "step_lost", text, rows=rows)
    elif step.state == "running":
        step.trust.add("void", "not_finished", "the step was not finished")
    elif step.window is None and step.state != "interrupted":
        step.trust.add("void", "no_window", "the measure window is not on record")
    if step.window is None:
        return
    counts = step.window_counts
    if not counts.ok:
        failed = ""
        if counts.failed:
            classes = _error_class_suffix(step.errors.classes)
            failed = f": all {plural(counts.failed, 'request')} failed{classes}"
        step.trust.add(
            "void",
            "nothing_answered",
            f"no request that started in the window was answered{failed}",
            failed=counts.failed,
            classes=step.errors.classes,
        )
        return
    for check in CHECKS:
        check(step)


def check_state(step: StepResult) -> None:
    """Whether the load generator reported trouble in the step."""
    if step.state == "degraded":
        step.trust.add(
            "warn", "degraded", f"the load generator reported the step as degraded{_because(step)}"
        )


def check_samples(step: StepResult) -> None:
    """Too few samples for a median, or for a p95."""
    level: Level
    answered = step.window_counts.ok
    if answered < samples_needed(50):
        level, text = "void", "too few for a median (10 are needed)"
    elif answered < samples_needed(95):
        level, text = "warn", "too few for a p95 (100 are needed)"
    else:
        return
    samples = plural(answered, "sample")
    step.trust.add(level, "too_few_samples", f"{samples}: {text}", samples=answered)


def check_lost(step: StepResult) -> None:
    """Requests that started but have no row, or that were cut off."""
    rows = step.step_counts.total
    started = step.reported_counts.get("started")
    if started is not None and started != rows:
        step.trust.add(
            _void_or_warn(abs(started - rows) > 0.01 * started),
            "rows_missing",
            f"{count(started)} requests started, but {count(rows)} were recorded",
            started=started,
            rows=rows,
        )
    behind_failures = 0 if step.conversations is None else step.conversations.cut_off
    if cut_off := step.window_counts.censored - behind_failures:
        share = cut_off / step.window_counts.total
        step.trust.add(
            _void_or_warn(share > CENSORED_VOID),
            "censored_requests",
            f"{plural(cut_off, 'request')} ({percent(share)}) {'was' if cut_off == 1 else 'were'} cut off",
            censored=cut_off,
            share=share,
        )


def check_locust(step: StepResult) -> None:
    """Our count against Locust's own."""
    counted = step.reported_counts.get("locust_requests")
    rows = step.step_counts.total
    if counted is not None and counted != rows:
        step.trust.add(
            _void_or_warn(abs(counted - rows) > COUNTS_VOID * max(counted, rows)),
            "locust_count_differs",
            f"Locust counted {count(counted)} requests, the rows {count(rows)}",
            locust=counted,
            rows=rows,
        )


def check_errors(step: StepResult) -> None:
    """Failed requests. Whether they are too many is up to the SLO."""
    failed, errors = step.window_counts.failed, step.errors
    if failed:
        requests = plural(failed, "request")
        step.trust.add(
            "warn",
            "failed_requests",
            f"{requests} failed ({percent(errors.rate)}){_error_class_suffix(errors.classes)}",
            failed=failed,
            share=errors.rate,
            classes=errors.classes,
        )


def check_client(step: StepResult) -> None:
    """Whether the load generator itself was the bottleneck."""
    health = step.health
    ttft = step.latency.get("ttft") or step.latency.get("e2e")
    clocks = step.provenance.clocks
    kernel = clocks.get("kernel", 0) / max(1, sum(clocks.values()))
    if health.cpu_max is not None and health.cpu_max >= CPU_BUSY:
        void = health.cpu_max >= CPU_FULL and kernel < 0.99
        busy = f"a worker's core was {number(health.cpu_max)}% busy: the client may have been the bottleneck"
        step.trust.add(
            "void" if void else "warn",
            "client_cpu",
            f"{busy}{busiest_core(step.workers)}",
            cpu_percent=health.cpu_max,
        )
    lag = health.lag_p99_ms
    if lag is not None and ttft is not None and lag > LAG_SHARE * ttft.percentiles[50]:
        if kernel >= 0.99:
            late = "arrivals carry kernel time stamps, so latency stands, but requests were sent late"
        else:
            late = "the clock was read in the client, so this lag is inside the latency"
        whose = slowest_loop(step.workers)
        text = f"the client's event loop lagged {milliseconds(lag)} at p99{whose}: {late}"
        step.trust.add("warn", "client_lag", text, lag_p99_ms=lag, kernel_share=kernel)


def check_little(step: StepResult) -> None:
    """Little's law: throughput × latency = users."""
    residual, in_flight = step.in_flight.little_residual, step.in_flight.mean
    completions = step.throughput.completions
    if residual is None or not step.concurrency or completions is None or step.ramps:
        return
    edge = step.concurrency / max(1, completions)
    over = residual - edge
    if over > LITTLE_WARN:
        mean = step.latency["e2e"].mean / 1000
        users = "client" if step.concurrency == 1 else "clients"
        step.trust.add(
            "void",
            "impossible_little",
            f"impossible by Little's law: {step.concurrency} {users} at {number(mean)} s cannot do "
            f"{number(step.throughput.per_minute)} requests a minute",
            residual=residual,
        )
    if in_flight is None:
        if step.window_counts.failed or step.window_counts.censored:
            step.trust.add(
                "warn",
                "in_flight_unknown",
                "how many requests were in flight is not known: "
                "the record does not say how long the failed ones took",
            )
        return
    if step.conversations is not None:
        return  # users think between two turns
    short = 1 - in_flight / step.concurrency
    if short > LITTLE_WARN:
        step.trust.add(
            _void_or_warn(short > UNDERLOAD_VOID),
            "underload",
            f"{number(in_flight)} requests were in flight on average, not {step.concurrency}: "
            "the load did not reach its target",
            in_flight=in_flight,
            target=step.concurrency,
        )


CHECKS: tuple[Callable[[StepResult], None], ...] = (
    check_state,
    *OPEN_LOOP_CHECKS,
    *WORKER_CHECKS,
    check_samples,
    check_lost,
    check_locust,
    check_errors,
    *STATIONARY_CHECKS,
    check_client,
    check_little,
    *ANSWER_CHECKS,
)

COUNT_CHECKS = (check_samples, check_errors, check_tokens)
"""Checks that are made again on the sums of repetitions: too few for one may be enough together."""
COUNT_CODES = frozenset(
    {
        "too_few_samples",
        "failed_requests",
        "estimated_tokens",
        "no_token_counts",
        "more_chunks_than_tokens",
    }
)
"""The codes that those checks give."""


def _error_class_suffix(classes: dict[str, int]) -> str:
    """How the failed requests failed: ``: throttled``, ``, most of them throttled (3)``."""
    if not classes:
        return ""
    top, count = next(iter(classes.items()))
    return f": {top}" if len(classes) == 1 else f", most of them {top} ({count})"


def _void_or_warn(condition: bool) -> Level:  # noqa: FBT001 - reads as a sentence where it is called
    return "void" if condition else "warn"


def _because(step: StepResult) -> str:
    """What the load generator says about the state of a step, where it says more than the state."""
    return f": {step.reasons}" if step.reasons and step.reasons != step.state else ""
