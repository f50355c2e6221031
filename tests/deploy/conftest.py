"""One local SageMaker for the folder; each test finds its account empty and must leave it so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.paths import HOME_VARIABLE
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.lifecycle.ledger import Ledger
from emulator.process import LocalSageMaker
from tests.deploy.harness import Account, plan
from tests.support.state import make_state_folder


@pytest.fixture(scope="session")
def server() -> Iterator[LocalSageMaker]:
    with LocalSageMaker(["--create-seconds", "0.1", "--delete-seconds", "0.05"]) as local:
        yield local


@pytest.fixture
def account(server: LocalSageMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    """The account behind the local SageMaker, reached as any account is: by the environment."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, str(make_state_folder(tmp_path / "state")))
    monkeypatch.setenv("SAGEMAKER_ROLE", "local-sagemaker")
    account = Account(server.url)
    account.faults([])
    yield account
    account.faults([])
    account.empty()


@pytest.fixture
def clients(account: Account) -> Clients:
    return Clients.from_environment("us-east-1", attempts=2)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def any_plan() -> Plan:
    return plan()
