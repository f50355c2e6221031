"""Every control-plane call × every fault: served and clean, or one sentence that names what is left."""

import pytest
from deploy_matrix import PASSING, Case, Outcome, cases, outcomes

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
