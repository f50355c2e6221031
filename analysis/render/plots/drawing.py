"""One look for all pictures, and their rendering. Matplotlib is imported here only, lazily, as Agg."""

import io
import logging
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analysis.measure.results import ExperimentResult, RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, ALERT, BAND = "#1b2430", "#5a6675", "#dde2e8", "#b3261e", "#e8edf3"
_DARK = {INK: "#e6eaf0", MUTED: "#a3aebc", GRID: "#333d4a", ALERT: "#ff8a80", BAND: "#232c38"}
# Okabe-Ito's hues, darkened to 3:1 against white; the partner has it against the dark page.
_PAIRS = (
    ("#0b67a3", "#5db4ec"),
    ("#c2500b", "#f6a15b"),
    ("#007a5a", "#3fcf9f"),
    ("#a3397a", "#ec8fc8"),
    ("#6a5b00", "#dcc94a"),
    ("#4a4f9e", "#a3a9f5"),
)
_SHADES = (
    ("#1a8fa8", "#7fe0f0"),
    ("#2b7cc0", "#8ec9ff"),
    ("#4a63c8", "#a9b8ff"),
    ("#6d4ac0", "#c3a6ff"),
    ("#8c35ad", "#df9bff"),
    ("#a82a86", "#ff97e0"),
    ("#a8244f", "#ff9ab8"),
    ("#7d1a22", "#ffb0a0"),
)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
"""Three beside eight shades: both together repeat only after 24."""
HUES = tuple(light for light, _ in _PAIRS)
_PARTNERS = _DARK | dict(_PAIRS) | dict(_SHADES)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One more than hues: color and marker together repeat only after 42 instances."""
WIDTH = 6.4
_DPI = 150
_LONGEST = 44
"""Characters of a name in a picture."""
_NOTICE_WIDTH = 76
"""Characters of a notice's line: as many as fit beside each other in a picture, in bold."""
_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass
class Drawing:
    """A finished picture: ``name`` is its file stem, ``alt`` says in words what it shows."""

    name: str
    title: str
    alt: str
    caption: str
    png: bytes = field(repr=False)
    svg: str = field(repr=False)


@dataclass(frozen=True)
class Palette:
    """Which color stands for which instance and which level of load, in every picture of a report."""

    instances: tuple[str, ...]
    levels: tuple[float, ...]

    @classmethod
    def of(cls, result: RunResult) -> "Palette":
        """The palette of a run: colors in order of appearance and of level."""
        names = dict.fromkeys(e.deployed for e in result.experiments)
        levels = sorted({s.level for s in result.steps if s.level is not None})
        return cls(tuple(names), tuple(levels))

    def hue(self, experiment: ExperimentResult) -> str:
        """The color of an experiment's instances."""
        return HUES[self.instances.index(experiment.deployed) % len(HUES)]

    def marker(self, experiment: ExperimentResult) -> str:
        """The marker of an experiment's instances, so that color is never the only cue."""
        return MARKERS[self.instances.index(experiment.deployed) % len(MARKERS)]

    def shade(self, level: float | None) -> str:
        """The color of a level."""
        return self.shade_at(self._place(level), len(self.levels))

    @staticmethod
    def shade_at(at: int, count: int) -> str:
        """The color of one of ``count`` things that have an order."""
        spread = round(at * (len(_SHADES) - 1) / (count - 1)) if 1 < count <= len(_SHADES) else at
        return _SHADES[spread % len(_SHADES)][0]

    def dashes(self, level: float | None) -> Any:
        """The line style of a level: solid, dashed, dotted and so on."""
        return self.dashes_at(self._place(level))

    def _place(self, level: float | None) -> int:
        return self.levels.index(level) if level in self.levels else 0

    @staticmethod
    def dashes_at(at: int) -> Any:
        """The line style of one of several things: solid, dashed or dotted."""
        return _DASHES[at % len(_DASHES)]


@contextmanager
def canvas(
    height: float = 3.8, rows: int = 1, columns: int = 1, **options: Any
) -> Iterator[tuple["Figure", Any]]:
    """A figure in the common style. Without pyplot, which takes long to import and keeps figures alive."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl  # noqa: PLC0415 - a second to import, and only the report needs it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font or a layout is no matter of the user's
        figure = Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, **options)


@contextmanager
def panels(
    count: int, height: float = 3.6, *, share_y: bool = True
) -> Iterator[tuple["Figure", list["Axes"]]]:
    """``count`` panels, two in a row, sharing the y axis."""
    columns = 1 if count == 1 else 2
    rows = -(-count // columns)
    total = height if rows == 1 else 0.6 + 2.7 * rows
    with canvas(total, rows, columns, sharey=share_y, squeeze=False) as (figure, grid):
        flat = list(grid.flat)
        for empty in flat[count:]:
            empty.set_visible(False)
        yield figure, flat[:count]


@contextmanager
def payload_grid(
    result: RunResult, palette: Palette, columns: int, height: float
) -> Iterator[tuple["Figure", dict[str, list["Axes"]]]]:
    """A row of panels per payload, titled where there are several; room for a legend of the instances."""
    payloads = list(dict.fromkeys(e.payload for e in result.experiments))
    across = columns if columns > 1 or len(payloads) == 1 else 2
    rows = len(payloads) if columns > 1 else -(-len(payloads) // across)
    tall = height if rows == 1 else 0.6 + 2.6 * rows
    legend = 0.22 * -(-len(palette.instances) // 3)
    with canvas(tall + legend, rows, across, squeeze=False) as (figure, grid):
        flat = list(grid.flat)
        for empty in flat[columns * len(payloads) :]:
            empty.set_visible(False)
        placed = {name: flat[columns * i : columns * (i + 1)] for i, name in enumerate(payloads)}
        if len(payloads) > 1:
            for name, row in placed.items():
                row[0].set_title(shortened(name), fontsize=9, loc="left")
        yield figure, placed


def finish(figure: "Figure", result: RunResult, *, name: str, title: str, alt: str, caption: str) -> Drawing:
    """Render a figure as PNG and as SVG, with the run's notices below its title."""
    notice = notice_lines(result)
    heading = figure.suptitle(
        title + "\n" * len(notice), x=0.012, ha="left", fontsize=11.5, fontweight="bold", color=INK
    )
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    figure.set_layout_engine(None)  # laid out once; both files are drawn from that
    if notice:  # on the heading's empty lines, for which the layout has kept room
        low = figure.transFigure.inverted().transform(heading.get_window_extent())[0][1]
        figure.text(0.012, low, "\n".join(notice), va="bottom", fontsize=8.5, color=ALERT, fontweight="bold")
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Drawing(name, title, alt, caption, png.getvalue(), _with_color_scheme(svg.getvalue()))


def notice_lines(result: RunResult) -> list[str]:
    """The notices of every picture, in at most two lines that fit its width."""
    notices = ["REHEARSAL: simulated endpoint"] if result.rehearsal else []
    text = " · ".join([*notices, *(notice.text for notice in result.notices)])
    return textwrap.wrap(text, _NOTICE_WIDTH, max_lines=2, placeholder=" …")


def label_of(experiment: ExperimentResult, result: RunResult | None = None) -> str:
    """An experiment's name: the instance, with the payload where the run has several and is given."""
    several = result is not None and len({e.payload for e in result.experiments}) > 1
    return shortened(f"{experiment.deployed}, {experiment.payload}" if several else experiment.deployed)


def shortened(text: str) -> str:
    """A name that leaves room for the picture."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LEGEND_SIZE = 8.5
_LEGEND_BESIDE = 4.8
"""Handle, its distance to the label, and the distance of two columns, in heights of the font."""


def legend_below(figure: "Figure", grid: Iterable["Axes"], columns: int = 4) -> None:
    """One legend of what any panel shows, under them, where no point can hide it."""
    shown: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    if shown:
        figure.legend(
            shown.values(),
            shown.keys(),
            loc="outside lower center",
            ncols=min(columns, len(shown), _columns_beside(figure, shown)),
            markerscale=1.4,
            fontsize=_LEGEND_SIZE,
        )


def _columns_beside(figure: "Figure", labels: Iterable[str]) -> int:
    """How many columns of a legend fit into the width of a figure, by its longest label."""
    from matplotlib.textpath import TextPath  # noqa: PLC0415 - as all of matplotlib, only where it draws

    longest = max(TextPath((0, 0), label, size=_LEGEND_SIZE).get_extents().width for label in labels)
    width = figure.get_figwidth() * 72
    return max(1, int(width / (longest + _LEGEND_BESIDE * _LEGEND_SIZE)))


def from_zero(grid: Iterable["Axes"]) -> None:
    """Start the y axes at 0; called when all panels are drawn, since it ends their shared autoscaling."""
    for axes in grid:
        axes.set_ylim(bottom=0)


def decorate(axes: "Axes", x: str, y: str) -> None:
    """Labels with units, a quiet grid."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)


def _with_color_scheme(svg: str) -> str:
    """Let the picture's colors follow light and dark mode: known colors become CSS variables."""
    svg = svg[svg.index("<svg") :]
    used = [c for c in dict.fromkeys(_HEX.findall(svg)) if c in _PARTNERS]
    svg = _HEX.sub(lambda m: f"var(--c{m[0][1:]})" if m[0] in _PARTNERS else m[0], svg)
    light = "".join(f"--c{c[1:]}:{c};" for c in used)
    dark = "".join(f"--c{c[1:]}:{_PARTNERS[c]};" for c in used)
    style = f"<style>:root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    head = svg.index(">") + 1
    return svg[:head] + style + svg[head:]


_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.hashsalt": "report",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
}
