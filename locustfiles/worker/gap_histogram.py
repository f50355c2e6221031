"""Inter-chunk gaps of the measured requests as mergeable counts in logarithmic buckets."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from locustfiles.messages import MeasureWindow
from runfolder.records import GAP_GROWTH, GAP_UNIT_MS

_PER_LOG = 1 / math.log(GAP_GROWTH)


def bucket_of(gap_ms: float) -> int:
    """Index of a gap's bucket: 0 is ``[0, GAP_UNIT_MS)``, the others grow by 1%."""
    if gap_ms < GAP_UNIT_MS:
        return 0
    return 1 + int(math.log(gap_ms / GAP_UNIT_MS) * _PER_LOG)


@dataclass(slots=True)
class _Second:
    """Gaps of the requests that started within one second, as a total and request by request.

    The total is used for seconds inside the window. In the seconds in which the window starts or ends, each
    request counts by its own start. A kept gap takes two bytes.
    """

    counts: Counter[int] = field(default_factory=Counter)
    starts: "array[float]" = field(default_factory=lambda: array("d"))
    lengths: "array[int]" = field(default_factory=lambda: array("L"))
    buckets: "array[int]" = field(default_factory=lambda: array("H"))

    def add(self, started_at: float, buckets: list[int]) -> None:
        """Add one request."""
        self.counts.update(buckets)
        self.starts.append(started_at)
        self.lengths.append(len(buckets))
        self.buckets.extend(buckets)

    def requests(self) -> Iterator[tuple[float, "array[int]"]]:
        """Start and buckets of each request."""
        end = 0
        for started_at, length in zip(self.starts, self.lengths, strict=True):
            begin, end = end, end + length
            yield started_at, self.buckets[begin:end]


class GapCounter:
    """Counts the gaps of requests that started inside their step's window.

    The window's end is known only later. Until then the gaps of a step are kept by the second in which their
    request started.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, _Second]] = defaultdict(lambda: defaultdict(_Second))
        self._windows: dict[str, MeasureWindow] = {}
        self._counts: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, step: str, started_at: float, gaps_ms: list[float]) -> None:
        """Add the gaps of one finished request."""
        buckets = [bucket_of(gap) for gap in gaps_ms]
        window = self._windows.get(step)
        if window is None:
            self._waiting[step][int(started_at)].add(started_at, buckets)
        elif window[0] <= started_at < window[1]:
            self._counts[step].update(buckets)

    def close_window(self, step: str, window: MeasureWindow) -> None:
        """Set the window of ``step``: ``[start, end)`` in this worker's clock."""
        self._windows[step] = window
        counts = self._counts[step]
        for second, held in self._waiting.pop(step, {}).items():
            if window[0] <= second and second + 1 <= window[1]:
                counts.update(held.counts)
                continue
            for started_at, buckets in held.requests():
                if window[0] <= started_at < window[1]:
                    counts.update(buckets)

    def split(self, step: str, windows: Mapping[str, MeasureWindow]) -> None:
        """Count the gaps that were added under ``step`` in the windows of several steps instead."""
        waiting = self._waiting.pop(step, None)
        for name, window in windows.items():
            if waiting is not None:
                self._waiting[name] = waiting
            self.close_window(name, window)

    def pop_counts(self) -> list[tuple[str, int, int]]:
        """``(step, bucket, count)`` counted since the last call."""
        counts, self._counts = self._counts, defaultdict(Counter)
        return [(step, index, n) for step, counter in counts.items() for index, n in counter.items()]
