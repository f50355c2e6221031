"""Commands that read results: report, compare and collect."""

import json
from pathlib import Path
from typing import Any

import click

from analysis import Report, make_report
from analysis.decide.compare import compare, comparison_data, comparison_markdown
from analysis.importers.command_line_prices import Prices, read_prices
from analysis.importers.fmbench.folder import load_fmbench_runs
from analysis.importers.locust.csv_run import load_locust
from analysis.measure.results import RunResult
from analysis.report import measure_and_judge, write_report
from bench.collect import Collected, collect
from bench.json_lines import conclude, is_on, json_option, say
from bench.options import NonEmptyPath, NonEmptyText
from bench.run_report import report_data
from bench.terminal import print_sentences
from common.errors import UserError
from common.exit_codes import ExitCode
from common.formatting import plural
from common.text import printable
from runfolder.layout import LATEST
from runfolder.manifest import manifest_of
from runfolder.row_spool import spool_folder

_LATEST = Path("results") / LATEST
_PATH = NonEmptyPath()


@click.command()
@click.argument("folder", required=False, type=_PATH)
@click.option("--locust", type=_PATH, metavar="PREFIX", help="Report on Locust's own CSV files instead.")
@click.option(
    "--fmbench", type=_PATH, metavar="FOLDER", help="Report on a folder of FMBench results instead."
)
@click.option(
    "--price",
    multiple=True,
    metavar="[TYPE=]USD",
    help="Dollars per instance-hour, for --locust and --fmbench; repeat it for several instance types.",
)
@click.option(
    "--demand",
    type=NonEmptyText(),
    metavar="RPM|CSV",
    help="Requests per minute that a fleet must serve, or a CSV file with 24 hours of them.",
)
@click.option("--aiperf", is_flag=True, help="Also write each step in the form of NVIDIA AIPerf's results.")
@click.option("--out", type=_PATH, help="Folder for the report. Default: beside the data.")
@json_option
def report(
    folder: Path | None,
    *,
    locust: Path | None,
    fmbench: Path | None,
    price: tuple[str, ...],
    demand: str | None,
    aiperf: bool,
    out: Path | None,
) -> None:
    """Make the report of a run folder (default: results/latest)."""
    if sum(source is not None for source in (folder, locust, fmbench)) > 1:
        raise UserError(
            "several things to report on", "give one: a run folder, --locust PREFIX or --fmbench FOLDER"
        )
    if price and locust is None and fmbench is None:
        raise UserError(
            "a run folder has its own price, in its manifest", "give --price with --locust or --fmbench only"
        )
    if aiperf and (locust is not None or fmbench is not None):
        raise UserError(
            "the results of other tools lack what AIPerf's form needs of each request",
            "give --aiperf with a run folder only",
        )
    prices = read_prices(price)
    if locust is not None:
        made = write_report(load_locust(locust, prices), out or locust.with_name(f"{locust.name}_report"))
    elif fmbench is not None:
        _report_fmbench_runs(fmbench, prices, out or fmbench / "report")
        return
    else:
        made = make_report(folder or _LATEST, out=out, demand=demand, aiperf=aiperf)
    conclude(ExitCode.OK, **_print_report(made))


def _report_fmbench_runs(folder: Path, prices: Prices, out: Path) -> None:
    """Write a report for each run in the folder. Runs are never compared."""
    runs = load_fmbench_runs(folder, prices)
    if len(runs) > 1:
        say(f"{folder} has {len(runs)} FMBench runs. Each gets its own report; they are not compared.")
    reports = []
    for run in runs:
        if run.label:
            say(f"\n{run.label}:")
        reports.append({"label": run.label, **_print_report(write_report(run.result, out / run.label))})
    conclude(ExitCode.OK, reports=reports)


def _print_report(made: Report) -> dict[str, Any]:
    """Print a report's warnings, answer and path. Returns it as data."""
    data = report_data(made)
    for warning in made.warnings:
        click.echo(f"! {printable(warning)}", err=True)
    print_sentences(made.answer)
    say("\n".join(data["paths"][name] for name in ("report", "aiperf") if name in data["paths"]))
    return data


@click.command("compare")
@click.argument("sides", nargs=-1, metavar="BASELINE OTHER...")
@click.option("--out", type=_PATH, help="Also write to this file: Markdown, or JSON with --json.")
@json_option
def compare_command(sides: tuple[str, ...], *, out: Path | None) -> int:
    """Compare run folders with the first one. Exit code 1 if one is worse beyond noise.

    A side may be several runs of one plan, separated by commas: results/a1,results/a2 results/b1,results/b2.
    """
    if len(sides) < 2:
        raise UserError(
            "two sides are needed", "name the baseline and another run folder (A= and B= of make)"
        )
    baseline, *others = [_runs(side) for side in sides]
    comparisons = [compare(baseline, other) for other in others]
    text, data = "\n".join(map(comparison_markdown, comparisons)), [comparison_data(c) for c in comparisons]
    if out is not None:
        as_json = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        try:
            out.write_text(as_json if is_on() else text, encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"{out} cannot be written ({error.strerror or error})", "name another file"
            ) from None
    say(text)
    code = ExitCode.FAILED if any(each.regressed for each in comparisons) else ExitCode.OK
    conclude(code, comparisons=data)
    return code


def _runs(side: str) -> list[RunResult]:
    """The runs that a side names; a folder with a comma in its name is one run."""
    if side.strip() and Path(side).is_dir():
        return [measure_and_judge(Path(side))]
    names = [name.strip() for name in side.split(",")]
    if "" in names:
        raise UserError(
            f"the name of a run folder is missing in {side!r}",
            "name at least one on each side (A= and B= of make)",
        )
    return [measure_and_judge(Path(name)) for name in names]


@click.command("collect")
@click.argument("folder", required=False, type=_PATH)
@click.option(
    "--spool",
    type=_PATH,
    metavar="FOLDER",
    help="Files that workers have left, copied from their hosts. Default: those on this machine.",
)
def collect_command(folder: Path | None, *, spool: Path | None) -> None:
    """Add the rows that workers still have on disk to a run.

    The default is results/latest.
    """
    run, spools = folder or _LATEST, spool or spool_folder()
    manifest_of(run)  # a mistake, also where there is nothing to collect
    none_here = spool is None and not spools.is_dir()
    added = Collected(0, 0) if none_here else collect(run, spools)
    click.echo(f"{plural(added.rows, 'row')} from {plural(added.spools, 'file')} in {spools} added to {run}")
    if added.rows:
        _print_report(make_report(run))


COMMANDS = {command.name: command for command in (report, compare_command, collect_command)}
