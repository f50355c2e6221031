"""Inter-chunk gaps as mergeable counts in logarithmic buckets, of the measured requests only."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from runfolder.records import GAP_GROWTH, GAP_UNIT_MS, GapBucket

_PER_LOG = 1 / math.log(GAP_GROWTH)

Window = tuple[float, float]


def bucket_of(gap_ms: float) -> int:
    """Index of the bucket that holds a gap: 0 is ``[0, GAP_UNIT_MS)``, the others grow by 1 %."""
    if gap_ms < GAP_UNIT_MS:
        return 0
    return 1 + int(math.log(gap_ms / GAP_UNIT_MS) * _PER_LOG)


def bucket(step: str, index: int, count: int) -> GapBucket:
    """The row of a bucket."""
    if index == 0:
        return GapBucket(step, 0.0, GAP_UNIT_MS, count)
    low = GAP_UNIT_MS * GAP_GROWTH ** (index - 1)
    return GapBucket(step, low, low * GAP_GROWTH, count)


class GapCounter:
    """Counts the gaps of requests that started inside their step's window.

    The window's end is known only later, so the gaps of a step wait until it is told.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, list[float]]]] = defaultdict(list)
        self._windows: dict[str, Window] = {}
        self._counts: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, step: str, started_at: float, gaps_ms: list[float]) -> None:
        """Take the gaps of one finished request."""
        window = self._windows.get(step)
        if window is None:
            self._waiting[step].append((started_at, gaps_ms))
        else:
            self._count(step, window, [(started_at, gaps_ms)])

    def close_window(self, step: str, window: Window) -> None:
        """The window of ``step`` is known: ``[start, end)`` in this worker's clock."""
        self._windows[step] = window
        self._count(step, window, self._waiting.pop(step, []))

    def take(self) -> list[tuple[str, int, int]]:
        """``(step, bucket, count)`` counted since the last call."""
        counts, self._counts = self._counts, defaultdict(Counter)
        return [(step, index, n) for step, counter in counts.items() for index, n in counter.items()]

    def _count(self, step: str, window: Window, gaps: Iterable[tuple[float, list[float]]]) -> None:
        counter = self._counts[step]
        for started_at, gaps_ms in gaps:
            if window[0] <= started_at < window[1]:
                counter.update(map(bucket_of, gaps_ms))
