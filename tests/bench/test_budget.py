"""A run never costs more than it may: too dear a plan does not start, a slow one is ended and reported."""

import json
from typing import Any

import pytest

from tests.bench.harness import SIMULATED, Bench, requests_of

A_STEP_SPENDS_EVERYTHING = """
import sys
from pathlib import Path
import bench.run
from bench.cli import main
from deploy.lifecycle.spend_guard import SpendGuard

RESULTS = Path(sys.argv[sys.argv.index("--results") + 1])

class Dear(SpendGuard):
    def spent_usd(self, now=None):
        steps = [path.read_text() for path in RESULTS.glob("*-*/steps.csv")]
        return super().spent_usd(now) + (1000.0 if any(",complete," in text for text in steps) else 0.0)

bench.run.SpendGuard = Dear
main()
"""


def plan(limit_usd: float) -> dict[str, Any]:
    """A dollar a second; foreseen are about 98 s, most of them for the deletion."""
    return SIMULATED | {
        "load": {"concurrency": [1, 2, 4], "warm_up": "1s", "measure": "4s"},
        "price": {"usd_per_hour": 3600.0},
        "budget": {"max_spend_usd": limit_usd},
    }


def test_a_plan_above_its_budget_does_not_start(bench: Bench) -> None:
    done = bench.run("run", "--plan", bench.plan(plan(limit_usd=5)), "--results", bench.results)
    assert done.returncode == 2
    assert "budget" in done.stderr
    assert not list(bench.results.glob("*-*"))
    assert not bench.ledger_files()


@pytest.mark.e2e
def test_a_run_that_reaches_its_budget_is_ended_deleted_and_reported(bench: Bench) -> None:
    bench.program = ("-c", A_STEP_SPENDS_EVERYTHING)
    both = plan(limit_usd=370) | {
        "endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"], "region": "us-east-1"},
        "load": {"search": {"over": "concurrency", "from": 1, "to": 4}, "warm_up": "1s", "measure": "4s"},
        "slo": {"e2e_p95": "10s"},
    }
    done = bench.run("run", "--plan", bench.plan(both), "--results", bench.results)
    assert done.returncode == 130, done.stderr
    assert "max_spend_usd" in done.stderr
    run = bench.latest()
    entry, second = json.loads((run / "manifest.json").read_text())["experiments"]
    assert second["create_started_at"] is None
    assert "not started: budget.max_spend_usd" in second["error"]
    assert entry["deleted_at"] is not None
    assert "max_spend_usd" in entry["error"]
    assert len(requests_of(run)) > 0
    report = (run / "report.md").read_text()
    assert "max_spend_usd" in report
    search = bench.summary()["experiments"][0]["search"]
    assert (search["end"], search["met"], search["missed"]) == (None, 1, None)
    assert "was cut short after" in report, "the bracket so far"
    assert bench.left_open() == []
