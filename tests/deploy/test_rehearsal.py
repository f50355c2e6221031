"""A rehearsal's account has what the plan takes for granted in the user's own."""

from pathlib import Path
from typing import Any

import pytest

from bench.backend import backend_for
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.preflight.preflight import preflight
from tests.deploy.harness import IMAGE, LIGHT, QUICK, plan

pytestmark = pytest.mark.e2e

GATED = {"name": "Gated", "source": "image", "image": IMAGE, "env": LIGHT, "hub_token_secret": "hub-token"}
OTHER_ACCOUNT = "arn:aws:iam::999999999999:role/service-role/MySageMakerRole"


@pytest.mark.parametrize("role", ["MySageMakerRole", "service-role/MySageMakerRole", OTHER_ACCOUNT])
def test_the_plan_s_own_roles_secret_and_instances_are_there(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    endpoint: dict[str, Any] = {
        "instance_type": "ml.p5.48xlarge",  # a fresh account has no quota for it
        "role": role,
        "scheduler_role": role.replace("SageMaker", "Scheduler"),
    }
    chosen = plan(model=GATED, endpoint=endpoint)
    with backend_for(chosen, rehearse=True) as backend:
        clients, ledger = Clients.from_environment(), Ledger(tmp_path / "ledger")
        found = preflight(backend.plan, lambda: clients, ledger)
        assert found.stops == ()
        with deployed(found.specs[0], clients, ledger, polling=QUICK) as deployment:
            assert deployment.in_service_at


def test_many_instances_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = plan(endpoint={"instance_type": ["ml.g5.xlarge", "ml.p4d.24xlarge"], "instance_count": 5})
    with backend_for(chosen, rehearse=True) as backend:
        found = preflight(backend.plan, Clients.from_environment, Ledger(tmp_path / "ledger"))
    assert found.stops == ()
