"""A circuit breaker: it ends the run when the endpoint has stopped answering."""

from collections import Counter

MIN_FAILURES = 10
MIN_SECONDS = 30.0
_SLOWEST = 2.0
"""Factor on the slowest answer: a success may still be under way in a shorter streak of failures."""


class CircuitBreaker:
    """Follows the failures of all workers in the order in which their rows arrive.

    It trips when at least ``MIN_FAILURES`` requests have failed in a row, over at least ``MIN_SECONDS`` and
    twice the longest answer of the run, without one success between them. Throttling that lets some requests
    through never trips it, nor does a short burst.
    """

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()
        self._began = 0.0
        self._latest = 0.0
        self._slowest_s = 0.0

    def record_success(self, elapsed_s: float) -> None:
        """Record a request that succeeded after ``elapsed_s`` seconds."""
        self._failures.clear()
        self._slowest_s = max(self._slowest_s, elapsed_s)

    def record_failure(self, now: float, detail: str) -> None:
        """Record a request that failed.

        Args:
            now: the master's monotonic clock in seconds.
            detail: what is known about the failure.
        """
        if not self._failures:
            self._began = now
        self._latest = now
        self._failures[detail] += 1

    def trip_reason(self) -> str | None:
        """Why the run should end; None while the circuit is closed."""
        count, seconds = self._failures.total(), self._latest - self._began
        if count < MIN_FAILURES or seconds < max(MIN_SECONDS, _SLOWEST * self._slowest_s):
            return None
        most_common = self._failures.most_common(1)[0][0]
        return f"{count} requests in a row failed over {seconds:.0f} s: {most_common}"
