"""Preparing a run checks everything and creates nothing."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from bench.backend import backend_for
from bench.checks import check_plan
from bench.locust_process import LoadOptions
from bench.prepare import PreparedRun, RunOptions, prepare
from common.errors import UserError
from configs.plan import Plan
from tests.bench.harness import SIMULATED

pytestmark = pytest.mark.e2e


def prepared(results: Path, **changes: dict[str, Any]) -> PreparedRun:
    parts = {key: SIMULATED.get(key, {}) | value for key, value in changes.items()}
    plan = Plan.model_validate(SIMULATED | parts)
    with backend_for(plan, rehearse=False) as backend:
        return prepare(backend, RunOptions(results, LoadOptions()), check_plan(plan))


def test_a_prepared_run_is_described_and_nothing_is_created(tmp_path: Path) -> None:
    run = prepared(tmp_path, endpoint={"instance_type": ["ml.g5.xlarge", "ml.g6.xlarge"]})
    assert [entry.name for entry in run.manifest.experiments] == [
        "ml.g5.xlarge/en_50-100",
        "ml.g6.xlarge/en_50-100",
    ]
    assert [entry.locust_prefix for entry in run.manifest.experiments] == ["locust_1", "locust_2"]
    assert run.manifest.state == "running"
    assert run.run_id.startswith(run.folder.name)
    assert list(tmp_path.iterdir()) == []
    assert run.ledger.items() == []
    with pytest.raises(FrozenInstanceError):
        run.folder = tmp_path  # type: ignore[misc]


def test_a_check_that_stops_the_run_has_a_finding_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as stopped:
        prepared(tmp_path, budget={"max_spend_usd": 0.0001})
    assert stopped.value.finding.startswith("budget: ")
    assert stopped.value.remedy
    assert list(tmp_path.iterdir()) == []
