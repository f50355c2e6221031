"""What each worker measured in a step, how far it is from the endpoint and how busy it was."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.metrics import definitions
from analysis.metrics.definitions import Window
from analysis.metrics.statistics import Floats, Interval, effective_samples, percentile_interval
from analysis.metrics.time_blocks import BLOCKS, block_of
from runfolder.percentiles import percentile

_CLOCK_S = 5.0
"""A request may begin this long after its step's tail: until the next step has reached its worker."""


@dataclass(frozen=True)
class WorkerFacts:
    """One worker in one window; durations in milliseconds, None where not measured."""

    worker: str
    host: str | None
    rows: int
    """Requests of it that started in the window, whatever became of them."""
    share: float
    failed: int
    """Of its requests."""
    first_token_p50_ms: float | None
    """TTFT, or E2E latency where the answers were not streamed."""
    first_token_interval: Interval | None
    connect_p50_ms: float | None
    """TCP and TLS set-up of the connections that it opened in the step: about two round trips."""
    rtt_ms: float | None
    """The kernel's smallest round trip to the endpoint."""
    clock_offset_ms: float | None
    """Its clock minus the master's, when it was measured last."""
    clock_error_ms: float | None
    """The true offset differs by no more."""
    cpu_max: float | None
    lag_p99_ms: float | None

    @property
    def title(self) -> str:
        """Its name and its host."""
        return f"{self.worker} on {self.host}" if self.host else self.worker


def worker_facts(own: pd.DataFrame, reports: pd.DataFrame, window: Window) -> tuple[WorkerFacts, ...]:
    """Describe every worker of a step; none where there is only one.

    Args:
        own: the rows of the step.
        reports: workers.csv.
        window: the step's window.
    """
    started = definitions.started_in(own, window)
    at = definitions.numbers(reports, "reported_at")
    seen = reports[(at >= window.start) & (at < window.end)]
    names = sorted(str(name) for name in started["worker"].dropna().unique())
    if len(names) < 2:
        return ()
    metric = "ttft" if started["ttft_ms"].notna().any() else "e2e"
    return tuple(_facts(name, metric, (own, started, seen), window) for name in names)


def rows_outside(own: pd.DataFrame, announced: float | None, ended: float | None) -> int:
    """How many requests of a step began before it was announced or after its tail, by their worker's clock.

    Args:
        own: the rows of the step.
        announced: when the step was announced, epoch seconds by the master's clock; None where not on record.
        ended: when its tail ended, likewise.
    """
    started = definitions.numbers(own, "started_at")
    early = started < (-np.inf if announced is None else announced - _CLOCK_S)
    late = started > (np.inf if ended is None else ended + _CLOCK_S)
    return int((early | late).sum())


def _facts(
    name: str, metric: str, frames: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], window: Window
) -> WorkerFacts:
    own, started, seen = frames
    mine = started[started["worker"] == name]
    ok = mine[mine["outcome"] == "ok"]
    values = definitions.per_row(ok, metric)
    known = ~np.isnan(values)
    middle, interval = _median(values[known], ok[known], window)
    reports = seen[seen["worker"] == name]
    connects = np.sort(definitions.measured(definitions.numbers(own[own["worker"] == name], "connect_ms")))
    round_trips = definitions.measured(definitions.numbers(reports, "rtt_ms"))
    hosts = reports["host"].dropna().unique()
    return WorkerFacts(
        worker=name,
        host=str(hosts[0]) if len(hosts) else None,
        rows=len(mine),
        share=len(mine) / len(started),
        failed=int((mine["outcome"] == "failed").sum()),
        first_token_p50_ms=middle,
        first_token_interval=interval,
        connect_p50_ms=percentile(connects, 50),
        rtt_ms=float(round_trips.min()) if len(round_trips) else None,
        clock_offset_ms=_last(reports, "clock_offset_ms"),
        clock_error_ms=_last(reports, "clock_error_ms"),
        cpu_max=_largest(reports, "cpu_percent"),
        lag_p99_ms=_largest(reports, "lag_p99_ms"),
    )


def _median(values: Floats, rows: pd.DataFrame, window: Window) -> tuple[float | None, Interval | None]:
    ordered = np.sort(values)
    middle = percentile(ordered, 50)
    if middle is None:
        return None, None
    effective_n = effective_samples((values > middle).astype(float), block_of(rows, window), BLOCKS)
    return middle, percentile_interval(ordered, 50, effective_n)


def _largest(frame: pd.DataFrame, column: str) -> float | None:
    values = definitions.measured(definitions.numbers(frame, column))
    return float(values.max()) if len(values) else None


def _last(frame: pd.DataFrame, column: str) -> float | None:
    values = definitions.measured(definitions.numbers(frame, column))
    return float(values[-1]) if len(values) else None
