"""``report`` and ``compare``: what the analysis has to say, on the command line."""

import json
from pathlib import Path

import click

from analysis import Report, make_report
from analysis.decide.compare import Comparison, compare, comparison_data, comparison_markdown
from analysis.importers.command_line_prices import Prices, read_prices
from analysis.importers.fmbench.folder import load_fmbench_runs
from analysis.importers.locust.csv_run import load_locust
from analysis.measure.results import RunResult
from analysis.report import measure_and_judge, write_report
from bench.options import Filled, FilledPath
from common.errors import UserError
from common.text import printable
from runfolder.layout import LATEST

_LATEST = Path("results") / LATEST
_PATH = FilledPath()


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
    help="Dollars per instance-hour, for --locust and --fmbench; once per instance type if several.",
)
@click.option(
    "--demand",
    type=Filled(),
    metavar="RPM|CSV",
    help="Requests per minute that a fleet shall carry, or 24 hours of them.",
)
@click.option("--out", type=_PATH, help="Write the report here instead of beside what was read.")
def report(
    folder: Path | None,
    *,
    locust: Path | None,
    fmbench: Path | None,
    price: tuple[str, ...],
    demand: str | None,
    out: Path | None,
) -> None:
    """Make the report of a run folder (results/latest without one)."""
    if sum(source is not None for source in (folder, locust, fmbench)) > 1:
        raise UserError("give one thing to report on: a run folder, --locust PREFIX or --fmbench FOLDER")
    if price and locust is None and fmbench is None:
        raise UserError("--price goes with --locust or --fmbench; a run folder's manifest has its own price")
    prices = read_prices(price)
    if locust is not None:
        made = write_report(load_locust(locust, prices), out or locust.with_name(f"{locust.name}_report"))
    elif fmbench is not None:
        _report_fmbench(fmbench, prices, out or fmbench / "report")
        return
    else:
        made = make_report(folder or _LATEST, out=out, demand=demand)
    _tell(made)


def _report_fmbench(folder: Path, prices: Prices, out: Path) -> None:
    """A report for each run in the folder: several runs are listed, and never compared."""
    runs = load_fmbench_runs(folder, prices)
    if len(runs) > 1:
        click.echo(
            f"{folder} holds {len(runs)} FMBench runs. Each has a report of its own; they are not compared."
        )
    for run in runs:
        if run.label:
            click.echo(f"\n{run.label}:")
        _tell(write_report(run.result, out / run.label))


def _tell(made: Report) -> None:
    for warning in made.warnings:
        click.echo(f"! {printable(warning)}", err=True)
    click.echo(printable(made.answer))
    click.echo(next(str(path) for path in made.files if path.name == "report.html"))


@click.command("compare")
@click.argument("sides", nargs=-1, metavar="BASELINE OTHER...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option("--out", type=_PATH, help="Write to this file too.")
def compare_command(sides: tuple[str, ...], *, as_json: bool, out: Path | None) -> int:
    """Compare run folders with the first of them; exit code 1 when one is worse beyond noise.

    A side may be several runs of the same plan, with commas: results/a1,results/a2 results/b1,results/b2.
    """
    if len(sides) < 2:
        raise UserError("two sides are needed; name the baseline and another run folder (A= and B=)")
    baseline, *others = [_runs(side) for side in sides]
    found = [compare(baseline, other) for other in others]
    text = _as_json(found) if as_json else "\n".join(comparison_markdown(one) for one in found)
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{out}: cannot be written ({error.strerror or error})") from None
    click.echo(printable(text))
    return 1 if any(one.regressed for one in found) else 0


def _runs(side: str) -> list[RunResult]:
    """The runs that a side names; a folder that has a comma in its name is one."""
    if side.strip() and Path(side).is_dir():
        return [measure_and_judge(Path(side))]
    names = [name.strip() for name in side.split(",")]
    if "" in names:
        raise UserError(
            f"{side!r} lacks the name of a run folder; name one on each side of compare (A= and B=)"
        )
    return [measure_and_judge(Path(name)) for name in names]


def _as_json(found: list[Comparison]) -> str:
    return json.dumps([comparison_data(one) for one in found], indent=2, ensure_ascii=False) + "\n"


COMMANDS = {command.name: command for command in (report, compare_command)}
