"""Compare our user with others on this machine, in one run: accuracy of streams, requests per core-second.

    python -m bench.calibration.compare --streams 64,256 --peer 'name=command …'

A peer is any command that plays ``{streams}`` streams against ``{url}`` and leaves ``{results}``, a CSV file
with the columns ``started_at, ttft_ms, e2e_ms, number`` (the answer's finish reason without its ``n``).
"""

import json
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.calibration.probe import client_environment, play_levels, run_levels, truth_server
from bench.calibration.truth import AnswerSchedule
from runfolder import layout

STREAMED = AnswerSchedule(ttft=0.2, gap=0.05, tokens=40)
AT_ONCE = AnswerSchedule(ttft=0.0, gap=0.0, tokens=8)
USERS = 16
WARM_UP_S = 4.0
CLIENT_S = 0.1
"""CPU time to create one boto3 client, at most: the window opens when all are created."""
CONTENDERS = Path(__file__).with_name("contenders.py")


@dataclass(slots=True)
class Accuracy:
    """Errors of the times of streams against the truth server, in milliseconds."""

    who: str
    streams: int
    requests: int
    ttft_error_p50_ms: float
    ttft_error_p99_ms: float
    e2e_error_p99_ms: float
    cpu_us_per_token: float | None


def _quantile(values: "pd.Series[float]", share: float) -> float:
    return float(np.quantile(values.dropna().to_numpy(dtype=float), share)) if len(values) else float("nan")


def our_streams(streams: int, seconds: float) -> Accuracy:
    """Our user."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        level = play_levels([streams], Path(folder), tls=False, seconds=seconds, schedule=STREAMED)[0]
    return Accuracy(
        "ours",
        streams,
        level.requests,
        level.ttft_error_p50_ms or float("nan"),
        level.ttft_error_p99_ms or float("nan"),
        level.e2e_error_p99_ms or float("nan"),
        level.cpu_us_per_token,
    )


def their_streams(who: str, streams: int, seconds: float, command: list[str] | None = None) -> Accuracy:
    """Another user of `contenders` by class name, or a peer by its command."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        folder = Path(name)
        results = folder / "results.csv"
        with truth_server(folder, STREAMED, None) as (url, log):
            values = {"url": url, "streams": streams, "results": results}
            parts = [part.format(**values) for part in command] if command else _locust(who, streams)
            _run(parts, url, results, seconds, warm_up=WARM_UP_S + streams * CLIENT_S, stream=True)
        rows, served = pd.read_csv(results), pd.read_csv(log)
        figures_file = results.with_suffix(".json")
        figures = json.loads(figures_file.read_text()) if figures_file.exists() else {}
    joined = rows.merge(served, on="number")
    joined = joined[joined["started_at"] >= figures.get("window", 0)]
    ttft = joined["ttft_ms"] - (joined["first_sent_at"] - joined["arrived_at"]) * 1000
    e2e = joined["e2e_ms"] - (joined["last_sent_at"] - joined["arrived_at"]) * 1000
    tokens = figures.get("requests", 0) * STREAMED.tokens
    return Accuracy(
        who,
        streams,
        len(joined),
        _quantile(ttft, 0.5),
        _quantile(ttft, 0.99),
        _quantile(e2e, 0.99),
        figures["cpu_s"] / tokens * 1e6 if tokens else None,
    )


def our_rate(seconds: float) -> float:
    """Non-streamed signed invocations per second of CPU, our user."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        folder = Path(name)
        run_levels([USERS], folder, tls=False, seconds=seconds, schedule=AT_ONCE, stream=False)
        rows = pd.read_csv(folder / layout.REQUESTS)
        step = pd.read_csv(folder / layout.STEPS).iloc[0]
        workers = pd.read_csv(folder / layout.WORKERS)
    start, end = float(step["measure_started_at"]), float(step["measure_ended_at"])
    inside = rows["started_at"].between(start, end) & (rows["outcome"] == "ok")
    cpu = workers.loc[workers["reported_at"].between(start + 1, end), "cpu_percent"].mean() / 100
    return float(inside.sum() / (end - start) / cpu)


def their_rate(who: str, seconds: float) -> float:
    """The same for a contender."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        folder = Path(name)
        results = folder / "results.csv"
        with truth_server(folder, AT_ONCE, None) as (url, _):
            _run(_locust(who, USERS), url, results, seconds, warm_up=WARM_UP_S, stream=False)
        figures = json.loads(results.with_suffix(".json").read_text())
    return float(figures["requests"] / figures["cpu_s"])


def _locust(who: str, users: int) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(CONTENDERS), "--headless", "--only-summary"]
    return [*command, "-u", str(users), "-r", str(max(100, users)), who]


def _run(
    command: list[str], url: str, results: Path, seconds: float, *, warm_up: float, stream: bool
) -> None:
    environment = {
        **client_environment(url, None),
        "CONTENDER_STREAM": "1" if stream else "0",
        "CONTENDER_SECONDS": str(seconds),
        "CONTENDER_WARM_UP": str(warm_up),
        "CONTENDER_RESULTS": str(results),
    }
    with (results.parent / "client.log").open("w") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if not results.exists():
        raise click.ClickException(
            f"no results from {command[0]}: {(results.parent / 'client.log').read_text()}"
        )


@click.command()
@click.option("--streams", default="64,256", show_default=True, help="Concurrencies with commas.")
@click.option("--seconds", default=6.0, show_default=True, help="Window of each measurement.")
@click.option("--peer", "peers", multiple=True, help="name=command, once per peer.")
def main(streams: str, seconds: float, peers: tuple[str, ...]) -> None:
    """Compare our user with a boto3 user and with Locust's FastHttpUser."""
    console = Console()
    table = Table(title="Streams: error against the truth server, ms")
    for title in ("user", "streams", "requests", "TTFT p50", "TTFT p99", "E2E p99", "CPU µs/token"):
        table.add_column(title, justify="right")
    for count in map(int, streams.split(",")):
        lines = [our_streams(count, seconds), their_streams("Boto3User", count, seconds)]
        for peer in peers:
            name, _, command = peer.partition("=")
            lines.append(their_streams(name, count, seconds, shlex.split(command)))
        for line in lines:
            cells = (line.ttft_error_p50_ms, line.ttft_error_p99_ms, line.e2e_error_p99_ms)
            cpu = "–" if line.cpu_us_per_token is None else f"{line.cpu_us_per_token:.0f}"
            table.add_row(
                line.who, str(line.streams), str(line.requests), *(f"{cell:,.2f}" for cell in cells), cpu
            )
    console.print(table)
    rates = {"ours, signed": our_rate(seconds)}
    for who, name in (("Boto3User", "boto3, signed"), ("UnsignedUser", "FastHttpUser, unsigned")):
        rates[name] = their_rate(who, seconds)
    table = Table(title="Not streamed: invocations per second of CPU")
    for title in ("user", "per core-second", "ours is"):
        table.add_column(title, justify="right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{rates['ours, signed'] / rate:.2f} ×")
    console.print(table)


if __name__ == "__main__":
    main()
