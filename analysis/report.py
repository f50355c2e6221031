"""Make a report: read a run folder, measure, judge, answer, draw, write the pages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.decide.cloudwatch import check_invocation_count
from analysis.decide.fleet import read_demand
from analysis.decide.recommendation import Choice, choose
from analysis.decide.trust import check_run
from analysis.importers.locust.files import read_stats
from analysis.importers.locust.reconcile import check_reconciled, reconcile
from analysis.measure.locust_run import Reconciled
from analysis.measure.results import RunResult
from analysis.measure.steps import measure_run
from analysis.render.aiperf_json import FOLDER as AIPERF
from analysis.render.aiperf_json import write_aiperf
from analysis.render.files import write_pages
from analysis.render.plots.draw_all import draw_all
from analysis.render.recommendation_text import answer_text
from analysis.render.report_figures import report_figures
from analysis.render.summary_json import summary
from analysis.render.template_context import ReportOptions
from common.errors import UserError
from runfolder.manifest import manifest_of
from runfolder.reading import read_run


@dataclass
class Report:
    """A finished report. ``answer`` opens it, a line per payload and note; ``warnings`` are for the user.

    ``aiperf`` is the folder with the steps in AIPerf's form, where they were asked for and any was measured.
    """

    answer: str
    summary: dict[str, Any]
    files: list[Path]
    warnings: list[str] = field(default_factory=list)
    aiperf: Path | None = None


def make_report(
    folder: Path, *, out: Path | None = None, demand: str | None = None, aiperf: bool = False
) -> Report:
    """Read the run in ``folder`` and write its report there, or into ``out``.

    Writes report.md, report.html, summary.json, summary.csv, the pictures as PNG, and autoscaling.json (one
    per payload where there are several).

    Args:
        folder: a run folder.
        out: where to write; the run folder when absent.
        demand: requests per minute that a fleet shall carry, or a CSV file with 24 hours of them.
        aiperf: whether to write each measured step in AIPerf's form, too, below ``aiperf/``. If it is there
            already, it is renewed anyway.

    Raises:
        UserError: no run in the folder, a damaged manifest, or no permission to write.
    """
    planned = read_demand(demand) if demand is not None else None
    return write_report(measure_and_judge(folder), out or folder, ReportOptions(planned, aiperf))


def measure_and_judge(folder: Path) -> RunResult:
    """Read a run folder, measure its steps and judge them. Everything that shows a run starts here.

    Every step's trust holds the trust checks, CloudWatch's counts and Locust's own.

    Raises:
        UserError: no such folder, no manifest in it, or a damaged one.
    """
    manifest = manifest_of(folder)
    try:
        tables = read_run(folder, manifest)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: cannot be read ({error.strerror or error})") from None
    result = measure_run(tables)
    check_run(result)
    check_invocation_count(result)
    result.reconciled = _reconcile_run(result, folder)
    return result


def write_report(result: RunResult, out: Path, options: ReportOptions | None = None) -> Report:
    """Answer, draw and write.

    Raises:
        UserError: ``out`` cannot be written.
    """
    choices = choose(result)
    answer = answer_text(result, choices)
    options = options or ReportOptions()
    figures = report_figures(result, choices, options.demand)
    data = summary(result, figures, answer)
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = write_pages(
            out,
            result=result,
            figures=figures,
            data=data,
            drawings=draw_all(result, choices),
            options=options,
        )
        renewed = (out / AIPERF).is_dir()  # those of an older report would contradict this one
        steps = write_aiperf(out / AIPERF, result) if options.aiperf or renewed else []
    except OSError as error:
        raise UserError(f"{out}: the report cannot be written ({error.strerror or error})") from None
    warnings = warnings_of(result, choices)
    if options.aiperf and not steps:
        warnings.append("no step was measured, so there is nothing to write in AIPerf's form.")
    return Report(answer, data, files, warnings, out / AIPERF if steps else None)


def _reconcile_run(result: RunResult, folder: Path) -> tuple[Reconciled, ...]:
    """Our rows beside Locust's own CSV, step by step; a disagreement lowers the step's trust."""
    by_step = {str(name): rows for name, rows in result.rows.groupby("step", observed=True)}
    compared = []
    for experiment in result.experiments:
        stats = _locust_stats(folder / experiment.locust_prefix, result.problems)
        for step in experiment.steps:
            rows = by_step.get(step.id)
            pair = None if stats is None or rows is None else reconcile(step, rows, stats)
            if pair is not None:
                compared.append(pair)
                check_reconciled(step, pair)
    return tuple(compared)


def _locust_stats(prefix: Path, problems: list[str]) -> pd.DataFrame | None:
    try:
        stats = read_stats(prefix)
    except UserError as error:
        problems.append(str(error))
        return None
    if stats is None:
        problems.append(f"{prefix.name}_stats.csv is missing: nothing of Locust's to compare with.")
    return stats


def warnings_of(result: RunResult, choices: list[Choice]) -> list[str]:
    """What the command line repeats: problems of the folder and steps that are not sound."""
    found = list(result.problems)
    found += [
        f"{step.id} is {step.trust.level}: {'; '.join(step.trust.texts)}."
        for step in result.steps
        if step.trust.level == "void"
    ]
    found += [
        f"{choice.payload}: no step passes." for choice in choices if choice.best is None and choice.compared
    ]
    return found
