"""Every control-plane call × every fault: served and clean, or one sentence that names what is left."""

import pytest

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.removal import LeftBehindError
from deploy.spec.resolve import endpoint_specs
from tests.deploy.fault_matrix import PASSING, Case, Outcome, cases, outcomes
from tests.deploy.harness import IMPATIENT, Account, plan

pytestmark = pytest.mark.e2e

CASES = tuple(cases())


@pytest.fixture(scope="module")
def played() -> dict[Case, Outcome]:
    return outcomes()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_account_is_empty_or_what_is_left_is_named(case: Case, played: dict[Case, Outcome]) -> None:
    outcome = played[case]
    assert outcome.named == outcome.left
    if outcome.left:
        assert outcome.error is not None
        assert all(command in outcome.error for command in outcome.commands)
    if outcome.error is not None:
        assert "\n" not in outcome.error
    if not outcome.served:
        assert outcome.error is not None


@pytest.mark.parametrize("case", [c for c in CASES if c.fault in PASSING and not c.always], ids=str)
def test_a_passing_fault_is_not_even_noticed(case: Case, played: dict[Case, Outcome]) -> None:
    outcome = played[case]
    assert (outcome.served, outcome.error, outcome.left) == (True, None, ())


@pytest.mark.parametrize("case", [c for c in CASES if c.always and c.call.startswith("Delete")], ids=str)
def test_what_cannot_be_deleted_is_left_and_named(case: Case, played: dict[Case, Outcome]) -> None:
    assert played[case].left != ()


@pytest.mark.parametrize("call", ["CreateModel", "CreateEndpointConfig"])
def test_what_may_be_ours_and_cannot_be_checked_is_named(
    call: str, account: Account, clients: Clients, ledger: Ledger
) -> None:
    lost_answer = {"call": call, "fault": "drop_connection", "when": "after"}
    account.faults([lost_answer, {"call": "ListTags", "fault": "access_denied", "nth": 0}])
    spec = endpoint_specs(plan(), "unsure", clients)[0]
    with pytest.raises(LeftBehindError) as caught, deployed(spec, clients, ledger, polling=IMPATIENT):
        pass
    assert len(account.left()) == len(caught.value.leftovers) == 1
    assert len(ledger.open_items()) == 1
    account.faults([])


def test_what_was_there_before_is_never_touched(account: Account, clients: Clients, ledger: Ledger) -> None:
    spec = endpoint_specs(plan(), "namesake", clients)[0]
    clients.sagemaker.create_model(
        ModelName=spec.name,
        PrimaryContainer={"Image": spec.models[0].container.image},
        ExecutionRoleArn=spec.role_arn,
    )
    with pytest.raises(UserError, match="the existing one was not changed"), deployed(spec, clients, ledger):
        pass
    assert account.left() == [f"models/{spec.name}"]
    assert ledger.open_items() == []
