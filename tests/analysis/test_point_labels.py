"""Labels of a picture's points can be read: none lies on another, or on a point."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from analysis.render.plots.point_labels import FONT_SIZE, LabeledPoint, place_labels

COORDINATE = st.floats(0, 200)
POINTS = st.lists(
    st.builds(LabeledPoint, COORDINATE, COORDINATE, st.sampled_from(["8", "33", "0.62/s"])), max_size=30
)


def inner(x: float, y: float, text: str) -> tuple[float, float, float, float]:
    """What the letters cover at least, as left, bottom, right, top: digits are 0.55 of the size wide."""
    across, along = 0.55 * FONT_SIZE * len(text) / 2, FONT_SIZE / 2
    return x - across, y - along, x + across, y + along


@given(POINTS)
def test_no_label_lies_on_another_or_on_a_point(points: list[LabeledPoint]) -> None:
    places = place_labels(points)
    covered = [inner(points[p.point].x + p.x, points[p.point].y + p.y, points[p.point].text) for p in places]
    for (left, bottom, right, top), (low_x, low_y, high_x, high_y) in combinations(covered, 2):
        assert right <= low_x or high_x <= left or top <= low_y or high_y <= bottom
    for left, bottom, right, top in covered:
        assert not any(left < point.x < right and bottom < point.y < top for point in points)


def test_a_label_that_has_room_is_off_the_lines_of_its_intervals() -> None:
    points = [LabeledPoint(x, x / 2, f"{x}") for x in range(0, 200, 30)]
    places = place_labels(points)
    assert sorted(place.point for place in places) == list(range(len(points)))
    assert all(place.x < 0 < place.y for place in places)


def test_points_of_one_level_that_lie_on_each_other_share_its_label() -> None:
    points = [LabeledPoint(10, 10, "8"), LabeledPoint(12, 20, "8"), LabeledPoint(100, 20, "8")]
    assert [place.point for place in place_labels(points)] == [1, 2]
