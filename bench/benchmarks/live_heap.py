"""Memory of the live page in a browser over a long run, with a poll per simulated second.

    python -m bench.benchmarks.live_heap [--hours 2]

The page's timer is shortened, so that it polls as fast as it can draw. Needs Chromium.
"""

import shutil
import time
from itertools import count
from typing import Any

import click
from playwright.sync_api import sync_playwright

from bench.benchmarks.screenshots import FLAGS
from bench.live_page.load_feed import LoadFeed
from bench.live_page.run_view import RunView
from bench.live_page.server import Address, live_page
from bench.ports import free_port
from locustfiles.master.live_series import FIELDS, POINTS

_NO_WAIT = "const wait = setTimeout; window.setTimeout = (call, ms) => wait(call, ms === 1000 ? 0 : ms);"
_LOOK_S = 900
_OBJECTIVE = {"metric": "ttft", "statistic": "p95", "limit_ms": 300, "label": "TTFT p95 ≤ 300 ms"}
_STEP: dict[str, Any] = {
    "step": "x/c1000",
    "state": "running",
    "checks": [],
    "purpose": None,
    "announced_at": 0.0,
    "ok": 0,
    "failed": 0,
    "measure_started_at": 0.0,
    "measure_ended_at": None,
    "measured_ok": 0,
    "reasons": "",
    "slo": "open",
}


class _LongLoad(LoadFeed):
    """A second passes at every poll."""

    def __init__(self) -> None:
        super().__init__()
        self.second = count(1_700_000_000)
        self.polls = 0

    def series(self, load: str, since: int) -> dict[str, Any]:  # noqa: ARG002 - the feed has one load
        """One more point."""
        self.polls += 1
        at = next(self.second)
        values = [1000.0 + at % 37 for _ in FIELDS[1:]]
        steps = [{**_STEP, "ok": self.polls * 333, "measured_ok": self.polls * 333}]
        self.state = {
            "experiment": "x",
            "endpoint": "e",
            "region": "r",
            "search": False,
            "search_path": None,
            "step": "x/c1000",
            "ordinal": 1,
            "steps_total": 1,
            "phase": "measure",
            "phase_elapsed_s": self.polls,
            "phase_total_s": 7200,
            "until": None,
            "eta_s": 7200 - self.polls,
            "message": "",
            "target": 1000,
            "rate": None,
            "turns_per_arrival": None,
            "users": 1000,
            "in_flight": 1000,
            "objectives": [_OBJECTIVE],
            "outcomes": {"ok": self.polls * 333},
            "errors": [],
            "workers": [],
            "now": at,
            "cost": {"spent_usd": 1.0},
            "steps": steps,
        }
        return {
            "load": "a",
            "version": since + 1,
            "seconds": 1.0,
            "fields": FIELDS,
            "points": [[at, *values]],
        }


@click.command()
@click.option("--hours", default=2.0, show_default=True, help="Length of the simulated run.")
def main(hours: float) -> None:
    """Measure the page's heap after every 15 minutes."""
    feed = _LongLoad()
    view = RunView(plan="p", run_id="r", stage="load", feed=feed, spent_usd=lambda: 1.0)
    feed.locust_page = "http://127.0.0.1/"
    feed.series("", 0)
    port, heaps = free_port(), []
    with live_page(view, Address(port)), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page()
        page.add_init_script(_NO_WAIT)
        session = page.context.new_cdp_session(page)
        page.goto(view.address)
        for look in range(1, int(hours * 3600 / _LOOK_S) + 1):
            while feed.polls < look * _LOOK_S:
                time.sleep(0.05)
                page.evaluate("1")
            session.send("HeapProfiler.collectGarbage")
            heaps.append(f"{session.send('Runtime.getHeapUsage')['usedSize'] / 2**20:.1f} MB")
        browser.close()
    click.echo(f"{feed.polls} polls, {POINTS} points kept\nheap every 15 minutes: {', '.join(heaps)}")


if __name__ == "__main__":
    main()
