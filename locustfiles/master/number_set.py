"""A set of numbers that mostly come in order, such as those of reports and rows."""

from bisect import bisect_right


class NumberSet:
    """Whole numbers from 1, kept as intervals."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number <= self._ends[place]

    @property
    def through(self) -> int:
        """The number up to which none is missing."""
        return self._ends[0] if self._starts and self._starts[0] == 1 else 0

    @property
    def last(self) -> int:
        """The highest number; 0 without any."""
        return self._ends[-1] if self._ends else 0

    def add(self, first: int, last: int | None = None) -> None:
        """Add ``first``, or all from ``first`` to ``last``."""
        last = first if last is None else last
        if last < first:
            return
        low = bisect_right(self._ends, first - 2)  # intervals that touch are joined
        high = bisect_right(self._starts, last + 1)
        if low < high:
            first, last = min(first, self._starts[low]), max(last, self._ends[high - 1])
        self._starts[low:high], self._ends[low:high] = [first], [last]
