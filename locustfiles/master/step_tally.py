"""Counts and live figures of one step, with the same definitions as in the report."""

from collections import Counter, deque
from dataclasses import dataclass, field

from locustfiles.master.row_totals import Latency
from locustfiles.master.sorted_values import SortedValues
from locustfiles.messages import MeasureWindow
from runfolder.percentiles import percentile
from runfolder.records import Request

LATENCIES: tuple[Latency, ...] = ("ttft_ms", "tpot_ms", "e2e_ms")
_RECENT = 500
_RECENT_S = 15.0


@dataclass(slots=True)
class StepTally:
    """Rows of one step received so far, and what happened in its measure window."""

    ok: int = 0
    failed: int = 0
    censored: int = 0
    withheld: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Failures by their detail."""
    window: MeasureWindow | None = None
    measured_ok: int = 0
    """Ok requests that started in the window; in an open loop, that arrived in it."""
    measured_failed: int = 0
    """Failed requests that started in the window; in an open loop, that arrived in it."""
    completions: int = 0
    """Ok requests of any step that ended in the window."""
    completion_tokens: float = 0.0
    """Completion tokens that arrived in the window, of requests of any step."""
    _latencies: dict[str, SortedValues] = field(
        default_factory=lambda: {name: SortedValues() for name in LATENCIES}
    )
    _recent: deque[tuple[float, Request]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """(end time, row) of the last ok requests, shown before the window opens."""

    def add_ok(self, row: Request, ended_at: float) -> None:
        """Count an ok request of this step."""
        self.ok += 1
        if self.window is None:
            self._recent.append((ended_at, row))
        elif self.window.start <= row.arrived_at < self.window.end:
            self.measured_ok += 1
            for name in LATENCIES:
                value = row.latency_ms(name)
                if value is not None:
                    self._latencies[name].add(value)

    def add_failed(self, row: Request) -> None:
        """Count a failed request of this step."""
        self.failed += 1
        if self.window is not None and self.window.start <= row.arrived_at < self.window.end:
            self.measured_failed += 1

    @property
    def error_rate(self) -> float | None:
        """Share of the window's requests that failed, as `analysis.metrics.definitions.error_rate`."""
        ended = self.measured_ok + self.measured_failed
        return self.measured_failed / ended if ended else None

    def add_to_window(self, row: Request, ended_at: float) -> None:
        """Count the completion and the tokens of any step's ok request that fall into this window."""
        window = self.window
        if window is None:
            return
        if window.start <= ended_at < window.end:
            self.completions += 1
        self.completion_tokens += tokens_inside(row, ended_at, window)

    def rates(self, now: float, announced_at: float) -> tuple[float | None, float | None]:
        """Requests per minute and completion tokens per second.

        Measured over the window so far once it is open, before that over the last 15 seconds of the step.

        Args:
            now: the time up to which all workers have reported.
            announced_at: when the step started.
        """
        window = self.window
        if window is None:
            window = MeasureWindow(max(announced_at, now - _RECENT_S), now)
            if len(self._recent) == _RECENT:  # they do not cover the whole interval
                window = window._replace(start=max(window.start, self._recent[0][0]))
            completions = sum(window.start <= at < window.end for at, _ in self._recent)
            tokens = sum(tokens_inside(row, at, window) for at, row in self._recent)
        else:
            completions, tokens = self.completions, self.completion_tokens
        seconds = min(window.end, now) - window.start
        return (completions * 60 / seconds, tokens / seconds) if completions and seconds > 0 else (None, None)

    def percentile(self, metric: Latency, p: float) -> float | None:
        """Percentile in milliseconds over the ok requests that started in the window, so far.

        Before the window opens, over the last answers of the step.
        """
        if self.window is None:
            return percentile(
                sorted(v for _, row in self._recent if (v := row.latency_ms(metric)) is not None), p
            )
        return percentile(self._latencies[metric], p)

    def mean(self, metric: Latency) -> float | None:
        """Mean in milliseconds over the ok requests that started in the window, so far."""
        return self._latencies[metric].mean

    def measured(self, metric: Latency) -> int:
        """Ok requests of the window that have this latency."""
        return len(self._latencies[metric])


def tokens_inside(row: Request, ended_at: float, window: MeasureWindow) -> float:
    """Completion tokens of an ok request that arrived inside a window.

    Formula: the first chunk's tokens at the first token, the rest spread evenly up to the last one; all at
    the end when the answer was not streamed. The same as `analysis.metrics.definitions.completion_tokens_in`.
    """
    total = row.completion_tokens
    if total is None:
        return 0.0
    streamed = row.ttft_ms is not None
    first = row.started_at + (row.ttft_ms or 0.0) / 1000 if streamed else ended_at
    head = min(1 if row.first_chunk_tokens is None else row.first_chunk_tokens, total) if streamed else total
    tokens = float(head) if window.start <= first < window.end else 0.0
    if ended_at > first:
        inside = max(0.0, min(ended_at, window.end) - max(first, window.start))
        tokens += (total - head) * inside / (ended_at - first)
    elif window.start <= ended_at < window.end:
        tokens += total - head
    return tokens
