"""Write the pages: Markdown and HTML from templates, the pictures, the summaries."""

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.measure.results import RunResult
from analysis.render.plots.drawing import Drawing
from analysis.render.report_figures import ReportFigures
from analysis.render.summary_json import summary_frame
from analysis.render.template_context import ReportOptions, template_context
from common import formatting
from common.files import write_all_or_none
from common.markdown import escape_markdown
from runfolder.cells import guard_cell

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(
    out: Path,
    *,
    result: RunResult,
    figures: ReportFigures,
    data: dict[str, Any],
    drawings: dict[str, Drawing],
    options: ReportOptions,
) -> list[Path]:
    """Write every file of the report into ``out``.

    Returns:
        the paths written, report.md first.

    Raises:
        OSError: a file cannot be written.
    """
    context = template_context(result, figures, drawings, options)
    files = {
        "report.md": _environment(html=False).get_template("report.md.jinja").render(context),
        "report.html": _environment(html=True).get_template("report.html.jinja").render(context),
        "summary.json": json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "summary.csv": _guarded(summary_frame(result)).to_csv(index=False),
    }
    files |= {name: json.dumps(policy, indent=2) + "\n" for name, policy in figures.policies.items()}
    contents = {name: text.encode() for name, text in files.items()}
    contents |= {f"{drawing.name}.png": drawing.png for drawing in drawings.values()}
    write_all_or_none(out, contents)
    return [out / name for name in contents]


def _guarded(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda value: guard_cell(value) if isinstance(value, str) else value)


def _inlined(drawing: Drawing) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.svg.encode()).decode()


def _code_spans(text: str) -> Markup:
    """Backticks become <code> in HTML."""
    parts = str(Markup.escape(text)).split("`")
    return Markup("".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts)))  # noqa: S704 - escaped above


def _css_string(text: str) -> Markup:
    """A quoted CSS string; everything that could end it is escaped."""
    safe = "".join(c if c.isalnum() or c in " .,:;-()·%$/" else f"\\{ord(c):x} " for c in text)
    return Markup(f'"{safe}"')  # noqa: S704 - escaped above


def _escaped(value: object) -> object:
    """What a Markdown template prints: texts escaped, unless the code itself wrote them as Markdown."""
    return escape_markdown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cell(value: object) -> str:
    """Text inside a Markdown table."""
    return _line(value).replace("|", "\\|")


def _line(value: object) -> str:
    """Text that stays in its paragraph: no line of it can begin a new one."""
    return " ".join(str(value).split())


@cache
def _environment(*, html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=html,  # noqa: S701 - off for Markdown only, which is text
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=None if html else _escaped,
    )
    environment.filters |= {
        "utc": formatting.utc,
        "cell": _cell,
        "line": _line,
        "span": formatting.code_span,
        "css_string": _css_string,
        "code": _code_spans,
        "inlined": _inlined,
    }
    return environment
