"""A run never costs more than it may: too dear a plan does not start, a slow one is ended and reported."""

import json
from typing import Any

import pytest

from tests.bench.harness import SIMULATED, Bench, requests_of

MONEY_RUNS_TWENTY_TIMES_FASTER = """
import bench.run
from bench.cli import main
from deploy.lifecycle.spend_guard import SpendGuard

class Fast(SpendGuard):
    def spent_usd(self, now=None):
        return 20 * super().spent_usd(now)

bench.run.SpendGuard = Fast
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
    bench.program = ("-c", MONEY_RUNS_TWENTY_TIMES_FASTER)
    both = plan(limit_usd=205) | {"endpoint": {"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"]}}
    both["endpoint"]["region"] = "us-east-1"
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
    assert "max_spend_usd" in (run / "report.md").read_text()
    assert bench.left_open() == []
