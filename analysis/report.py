"""Make a report: read a run folder, measure, judge, answer, draw, write the pages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.answer import Choice, choose
from analysis.gallery import draw
from analysis.measure import measure_run
from analysis.pages import write_pages
from analysis.prose import answer_paragraph
from analysis.results import RunResult
from analysis.summary import summary
from analysis.trust import judge_run
from configs.errors import UserError
from runfolder.reading import read_run


@dataclass
class Report:
    """A finished report. ``answer`` is its first paragraph, ``warnings`` what a reader must be told."""

    answer: str
    summary: dict[str, Any]
    files: list[Path]
    warnings: list[str] = field(default_factory=list)


def make_report(folder: Path, *, out: Path | None = None) -> Report:
    """Read the run in ``folder`` and write its report there, or into ``out``.

    Writes report.md, report.html, summary.json, summary.csv and the pictures as PNG.

    Raises:
        UserError: no run in the folder, a damaged manifest, or no permission to write.
    """
    result = load_result(folder)
    return write_report(result, out or folder)


def load_result(folder: Path) -> RunResult:
    """Read and measure a run folder, with verdicts.

    Raises:
        UserError: no such folder, no manifest in it, or a damaged one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; `ls results` shows those that there are")
    try:
        tables = read_run(folder)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no manifest.json, so it is no run folder; "
            "for Locust's own CSV files use LOCUST=prefix, for FMBench's results FMBENCH=folder"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from None
    result = measure_run(tables)
    judge_run(result)
    return result


def write_report(result: RunResult, out: Path) -> Report:
    """Answer, draw and write.

    Raises:
        UserError: ``out`` cannot be written.
    """
    choices = choose(result)
    answer = answer_paragraph(result, choices)
    data = summary(result, choices, answer)
    drawings = draw(result, choices)
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = write_pages(out, result=result, choices=choices, answer=answer, data=data, drawings=drawings)
    except OSError as error:
        raise UserError(f"{out}: the report cannot be written ({error.strerror or error})") from None
    return Report(answer, data, files, warnings_of(result, choices))


def warnings_of(result: RunResult, choices: list[Choice]) -> list[str]:
    """What the command line repeats: problems of the folder and steps that are not sound."""
    found = list(result.problems)
    found += [
        f"{step.id} is {step.verdict.level}: {'; '.join(step.verdict.reasons)}."
        for step in result.steps
        if step.verdict.level == "void"
    ]
    found += [f"{choice.payload}: no step passes." for choice in choices if choice.best is None]
    return found
