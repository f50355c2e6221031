"""Where the labels of a picture's points go, so that none hides another label or a point."""

from collections.abc import Sequence
from dataclasses import dataclass

FONT_SIZE = 8.5
_LETTER, _HEIGHT = 0.6 * FONT_SIZE, 1.1 * FONT_SIZE
_MARKER = 5.0
"""The side of a point's square."""
_GAP = 5.0
"""From the middle of a point to the edge of its label."""
_NEAR = (10.0, 22.0)
"""Points with one label that are this close, across and along, share it."""


@dataclass(frozen=True)
class LabeledPoint:
    """A point and its label; the place is in typographic points (1/72 inch)."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Place:
    """Where the middle of a label goes, relative to its point."""

    point: int
    """Its place in the list."""
    x: float
    y: float


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "_Box") -> bool:
        across, along = (self.width + other.width) / 2, (self.height + other.height) / 2
        return abs(self.x - other.x) < across and abs(self.y - other.y) < along


def place_labels(points: Sequence[LabeledPoint]) -> list[Place]:
    """Places for the labels, those of the highest points first.

    A label is above its point to the left, where neither a rising curve nor the lines of intervals pass, or
    in another corner, or above or below. It is left out where none of these is free, and where a point close
    by has the same one.
    """
    taken = [_Box(point.x, point.y, _MARKER, _MARKER) for point in points]
    places: list[Place] = []
    for number, point in sorted(enumerate(points), key=lambda each: -each[1].y):
        if any(_shares(point, points[place.point]) for place in places):
            continue
        for x, y, box in _around(point):
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                places.append(Place(number, x, y))
                break
    return places


def _shares(point: LabeledPoint, other: LabeledPoint) -> bool:
    close = abs(point.x - other.x) < _NEAR[0] and abs(point.y - other.y) < _NEAR[1]
    return close and point.text == other.text


def _around(point: LabeledPoint) -> list[tuple[float, float, _Box]]:
    """The places of a label, best first, with what each covers."""
    width = _LETTER * len(point.text)
    across, along = _GAP + width / 2, _GAP + _HEIGHT / 2
    offsets = (
        (-across, along),
        (across, -along),
        (across, along),
        (-across, -along),
        (0.0, along),
        (0.0, -along),
    )
    return [(x, y, _Box(point.x + x, point.y + y, width, _HEIGHT)) for x, y in offsets]
