"""How exact the open loop is: arrivals, delays and latencies against a server that knows the truth.

    python -m bench.benchmarks.open_loop processes [--seconds 300 --rate 200]
    python -m bench.benchmarks.open_loop rates [--seconds 60]
    python -m bench.benchmarks.open_loop stall [--picture docs/stall.png]

``processes``: each arrival process with two workers. ``rates``: one worker at rising rates, until the client
is the limit. ``stall``: a server that stalls for 10 s, in an open and in a closed loop. Each prints a table.
"""

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from bench.calibration.probe import run_load
from bench.calibration.truth import AnswerSchedule, Stall
from configs.arrivals import ArrivalProcess, arrival_process
from configs.load import Load, Timeouts
from runfolder import layout

PROCESSES: tuple[Any, ...] = ("poisson", "constant", {"gamma": 0.5}, {"weibull": 0.5})
RATES = (125, 250, 500, 750, 1000)
SHORT = AnswerSchedule(ttft=0.05, gap=0.01, tokens=8)
STALL = Stall(after_s=15.0, seconds=10.0)
_STALL_RATE, _STALL_USERS = 20.0, 8


class Played(NamedTuple):
    """The rows of one step's window, joined with the server's log."""

    rows: pd.DataFrame
    seconds: float
    cpu_percent: float


def play(load: Load, schedule: AnswerSchedule = SHORT, **options: Any) -> Played:
    """Play a load of one step against the truth server."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = run_load(load, folder, schedule=schedule, **options)
        rows, served = pd.read_csv(folder / layout.REQUESTS, low_memory=False), pd.read_csv(log)
        step = pd.read_csv(folder / layout.STEPS).iloc[0]
        workers = pd.read_csv(folder / layout.WORKERS)
    rows["number"] = pd.to_numeric(rows["finish_reason"].str[1:], errors="coerce")
    rows = rows.merge(served, on="number", how="left", suffixes=("", "_served"))
    rows["intended_at"] = rows["started_at"] - rows["schedule_delay_ms"].fillna(0.0) / 1000
    start, end = step["measure_started_at"], step["measure_ended_at"]
    inside = rows["intended_at"].between(start, end, inclusive="left")
    reports = workers[workers["reported_at"].between(start, end)]
    return Played(rows[inside].sort_values("intended_at"), end - start, reports["cpu_percent"].mean())


def ttft_error_ms(rows: pd.DataFrame) -> "pd.Series[float]":
    """How far TTFT is from the server's own, without its sign, of each answer."""
    ok = rows[(rows["outcome"] == "ok") & rows["arrived_at"].notna()]
    error: pd.Series[float] = ok["ttft_ms"] - 1000 * (ok["first_sent_at"] - ok["arrived_at"])
    return error.abs()


def open_load(rate: float, seconds: float, arrivals: Any = "poisson", **changes: Any) -> Load:
    """A load of one rate."""
    values = {
        "rate": (rate,),
        "arrivals": arrivals,
        "warm_up": 2.0,
        "measure": seconds,
        "max_in_flight": 10_000,
    }
    return Load.model_validate(values | changes)


def distribution(process: ArrivalProcess) -> Any:
    """The distribution of the times between arrivals, with mean 1."""
    match process.kind:
        case "gamma":
            return stats.gamma(process.shape, scale=1 / process.shape)
        case "weibull":
            return stats.weibull_min(process.shape, scale=1 / math.gamma(1 + 1 / process.shape))
        case _:
            return stats.expon()


def kolmogorov(times: np.ndarray, rate: float, process: ArrivalProcess) -> str:
    """Distance and p-value of a Kolmogorov-Smirnov test of the times between arrivals."""
    if process.kind == "constant":
        return "–"
    found = stats.kstest(np.diff(np.sort(times)) * rate, distribution(process).cdf)
    return f"{found.statistic:.4f} (p {found.pvalue:.2g})"


def variation(times: np.ndarray) -> float:
    """Coefficient of variation of the times between arrivals."""
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


def dispersion(times: np.ndarray, width_s: float = 0.1) -> float:
    """Variance of the number of arrivals per ``width_s`` over its mean: 1 for Poisson arrivals."""
    begin = times.min()
    counts, _ = np.histogram(times, np.arange(begin, times.max(), width_s))
    return float(counts.var() / counts.mean())


@click.group(help="Measure the open loop against a server that knows what it did.")
def main() -> None:
    """See the module's text."""


@main.command(help="Each arrival process at RATE, with two workers.")
@click.option("--seconds", default=300.0, show_default=True)
@click.option("--rate", default=200.0, show_default=True)
def processes(seconds: float, rate: float) -> None:
    """Print how the server saw the arrivals of each process."""
    print(
        "| arrivals | sent | sent/s | KS, as drawn | at the server | variation, as drawn | at the server "
        "| per 100 ms, as drawn | at the server | delay p50 | p99 | TTFT error p99 |"
    )
    print("|---" + "|---:" * 11 + "|")
    for arrivals in PROCESSES:
        process = arrival_process(arrivals)
        played = play(open_load(rate, seconds, arrivals), processes=2)
        rows = played.rows
        drawn, seen = (rows[name].dropna().to_numpy() for name in ("intended_at", "arrived_at"))
        cells = [kolmogorov(times, rate, process) for times in (drawn, seen)]
        cells += [f"{figure(times):.3f}" for figure in (variation, dispersion) for times in (drawn, seen)]
        print(
            f"| {process.label()} | {len(rows):,} | {len(rows) / played.seconds:.1f} | "
            f"{' | '.join(cells)} | {_late_cells(rows)} |",
            flush=True,
        )


@main.command(help="One worker at rising rates.")
@click.option("--seconds", default=60.0, show_default=True)
def rates(seconds: float) -> None:
    """Print how late one worker sends at each rate."""
    print("| asked/s | arrived/s | ok | withheld or failed | delay p50 | delay p99 | TTFT error p99 | CPU |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for rate in RATES:
        played = play(open_load(float(rate), seconds))
        rows, ok = played.rows, played.rows["outcome"] == "ok"
        print(
            f"| {rate} | {len(rows) / played.seconds:.1f} | {ok.sum():,} | {(~ok).sum()} | "
            f"{_late_cells(rows)} | {played.cpu_percent:.0f}% |",
            flush=True,
        )


def _late_cells(rows: pd.DataFrame) -> str:
    """The p50 and p99 of the schedule delay, and the p99 of the error of TTFT."""
    figures = [*rows["schedule_delay_ms"].quantile([0.5, 0.99]), ttft_error_ms(rows).quantile(0.99)]
    return " | ".join(f"{figure:.2f} ms" for figure in figures)


@main.command(help="A server that stalls for 10 s.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw it as a PNG.")
def stall(picture: Path | None) -> None:
    """Print p99 of E2E from the arrival, from the start, and in a closed loop, beside the server's own."""
    print("| E2E | p50 | p99 | longest | p99 by the server's log |")
    print("|---|---:|---:|---:|---:|")
    timeouts = Timeouts(connect=60.0, first_byte=60.0, total=120.0)
    rows = play(open_load(_STALL_RATE, 60.0, "constant", timeouts=timeouts), stall=STALL).rows
    truth = 1000 * (rows["last_sent_at"] - schedule_of(rows, _STALL_RATE))
    _print("open loop, from the arrival", rows["e2e_ms"] + rows["schedule_delay_ms"], truth)
    sent = 1000 * (rows["last_sent_at"] - rows["arrived_at"])
    _print("open loop, from the start", rows["e2e_ms"], sent)
    load = Load(concurrency=(_STALL_USERS,), warm_up=2.0, measure=60.0, timeouts=timeouts)
    closed = play(load, stall=STALL).rows
    _print("closed loop", closed["e2e_ms"], 1000 * (closed["last_sent_at"] - closed["arrived_at"]))
    if picture is not None:
        draw_stall(rows, closed, picture)


def draw_stall(opened: pd.DataFrame, closed: pd.DataFrame, path: Path) -> None:
    """Draw E2E over time: what users wait, what counting from the start says, and what a closed loop sees.

    Args:
        opened: rows of the open loop.
        closed: rows of the closed loop.
        path: the PNG to write.
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
    panels = (
        ("open loop, from the arrival", opened, opened["e2e_ms"] + opened["schedule_delay_ms"]),
        ("open loop, from the start", opened, opened["e2e_ms"]),
        ("closed loop", closed, closed["e2e_ms"]),
    )
    for axis, (title, rows, e2e_ms) in zip(axes, panels, strict=True):
        at = rows["intended_at"] - rows["intended_at"].min()
        axis.plot(at, e2e_ms / 1000, ".", markersize=3, color="#1f5fa8")
        p99 = e2e_ms.quantile(0.99) / 1000
        axis.axhline(p99, color="#b3541e", linewidth=1)
        axis.annotate(f"p99 {p99:.2f} s", (at.max(), p99), (0, 4), textcoords="offset points", ha="right")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("arrival or start, seconds into the window")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("E2E, seconds")
    figure.savefig(path, dpi=120)


def schedule_of(rows: pd.DataFrame, rate: float) -> "pd.Series[float]":
    """When a constant process lets each arrival come, from the first one's time and its number alone."""
    first = rows.iloc[0]
    later: pd.Series[float] = (rows["arrival"] - int(first["arrival"])) / rate
    return later + float(first["intended_at"])


def _print(name: str, values: "pd.Series[float]", truth: "pd.Series[float]") -> None:
    cells = [values.quantile(0.5), values.quantile(0.99), values.max(), truth.quantile(0.99)]
    print(f"| {name} | " + " | ".join(f"{cell:,.0f} ms" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
