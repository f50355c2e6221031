"""What clocks and reports say about a step that was played."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from configs.experiment import Step
from locustfiles.master.clock import ClockReading, clock_disturbances
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.worker_group import StepReason, WorkerGroup
from locustfiles.messages import MeasureWindow
from runfolder.records import StepRow, WorkerReport

_MAX_CPU_PERCENT = 90.0
_MAX_LAG_MS = 50.0


class PlayedStep(NamedTuple):
    """A step of which the window is closed. Its requests may still be in flight."""

    step: Step
    row: StepRow
    window: MeasureWindow
    opened: ClockReading
    """The clocks when the window opened."""


class StepFindings(NamedTuple):
    """What was found about a step: reasons that degrade it, and others."""

    degrading: list[StepReason]
    informational: list[StepReason]


def check_step(
    group: WorkerGroup,
    collector: ReportCollector,
    window: MeasureWindow,
    opened: ClockReading,
    ended: ClockReading,
) -> StepFindings:
    """Check workers, clocks and proxies over a step's window and its tail.

    The tail counts because requests of the window were in flight until its end.

    Args:
        group: to the workers.
        collector: what they have reported. Clock changes that it has noted are removed from it.
        window: the measure window.
        opened: the clocks when the window opened.
        ended: the clocks at the end of the tail.
    """
    degrading, informational = client_limits(collector.healths, window)
    degrading += clock_disturbances(opened, ended)
    # This includes workers that were lost and came back: what they did meanwhile is not known.
    degrading += collector.silent_workers(window, ended.wall, set(group.live_workers()))
    degrading += [StepReason("clock_set", text) for _, text in collector.clock_steps]
    collector.clock_steps.clear()
    informational += [StepReason("proxy", f"latency includes the proxy {proxy}") for proxy in group.proxies()]
    return StepFindings(degrading, informational)


def client_limits(healths: Iterable[WorkerReport], window: MeasureWindow) -> StepFindings:
    """Signs that a load generator was the bottleneck of a window.

    Args:
        healths: what the load generators reported on their health.
        window: the measure window.
    """
    degrading: list[StepReason] = []
    informational: list[StepReason] = []
    seen: dict[str, list[WorkerReport]] = defaultdict(list)
    for row in healths:
        if window.start <= row.reported_at <= window.end:
            seen[row.worker].append(row)
    for worker, reports in seen.items():
        cpu = sum(row.cpu_percent for row in reports) / len(reports)
        if cpu > _MAX_CPU_PERCENT:
            text = f"client-limited: {worker} used {cpu:.0f}% of its core"
            degrading.append(StepReason("client_limited", text))
        lags = sorted(lag for row in reports if (lag := row.clock_lag_p99_ms) is not None)
        if lags and lags[len(lags) // 2] > _MAX_LAG_MS:
            late = f"{worker} read answers up to {lags[len(lags) // 2]:.0f} ms late (p99)"
            informational.append(StepReason("late_reading", late))
    return StepFindings(degrading, informational)
