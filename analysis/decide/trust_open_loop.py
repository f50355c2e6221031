"""Trust checks of open-loop steps: whether the endpoint kept up, and whether requests were sent on time."""

from analysis.measure.results import StepResult
from common.formatting import milliseconds, plural

LATE_SHARE, LATE_MS = 0.05, 5.0
"""A schedule delay matters above a twentieth of the median time to the first token, and above 5 ms."""


def check_saturation(step: StepResult) -> None:
    """Requests that pile up: the longer the window, the longer the latency, so that it has no value."""
    if step.rate is None:
        return
    withheld = step.window_counts.withheld
    # A trace and a shape have busy times of their own: more in flight in them is no sign of saturation.
    steady = step.speed is None and step.piece is None
    rising = steady and (step.in_flight.rising or step.in_flight.ttft_rising)
    if not (withheld or rising or "saturated" in step.reason_codes):
        return
    only_ttft = step.in_flight.ttft_rising and not step.in_flight.rising
    text = f"the endpoint did not keep up with {step.rate:.4g} {step.arrivals_noun}/s: "
    text += (
        f"{plural(withheld, 'request')} arrived while as many as allowed were in flight"
        if withheld
        else f"the {'time to first token' if only_ttft else 'requests in flight'} rose steadily"
    )
    step.trust.add("void", "saturated", text, withheld=withheld, rate=step.rate)


def check_schedule(step: StepResult) -> None:
    """Requests that were sent late: their latency counts from the arrival, and so contains the delay."""
    delay = step.latency.get("schedule_delay")
    first = step.latency.get("ttft") or step.latency.get("e2e")
    if delay is None or first is None:
        return
    late = delay.percentiles[99]
    if late > max(LATE_MS, LATE_SHARE * first.percentiles[50]):
        text = (
            f"requests were sent up to {milliseconds(late)} after their arrival (p99), because connections "
            "were opened or the client was busy; the delay is part of the latency"
        )
        step.trust.add("warn", "sent_late", text, schedule_delay_p99_ms=late)


OPEN_LOOP_CHECKS = (check_saturation, check_schedule)
