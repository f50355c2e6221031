"""The command that describes a trace of production traffic."""

import math

import click
from rich.table import Table

from bench.options import NonEmptyText
from bench.terminal import result_console
from bench.traces import load_trace
from common.errors import UserError
from common.formatting import ABSENT, count, dollars, duration, hourly_price, number, percent, plural
from common.text import one_line
from configs.plan import Price
from deploy.preflight.prices import quote
from payloads.traces.describe import Lengths, TraceFacts, describe_trace
from payloads.traces.trace import Trace

_BARS = " ▁▂▃▄▅▆▇█"
_MENTIONED = 3
_POISSON = (0.9, 1.1)
"""Coefficients of variation that a Poisson process of a few hundred arrivals has as well."""


@click.command()
@click.argument("file", type=NonEmptyText())
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Replay speed: 2 is twice as fast.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Use only this many seconds from its start.",
)
@click.option("--instance", metavar="TYPE", help="Instance type, for the cost of a replay.")
@click.option("--region", default="us-east-1", show_default=True, help="AWS region of the price.")
@click.option("--skip-malformed", is_flag=True, help="Skip and count lines that cannot be read.")
def trace(
    file: str,
    *,
    speed: float,
    seconds: float | None,
    instance: str | None,
    region: str,
    skip_malformed: bool,
) -> None:
    """Describe a trace of production traffic.

    Shows its rate over time, burstiness, lengths and sessions, and what a replay would cost.

    FILE is a CSV or JSON-lines file, a folder of them, or an S3 URI: time, prompt_tokens, output_tokens[,
    session, prefix_group], or the published form of Azure LLM inference, BurstGPT, Mooncake or SageMaker
    Data Capture.
    """
    read = load_trace(file, "skip" if skip_malformed else "stop")
    cut = read.limited(seconds) if seconds else read
    replayed = cut.faster(speed)
    facts = describe_trace(replayed)
    result_console.print(_table(file.rstrip("/").rsplit("/", 1)[-1], replayed, facts))
    result_console.print(_sentence(facts), markup=False)
    if replayed.malformed:
        first = "; ".join(
            f"{m.file} line {m.line}: {one_line(m.finding)}" for m in replayed.malformed[:_MENTIONED]
        )
        result_console.print(f"{plural(len(replayed.malformed), 'line')} left out ({first})", markup=False)
    if instance:
        result_console.print(_cost(instance, region, facts.duration_s), markup=False)


def _table(title: str, replayed: Trace, facts: TraceFacts) -> Table:
    table = Table(
        title=f"{one_line(title)}: {replayed.format}", title_justify="left", show_header=False, box=None
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("requests", count(facts.arrivals), "")
    table.add_row("duration", duration(facts.duration_s), "")
    table.add_row("rate", f"{number(facts.mean_rate)}/s", _sparkline(facts.rates))
    minute = f"{number(facts.peak_rate_60s)}/s over a minute" if facts.duration_s >= 60 else ""
    table.add_row("peak", f"{count(facts.peak_rate_1s)}/s", minute)
    for name, lengths in (("mean prompt tokens", facts.prompt), ("mean output tokens", facts.output)):
        table.add_row(
            name, ABSENT if lengths is None else number(lengths.mean), _spread(lengths, facts.arrivals)
        )
    if facts.sessions:
        table.add_row("sessions", count(facts.sessions), f"{number(facts.turns_per_session)} requests each")
    if facts.shared_prefix is not None:
        of_tokens = (
            ""
            if facts.repeated_tokens is None
            else f", {percent(facts.repeated_tokens)} of the prompt tokens"
        )
        table.add_row(
            "shared prefix",
            percent(facts.shared_prefix),
            f"of the prompts' blocks had been sent before{of_tokens}",
        )
    return table


def _spread(lengths: Lengths | None, arrivals: int) -> str:
    if lengths is None:
        return "not in the trace"
    known = "" if lengths.known == arrivals else f", known of {count(lengths.known)} requests"
    return f"p50 {count(lengths.p50)}, p95 {count(lengths.p95)}, max {count(lengths.most)}{known}"


def _sparkline(rates: tuple[float, ...]) -> str:
    top = max(rates, default=0.0)
    return "".join(_BARS[math.ceil((len(_BARS) - 1) * rate / top)] for rate in rates) if top else ""


def _sentence(facts: TraceFacts) -> str:
    if facts.cv is None or facts.mean_rate is None:
        return "Too few requests to tell how bursty they are."
    low, high = _POISSON
    kind = (
        "steadier than" if facts.cv < low else "about as bursty as" if facts.cv <= high else "burstier than"
    )
    peak = facts.peak_rate_1s / facts.mean_rate if facts.mean_rate else 0.0
    return (
        f"Arrivals are {kind} a Poisson process (coefficient of variation {number(facts.cv)}); "
        f"the busiest second has {number(peak)} times the mean rate."
    )


def _cost(instance: str, region: str, seconds: float) -> str:
    price = quote(instance, region, Price(), None)
    if price.usd_per_hour is None:
        raise UserError(f"no price of {instance} in {region} is known", "check the instance type")
    cost, hour = dollars(price.usd_per_hour * seconds / 3600), hourly_price(price.usd_per_hour)
    length = duration(seconds)
    return f"A replay takes {length}: {cost} for each {instance} at {hour} an hour, plus the deployment."


COMMANDS = {command.name: command for command in (trace,)}
