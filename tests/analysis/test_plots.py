"""The pictures: all that was measured is inside them, and they say what they show."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analysis.decide.recommendation import choose
from analysis.measure.results import RunResult
from analysis.render.plots import curves, fmbench, overtime, scatter, spread
from analysis.render.plots.drawing import HUES, MARKERS, Palette
from analysis.report import measure_and_judge
from tests.support.synthetic_run import Deployed, Server, write_run

pytestmark = pytest.mark.e2e  # drawing takes seconds

Draw = Callable[[RunResult, Palette], Any]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The second experiment is five times as slow and has other concurrencies."""
    folder = tmp_path_factory.mktemp("uneven")
    slow = Server(ttft_ms=600, tpot_ms=125)
    deployed = (
        Deployed(measure_s=60, concurrency=(1, 2)),
        Deployed("ml.g6.xlarge", measure_s=60, concurrency=(2, 16), server=slow),
    )
    write_run(folder, deployed)
    return measure_and_judge(folder)


def figure_of(draw: Draw, module: Any, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figure as it stands when it is rendered."""
    seen: list[Any] = []
    real = module.finish

    def keep(figure: Any, *args: Any, **named: Any) -> Any:
        seen.append(figure)
        return real(figure, *args, **named)

    monkeypatch.setattr(module, "finish", keep)
    draw(result, Palette.of(result))
    (figure,) = seen
    return figure


@pytest.mark.parametrize("draw", [scatter.tokens_vs_latency, scatter.ttft_prompt])
def test_every_panel_holds_all_its_points(
    uneven: RunResult, monkeypatch: pytest.MonkeyPatch, draw: Draw
) -> None:
    figure = figure_of(draw, scatter, uneven, monkeypatch)
    for axes in figure.axes:
        highest = max(points.get_offsets()[:, 1].max() for points in axes.collections)
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] >= highest


def test_boxes_of_every_panel_are_inside(uneven: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(fmbench.concurrency_vs_latency, fmbench, uneven, monkeypatch)
    for axes in figure.axes:
        assert axes.get_ylim()[1] >= max(line.get_ydata().max() for line in axes.lines)


@pytest.mark.parametrize(
    ("draw", "module"),
    [
        (scatter.tokens_vs_latency, scatter),
        (lambda result, palette: spread.distribution(result, palette, "ttft"), spread),
    ],
)
def test_the_legend_names_what_any_panel_shows(
    uneven: RunResult, monkeypatch: pytest.MonkeyPatch, draw: Draw, module: Any
) -> None:
    (legend,) = figure_of(draw, module, uneven, monkeypatch).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "concurrency 1",
        "concurrency 2",
        "concurrency 16",
    ]


def run_of(folder: Path, *deployed: Deployed, **limits: float) -> RunResult:
    objectives = [{"metric": "e2e", "statistic": name, "limit_ms": value} for name, value in limits.items()]
    write_run(folder, deployed, slo={"objectives": objectives})
    return measure_and_judge(folder)


@pytest.mark.parametrize("draw", [curves.throughput_latency, curves.cost_latency])
def test_a_caption_speaks_of_a_dashed_line_only_where_one_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Draw
) -> None:
    """At concurrency 1 there are too few answers for the SLO's p95: the picture leaves that step out."""
    few = run_of(tmp_path / "few", Deployed(measure_s=60, concurrency=(1, 8)), p95=4000.0)
    drawing = draw(few, Palette.of(few))
    assert "dashed: the SLO" in drawing.caption
    assert "Steps with too few samples for E2E p95 are left out" in drawing.caption
    labels = {axes.get_ylabel() for axes in figure_of(draw, curves, few, monkeypatch).axes}
    assert "E2E latency p95 (s)" in labels
    monkeypatch.undo()
    enough = run_of(tmp_path / "enough", Deployed(measure_s=90, concurrency=(4, 8)), p95=4000.0)
    assert "dashed: the SLO" in draw(enough, Palette.of(enough)).caption
    lines = [line for axes in figure_of(draw, curves, enough, monkeypatch).axes for line in axes.lines]
    assert any(line.get_linestyle() == "--" for line in lines)


def test_a_legend_shows_the_marker_of_each_curve(uneven: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    (legend,) = figure_of(curves.throughput_latency, curves, uneven, monkeypatch).legends
    assert [line.get_marker() for line in legend.get_lines()] == ["o", "s"]


def test_long_names_of_a_legend_stay_in_the_picture(
    uneven: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        curves, "label_of", lambda experiment: f"{experiment.deployed}, named at length {'x' * 40}"
    )
    figure = figure_of(curves.throughput_latency, curves, uneven, monkeypatch)
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert 0 <= extent.x0 < extent.x1 <= figure.bbox.width


def test_levels_that_lie_on_each_other_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = [Deployed(name, measure_s=60, concurrency=(1, 8)) for name in ("ml.a.xlarge", "ml.b.xlarge")]
    result = run_of(tmp_path, *twins)
    (axes, *_) = figure_of(curves.cost_latency, curves, result, monkeypatch).axes
    assert sorted(text.get_text() for text in axes.texts) == ["1", "8"]


def test_error_rates_of_nought_do_not_hide_each_other(
    uneven: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    (axes,) = figure_of(fmbench.error_rates, fmbench, uneven, monkeypatch).axes
    places = [x for line in axes.lines for x in line.get_xdata()]
    assert len(places) == len(set(places)) == 4


def test_bars_stand_by_payload_and_an_open_step_is_not_said_to_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = [
        Deployed(name, payload=payload, measure_s=40, concurrency=(1,))
        for name in ("ml.g5.xlarge", "ml.g6.xlarge")
        for payload in ("en_1-500", "en_500-1000")
    ]
    result = run_of(tmp_path, *deployed, p95=2600.0)
    choices = choose(result)
    assert {c.slo_status for choice in choices for c in choice.candidates} == {"open"}

    def draw(shown: RunResult, palette: Palette) -> Any:
        return fmbench.business_summary(shown, choices, palette)

    (axes,) = figure_of(draw, fmbench, result, monkeypatch).axes
    payloads = [label.get_text().split("\n")[0] for label in axes.get_yticklabels()]
    assert payloads == ["en_1-500", "en_1-500", "en_500-1000", "en_500-1000"]
    assert all("not decided" in text.get_text() for text in axes.texts)


def test_the_timeline_names_its_experiments(uneven: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(lambda result, _: overtime.timeline(result), overtime, uneven, monkeypatch)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"ml.g5.xlarge", "ml.g6.xlarge"} <= set(texts)


def test_an_instance_has_one_color_and_marker_in_every_picture_and_no_other_has_both() -> None:
    palette = Palette(tuple(f"ml.{i}" for i in range(42)), (1,))
    looks = {(HUES[i % len(HUES)], MARKERS[i % len(MARKERS)]) for i in range(len(palette.instances))}
    assert len(looks) == 42


def test_payloads_have_panels_and_instances_have_colors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = [
        Deployed(name, payload=payload, measure_s=60, concurrency=(4, 8))
        for name in ("ml.g5.xlarge", "ml.g6.xlarge")
        for payload in ("en_1-500", "en_500-1000", "en_1000-2000")
    ]
    result = run_of(tmp_path, *deployed)
    palette = Palette.of(result)
    assert palette.instances == ("ml.g5.xlarge", "ml.g6.xlarge")
    figure = figure_of(curves.speed_throughput, curves, result, monkeypatch)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["en_1-500", "en_500-1000", "en_1000-2000"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ml.g5.xlarge", "ml.g6.xlarge"]


def test_labels_above_the_timeline_never_overlap() -> None:
    labels = [(f"ml.g{i}.xlarge", float(i)) for i in range(60)]
    fitting = overtime._fitting(labels, 60.0)
    width = len("ml.g10.xlarge") * overtime._CHARACTER * 60
    assert all(b[1] - a[1] >= width * 0.9 for a, b in pairwise(fitting))
    assert fitting


@pytest.mark.parametrize("draw", [lambda r, p: spread.distribution(r, p, "tpot"), spread.lengths])
def test_speed_and_lengths_are_drawn(uneven: RunResult, draw: Draw) -> None:
    drawing = draw(uneven, Palette.of(uneven))
    assert drawing is not None
    assert drawing.png.startswith(b"\x89PNG")


def test_a_curve_has_whiskers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_of(tmp_path, Deployed(measure_s=90, concurrency=(4, 8)))
    axes = figure_of(curves.throughput_latency, curves, result, monkeypatch).axes[0]
    level = [line for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2]
    step = result.steps[0]
    assert step.throughput.per_minute_interval is not None
    ends = [step.throughput.per_minute_interval.low, step.throughput.per_minute_interval.high]
    assert ends in [list(line.get_xdata()) for line in level]


def test_matplotlib_tells_the_user_nothing(
    uneven: RunResult, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A name too long for its picture, in characters that no font has."""
    strange = replace(uneven, experiments=[replace(uneven.experiments[0], instance="\u4e2d\u6587" * 80)])
    assert fmbench.error_rates(strange, Palette.of(strange)) is not None
    assert [str(warning.message) for warning in recwarn] == []
    assert caplog.text == ""
