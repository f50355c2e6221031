"""Health of the load generator itself, so that its own delays are not taken for the server's."""

import socket
import time

import gevent
import psutil

from locustfiles.messages import WorkerHealth
from runfolder.percentiles import percentile

_NAP_S = 0.02


class HealthProbe:
    """Samples event-loop lag (overshoot of a short sleep), reading lag, CPU and memory."""

    def __init__(self) -> None:
        self.host = socket.gethostname()
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._loop_lags: list[float] = []
        self._clock_lags: list[float] = []
        self._clock_offset = time.time() - time.monotonic()
        self.on_read = self._clock_lags.append
        """Call it with the seconds between the arrival of data and its reading."""

    def run(self) -> None:
        """Sample forever; to be spawned as a greenlet."""
        while True:
            before = time.perf_counter()
            gevent.sleep(_NAP_S)
            self._loop_lags.append(time.perf_counter() - before - _NAP_S)

    def snapshot(self) -> WorkerHealth:
        """Health since the last snapshot."""
        offset = time.time() - time.monotonic()
        moved, self._clock_offset = offset - self._clock_offset, offset
        health = WorkerHealth(
            cpu_percent=self._process.cpu_percent(),
            memory_mb=self._process.memory_info().rss / 1e6,
            lag_p50_ms=percentile_ms(self._loop_lags, 50),
            lag_p99_ms=percentile_ms(self._loop_lags, 99),
            clock_lag_p50_ms=percentile_ms(self._clock_lags, 50),
            clock_lag_p99_ms=percentile_ms(self._clock_lags, 99),
            clock_step_ms=moved * 1000,
        )
        self._loop_lags.clear()
        self._clock_lags.clear()
        return health


def percentile_ms(seconds: list[float], p: float) -> float | None:
    """Percentile of durations in seconds, in milliseconds; None if there are none."""
    value = percentile(sorted(seconds), p)
    return None if value is None else max(0.0, value * 1000)
