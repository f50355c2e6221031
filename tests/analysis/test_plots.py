"""The pictures: all that was measured is inside them, and they say what they show."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis.plots import scatter, seed, spread
from analysis.plots.drawing import Palette
from analysis.report import load_result
from analysis.results import RunResult
from bench.benchmarks.synthetic_run import Deployed, Server, write_run

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
    return load_result(folder)


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
def test_every_panel_holds_all_its_points(uneven: RunResult, monkeypatch: pytest.MonkeyPatch, draw: Draw):
    figure = figure_of(draw, scatter, uneven, monkeypatch)
    for axes in figure.axes:
        highest = max(points.get_offsets()[:, 1].max() for points in axes.collections)
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] >= highest


def test_boxes_of_every_panel_are_inside(uneven: RunResult, monkeypatch: pytest.MonkeyPatch):
    figure = figure_of(seed.concurrency_vs_latency, seed, uneven, monkeypatch)
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
):
    (legend,) = figure_of(draw, module, uneven, monkeypatch).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "concurrency 1",
        "concurrency 2",
        "concurrency 16",
    ]
