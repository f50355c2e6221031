"""What the live displays cost the load, and how fast the page's poll is answered.

    python -m bench.benchmarks.live_page [--users 1000] [--rows-per-minute 20000] [--minutes 30]

Rows come in as two reports a second and the clock is turned by hand; the work is real.
Prints a Markdown table.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click
import numpy as np
import psutil

from bench.live_page.run_view import RunView
from bench.monitoring.prometheus import exposition
from common.formatting import plural
from configs.experiment import Experiment, load_steps
from configs.live_facts import LiveFacts
from configs.load import Load
from configs.slo import Slo
from locustfiles.master.live_page import LiveState
from locustfiles.master.live_series import LiveSeries, interval_seconds
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.row_totals import RowTotals
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_table import StepTable
from runfolder.records import Request, WorkerReport

_START = 1_700_000_000.0
_REPORT_S = 0.5
_MEMORY_S = 900.0
_STEPS = 26
"""Of a sweep."""


class _Clock:
    """A clock that is set by hand."""

    now = _START

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def asleep(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _NoWorkers:
    """Enough of a `WorkerGroup` for the status board."""

    user_count = 0


def _experiment(folder: Path, users: int, minutes: float) -> Experiment:
    load = Load(concurrency=(users,), warm_up=0.0, measure=minutes * 60)
    return Experiment(
        name="x",
        run_id="run",
        run_folder=folder,
        endpoint_name="e",
        region="us-east-1",
        payload=folder / "p.jsonl",
        stream=True,
        request_schema="tgi",
        route="invocations",
        parameters={},
        unique_prefix=True,
        samples=False,
        steps=load_steps(load, "x"),
        load=load,
        live=LiveFacts(slo=Slo.model_validate({"ttft_p95": "1s", "e2e_p95": "30s"})),
    )


def _rows(rng: np.random.Generator, count: int, users: int, per_second: float, now: float) -> list[Request]:
    """Answers that ended before ``now``, as long as this many users make them."""
    e2e = np.maximum(0.1, rng.normal(users / per_second, 0.2 * users / per_second, count)) * 1000
    rows = []
    for number, (e2e_ms, share) in enumerate(zip(e2e.tolist(), rng.random(count).tolist(), strict=True)):
        row = Request(f"r{now}-{number}", "x/c0", "w0", "p", now - e2e_ms / 1000 - share * _REPORT_S)
        row.e2e_ms, row.ttft_ms, row.tpot_ms = e2e_ms, e2e_ms * 0.1, e2e_ms * 0.9 / 199
        row.completion_tokens = 200
        rows.append(row)
    return rows


def _p(values: list[float], percent: int) -> str:
    return f"{quantiles(values, n=100)[percent - 1] * 1000:.3f} ms"


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


@click.command()
@click.option("--users", default=1000, show_default=True)
@click.option("--rows-per-minute", default=20_000, show_default=True)
@click.option("--minutes", default=30.0, show_default=True, help="Length of the simulated run.")
def main(users: int, rows_per_minute: int, minutes: float) -> None:
    """Measure the page's part in the work of the master."""
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), users, rows_per_minute, minutes)


class Simulated:
    """The master's part of the live page, with rows as so many users make them.

    Args:
        folder: the run folder.
        users: of the only step.
        rows_per_minute: answers.
        minutes: length of the run.
        began: its first second.
    """

    def __init__(
        self, folder: Path, users: int, rows_per_minute: int, minutes: float, began: float = _START
    ) -> None:
        self._users, self._per_minute = users, rows_per_minute
        self._rng = np.random.default_rng(1)
        self.clock = _Clock()
        self.clock.now = began
        experiment = _experiment(folder, users, minutes)
        self._step = step = experiment.steps[0].id
        self.live = LiveSeries(interval_seconds(experiment))
        collector = ReportCollector(folder, frozenset({step}), self.clock, self.live)
        table = StepTable(experiment, collector)
        board = StatusBoard(experiment, _NoWorkers(), collector, table.rows, self.clock)  # type: ignore[arg-type]
        self._folder, self._status = folder, board.status
        self.state = LiveState(experiment, board, collector, self.clock)
        board.status.step, board.status.ordinal, board.status.target = step, 1, users
        row = table.rows[0]
        row.announced_at = row.measure_started_at = began
        row.state = "running"
        collector.open_window(step, began)
        self._tally = collector.steps[step]

    def add_rows(self, now: float) -> float:
        """Add the rows of half a second. Returns the seconds that each took."""
        self.clock.now = now
        count = round(self._per_minute * _REPORT_S / 60)
        rows = _rows(self._rng, count, self._users, self._per_minute / 60, now)
        for row in rows:
            row.step = self._step
        began = time.perf_counter()
        for row in rows:
            self._tally.add_ok(row, row.started_at + (row.e2e_ms or 0) / 1000)
            self.live.add(row, now)
        return (time.perf_counter() - began) / len(rows)

    def close_points(self, now: float) -> None:
        """Make the points up to now."""
        self.live.workers["w0"] = WorkerReport(
            "w0", "h", now, self._step, self._users, self._users, 50.0, 100.0
        )
        self.live.close_until(now - 0.2, now, target=self._users, in_flight=self._users)

    def save_status(self) -> None:
        """Write ``status.json``."""
        self._status.save(self._folder, self.state.state())


def _view(load: dict[str, Any], steps: int) -> RunView:
    """A run in the load of which so many steps like its own have been played."""
    (step,) = load["steps"]
    load["steps"] = [{**step, "step": f"x/c{number}"} for number in range(steps)]
    view = RunView(plan="p", run_id="r", stage="load", spent_usd=lambda: 1.0)
    view.take_load(load)
    return view


def _totals_us(users: int, rows_per_minute: int) -> float:
    """Microseconds that a row costs the totals: the median of many reports."""
    rng, totals, found = np.random.default_rng(1), RowTotals(), []
    for number in range(200):
        rows = _rows(rng, 100, users, rows_per_minute / 60, _START + number)
        began = time.perf_counter()
        for row in rows:
            totals.add(row)
        found.append((time.perf_counter() - began) / len(rows) * 1e6)
    return median(found)


def _measure(folder: Path, users: int, rows_per_minute: int, minutes: float) -> None:
    simulated = Simulated(folder, users, rows_per_minute, minutes)
    adding: list[float] = []
    closing: list[float] = []
    polls: list[float] = []
    saving: list[float] = []
    scrapes: dict[int, list[float]] = {1: [], _STEPS: []}
    pages: dict[int, int] = {}
    memory: list[str] = []
    version, load, body = 0, "", "{}"
    for tick in range(1, int(minutes * 60 / _REPORT_S) + 1):
        now = _START + tick * _REPORT_S
        adding.append(simulated.add_rows(now))
        if tick % 2:
            continue
        with _timed(closing):
            simulated.close_points(now)
        with _timed(saving):
            simulated.save_status()
        began = time.perf_counter()
        series = json.loads(body := simulated.state.answer(load, version))["series"]
        polls.append(time.perf_counter() - began)
        version, load = series["version"], series["load"]
        for steps, seconds in scrapes.items() if tick % 10 == 0 else ():
            view = _view(json.loads(simulated.state.state()), steps)
            with _timed(seconds):
                pages[steps] = len(exposition(view.facts, "")[0])
        if tick % round(_MEMORY_S / _REPORT_S) == 0:
            memory.append(f"{psutil.Process().memory_info().rss / 2**20:.0f} MB")
    began = time.perf_counter()
    whole = simulated.state.answer("", 0)
    opening = time.perf_counter() - began
    click.echo(f"{users} users, {rows_per_minute} rows a minute, {minutes:g} minutes\n")
    click.echo("| work | p50 | p99 |\n|---|---|---|")
    click.echo(f"| a row | {_p(adding, 50)} | {_p(adding, 99)} |")
    click.echo(f"| the points, once a second | {_p(closing, 50)} | {_p(closing, 99)} |")
    click.echo(f"| status.json, once a second | {_p(saving, 50)} | {_p(saving, 99)} |")
    click.echo(f"| a poll, parsed | {_p(polls, 50)} | {_p(polls, 99)} |")
    for steps, seconds in scrapes.items():
        shown = f"{plural(steps, 'step')}, {pages[steps] / 1000:.0f} kB"
        click.echo(f"| a scrape of the metrics, {shown} | {_p(seconds, 50)} | {_p(seconds, 99)} |")
    click.echo(
        f"\na poll: {len(body)} bytes; a new page's first: {len(whole)} bytes, {opening * 1000:.1f} ms"
    )
    click.echo(f"of a row, the totals for monitoring: {_totals_us(users, rows_per_minute):.1f} µs")
    click.echo(f"memory every 15 minutes: {', '.join(memory)}")


if __name__ == "__main__":
    main()
