"""How much loop lag the live page's polls add to a load, over real HTTP.

    python -m bench.benchmarks.live_lag [--users 1000] [--rows-per-minute 20000] [--rounds 3]

One gevent loop has the users, adds their rows as the master does, and serves the state. Another process polls
it as `bench` does, in every second part of 20 s; the others have no poll. Prints a Markdown table.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - everything else comes after the patching
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import click
import gevent
import numpy as np
from flask import Flask
from gevent.pywsgi import WSGIServer

from bench.benchmarks.live_page import Simulated
from bench.live_page.load_feed import LoadFeed
from locustfiles.master.live_page import add_live_state

_PART_S = 20.0
_SAMPLE_S = 0.01


class _Lag:
    """How late the loop wakes a greenlet that sleeps for 10 ms."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    def watch(self) -> None:
        while True:
            due = time.perf_counter() + _SAMPLE_S
            gevent.sleep(_SAMPLE_S)
            self.late_ms.append((time.perf_counter() - due) * 1000)

    def take(self) -> list[float]:
        taken, self.late_ms = self.late_ms, []
        return taken


def _poll(port: int) -> None:
    """Poll until killed."""
    with LoadFeed().following(port):
        while True:
            time.sleep(1.0)


@click.command()
@click.option("--users", default=1000, show_default=True)
@click.option("--rows-per-minute", default=20_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Pairs of parts with and without polls.")
@click.option("--poll", default=0, hidden=True)
def main(users: int, rows_per_minute: int, rounds: int, poll: int) -> None:
    """Measure the lag that polls add."""
    if poll:
        _poll(poll)
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), users, rows_per_minute, rounds)


def _measure(folder: Path, users: int, rows_per_minute: int, rounds: int) -> None:
    simulated, lag = Simulated(folder, users, rows_per_minute, 60.0, began=time.time()), _Lag()
    app = Flask("live")
    add_live_state(
        SimpleNamespace(app=app, auth_required_if_enabled=lambda view: view), simulated.state.answer
    )
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    rng = np.random.default_rng(1)

    def user() -> None:
        while True:
            gevent.sleep(max(0.1, float(rng.normal(1.0, 0.2))) * users * 60 / rows_per_minute)

    def master() -> None:
        while True:
            gevent.sleep(0.5)
            simulated.add_rows(time.time())
            simulated.close_points(time.time())
            simulated.save_status()

    for _ in range(users):
        gevent.spawn(user)
    gevent.spawn(master)
    gevent.spawn(lag.watch)
    found: dict[bool, list[float]] = {True: [], False: []}
    for part in range(2 * rounds):
        polled = part % 2 == 0
        command = [sys.executable, "-m", __spec__.name, "--poll", str(server.server_port)]
        poller = subprocess.Popen(command) if polled else None
        gevent.sleep(3.0)  # it starts and takes the first points
        lag.take()
        gevent.sleep(_PART_S)
        found[polled] += lag.take()
        if poller is not None:
            poller.kill()
            poller.wait()
    click.echo(f"{users} users, {rows_per_minute} rows a minute, {rounds} × {_PART_S:.0f} s each\n")
    click.echo("| loop lag | p50 | p99 | p99.9 |\n|---|---|---|---|")
    for polled, name in ((False, "without polls"), (True, "with polls")):
        p50, p99, p999 = np.percentile(found[polled], [50, 99, 99.9])
        click.echo(f"| {name} | {p50:.2f} ms | {p99:.2f} ms | {p999:.2f} ms |")


if __name__ == "__main__":
    main()
