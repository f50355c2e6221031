"""``report`` and ``compare``: what the analysis has to say, on the command line."""

from pathlib import Path

import click

from analysis import make_report
from configs.errors import UserError


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the report here, not into the run folder."
)
def report(folder: Path | None, out: Path | None) -> None:
    """Make the report of a run folder."""
    if folder is None:
        raise UserError("name a run folder, for example results/latest")
    made = make_report(folder, out=out)
    for warning in made.warnings:
        click.echo(f"! {warning}", err=True)
    click.echo(made.answer)
    click.echo(next(str(path) for path in made.files if path.name == "report.html"))


COMMANDS = (report,)
