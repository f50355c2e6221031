"""The metrics and the dashboard with the real Prometheus, where it is installed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from bench.live_page.run_view import RunView
from bench.live_page.server import Address, metrics_page
from bench.monitoring.prometheus import exposition
from bench.ports import free_port
from tests.bench.live_states import load_state
from tests.bench.test_monitoring import ROOT, queries
from tests.support.polling import poll

PROGRAMS = [shutil.which(name) for name in ("prometheus", "promtool")]
ABSENT = ("target_requests_per_second", 'slo_limit_seconds{instance=~".*",experiment=~".*",metric="tpot"}')
"""The load of this test is no open loop, and its SLO does not limit TPOT."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(None in PROGRAMS, reason="Prometheus is not installed (Debian's package prometheus)"),
]


def view_of(folder: Path, played: int) -> RunView:
    view = RunView(
        plan="p", run_id="r", stage="load", expected_usd=2.0, max_spend_usd=3.0, spent_usd=lambda: 1.0
    )
    folder.mkdir()
    view.take_load(load_state(folder, played=played))
    return view


def test_prometheus_finds_no_fault_in_the_page(tmp_path: Path) -> None:
    text, _ = exposition(view_of(tmp_path / "run", 4).facts, "")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_query_of_the_dashboard_has_an_answer(tmp_path: Path) -> None:
    target, port = free_port(), free_port()
    config = (ROOT / "deploy/monitoring/prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("127.0.0.1:9646", f"127.0.0.1:{target}").replace("interval: 5s", "interval: 1s")
    (file := tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    subprocess.run(["promtool", "check", "config", file], check=True, stdout=subprocess.DEVNULL)

    def answer(query: str) -> list[Any] | None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}") as response:
                found: list[Any] = json.load(response)["data"]["result"]
        except HTTPError as error:
            if error.code != 503:  # it does not understand the query
                raise
        except URLError:
            pass
        else:
            return found
        return None  # it starts

    view = view_of(tmp_path / "run", 4)
    arguments = (f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}")
    with (
        metrics_page(view, Address(target)),
        subprocess.Popen(
            ["prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as prometheus,
    ):
        try:
            poll(lambda: answer("rate(llm_bench_requests_total[10s])"))
            missing = [query for query in queries() if not answer(query)]
        finally:
            prometheus.terminate()
    assert [query for query in missing if not any(name in query for name in ABSENT)] == []
