"""The command that measures this machine's load generator."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.calibration.calibrate import LEVELS, QUICK_LEVELS
from bench.calibration.calibrate import calibrate as measure
from common.errors import UserError
from common.paths import calibration_file

_WIDTH = 130

COLUMNS = {
    "streams": "streams",
    "in_flight": "in flight",
    "requests": "requests",
    "tokens_per_s": "tokens/s",
    "ttft_error_p50_ms": "TTFT p50",
    "ttft_error_p99_ms": "TTFT p99",
    "tpot_error_p99_ms": "TPOT p99",
    "e2e_error_p99_ms": "E2E p99",
    "user_clock_ttft_error_p99_ms": "by user clock",
    "cpu_us_per_token": "CPU µs/token",
}


@click.command()
@click.option("--levels", help="Concurrencies, separated by commas. Default: 1 to 1024.")
@click.option("--quick", is_flag=True, help="Only three levels; takes a minute.")
@click.option(
    "--tls/--http", "tls", default=None, help="Only over TLS, or only over plain HTTP. Default: both."
)
@click.option(
    "--seconds", type=click.FloatRange(4), default=8.0, show_default=True, help="Window of each level."
)
@click.option("--tokens", type=click.IntRange(2), default=40, show_default=True, help="Tokens per answer.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=calibration_file,
    show_default="in the state folder",
    help="File for the result.",
)
def calibrate(
    *, levels: str | None, quick: bool, tls: bool | None, seconds: float, tokens: int, keep: Path
) -> None:
    """Measure the accuracy of this machine's load generator.

    It plays the real load against a server with known token times.
    """
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    chosen = _levels(levels) if levels else QUICK_LEVELS if quick else LEVELS
    result = measure(
        chosen,
        tls=(False, True) if tls is None else (tls,),
        seconds=seconds,
        tokens=tokens,
        keep=keep,
        progress=console.print,
    )
    show(result, console)
    console.print(f"Written to {keep}; reports of runs on this machine quote it.")


def _levels(text: str) -> tuple[int, ...]:
    try:
        levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or min(levels) < 1 or len(set(levels)) < len(levels):
        raise UserError(
            f"--levels {text}: not a list of different whole numbers", "separate them with commas: 1,64,256"
        )
    return levels


def show(result: dict[str, Any], console: Console) -> None:
    """Print a calibration as a table: errors are measured minus true, in milliseconds."""
    for tls, name in ((False, "HTTP"), (True, "TLS")):
        rows = [level for level in result["levels"] if level["tls"] == tls]
        if not rows:
            continue
        table = Table(title=f"{name}: error against the truth server, ms", title_justify="left")
        for title in COLUMNS.values():
            table.add_column(title, justify="right")
        table.add_column("accurate")
        for level in rows:
            table.add_row(*(_cell(level[key]) for key in COLUMNS), "yes" if level["accurate"] else "no")
        console.print(table)
        largest = result["max_accurate_concurrency"][name]
        console.print(f"{name}: accurate up to {largest or 0} concurrent streams per worker process.\n")


def _cell(value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return "–"
    return str(value) if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


COMMANDS = {command.name: command for command in (calibrate,)}
