"""Numbers in ascending order, to which more are added all the time."""

from array import array
from bisect import bisect_left, insort

_CHUNK = 1000


class SortedValues:
    """A sorted sequence in short chunks: an addition moves at most one of them. 8 bytes a value."""

    def __init__(self) -> None:
        self._chunks: list[array[float]] = [array("d")]
        self._highest: list[float] = [float("inf")]
        """The highest value that belongs into each chunk."""
        self._count = 0
        self._total = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        index = bisect_left(self._highest, value)
        chunk = self._chunks[index]
        insort(chunk, value)
        self._count += 1
        self._total += value
        if len(chunk) > 2 * _CHUNK:
            self._chunks[index : index + 1] = [chunk[:_CHUNK], chunk[_CHUNK:]]
            self._highest.insert(index, chunk[_CHUNK - 1])

    @property
    def mean(self) -> float | None:
        """The mean; None of nothing."""
        return self._total / self._count if self._count else None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> float:
        """The value at an index from 0.

        Raises:
            IndexError: there are not so many values.
        """
        for chunk in self._chunks:
            if index < len(chunk):
                return chunk[index]
            index -= len(chunk)
        raise IndexError(index)
