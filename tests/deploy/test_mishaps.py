"""What goes wrong beside AWS while a run goes on: its ledger, its terminal, its token. Nothing may stay."""

import dataclasses
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import Interrupted
from deploy.lifecycle.spend_guard import SpendGuard
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.resolve import endpoint_specs
from deploy.spec.tags import TAG_EXPIRES
from runfolder.manifest import PriceQuote
from tests.deploy.harness import IMPATIENT, QUICK, Account, fresh_clients, items, plan


def spec_of(clients: Clients, run_id: str = "mishap", **changes: Any) -> EndpointSpec:
    return endpoint_specs(plan(**changes), run_id, clients)[0]


def test_a_ledger_that_vanishes_while_a_run_goes_on(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    with deployed(spec_of(clients), clients, ledger, polling=QUICK):
        shutil.rmtree(ledger.folder)
    assert account.left() == []


def test_a_ledger_that_can_no_longer_be_written(account: Account, clients: Clients, ledger: Ledger) -> None:
    with deployed(spec_of(clients), clients, ledger, polling=QUICK):
        shutil.rmtree(ledger.folder)
        ledger.folder.write_text("no folder any more")
    assert account.left() == []
    assert ledger.open_items() == []


def test_a_line_of_somebody_elses_does_not_stand_in_the_way(ledger: Ledger) -> None:
    item = items(1)[0]
    ledger.will_create(item)
    (ledger.folder / "other.jsonl").write_bytes(b'{"kind": "endpoint"}\n\xff\xfe{"x"\n')
    fresh = Ledger(ledger.folder)
    assert fresh.open_items() == [item]
    assert fresh.unreadable == ['{"kind": "endpoint"}']


@pytest.mark.parametrize("gone", [OSError(5, "Input/output error"), SystemExit(1)], ids=["EIO", "exit"])
def test_a_terminal_that_is_gone(
    gone: BaseException, account: Account, clients: Clients, ledger: Ledger
) -> None:
    def progress(*_: object) -> None:
        raise gone

    with deployed(spec_of(clients), clients, ledger, progress, polling=QUICK):
        pass
    assert account.left() == []


def test_what_is_not_visible_yet_is_deleted_all_the_same(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    unseen = {"call": "DescribeEndpoint", "fault": "not_yet_visible", "nth": 0}

    def stop() -> str:
        account.faults([unseen])
        return "somebody says so"

    # It stays invisible to every look: only the deletion itself can tell.
    with (
        pytest.raises(UserError, match="somebody says so"),
        deployed(spec_of(clients), clients, ledger, polling=QUICK, stop=stop),
    ):
        pass
    account.faults([])
    assert ledger.open_items() == []
    while account.state()["regions"]["us-east-1"]["endpoints"]:  # its deletion was accepted, and goes on
        assert {e["status"] for e in account.state()["regions"]["us-east-1"]["endpoints"].values()} <= {
            "Deleting"
        }


def test_an_interruption_that_leaves_something_says_both(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    account.faults([{"call": "DeleteEndpoint", "fault": "access_denied", "nth": 0}])
    with (
        pytest.raises(LeftBehindError, match="NOT DELETED and billed") as caught,
        deployed(spec_of(clients), clients, ledger, polling=IMPATIENT),
    ):
        raise Interrupted(signal.SIGINT)
    account.faults([])
    assert isinstance(caught.value.after, Interrupted)
    assert caught.value.ends_the_run


def test_a_leftover_that_costs_nothing_does_not_end_the_run(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    account.faults([{"call": "DeleteModel", "fault": "access_denied", "nth": 0}])
    with (
        pytest.raises(LeftBehindError) as caught,
        deployed(spec_of(clients), clients, ledger, polling=IMPATIENT),
    ):
        pass
    account.faults([])
    assert not caught.value.ends_the_run


def test_credentials_that_were_renewed_meanwhile_are_used(
    account: Account, clients: Clients, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployed(spec_of(clients), clients, ledger, polling=QUICK):
        credentials = clients.session.get_credentials()
        monkeypatch.setattr(credentials, "secret_key", "expired")
    assert account.left() == []


def test_a_token_that_aws_repeats_in_its_refusal_is_not_told(
    account: Account, clients: Clients, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "planted-token-" + 1025 * "x"
    monkeypatch.setenv("MY_TOKEN", token)
    model = {
        "name": "M",
        "source": "image",
        "image": spec_of(clients).models[0].container.image,
        "hub_token_env": "MY_TOKEN",
    }
    with (
        pytest.raises(UserError) as caught,
        deployed(spec_of(clients, model=model), clients, ledger, polling=QUICK),
    ):
        pass
    assert "HF_TOKEN" in str(caught.value) or "environment" in str(caught.value)
    assert "planted-token" not in str(caught.value)


def test_each_endpoint_expires_by_its_own_creation(
    account: Account, clients: Clients, ledger: Ledger
) -> None:
    late = dataclasses.replace(spec_of(clients), max_lifetime=3600.0).starting_at(1_800_000_000.0)
    assert late.expires_at == 1_800_003_600.0
    assert late.tags[TAG_EXPIRES] == "2027-01-15T09:00:00Z"


def test_the_guard_counts_every_endpoint_of_the_run_from_its_call_until_it_is_gone(ledger: Ledger) -> None:
    guard = SpendGuard(ledger, "run", 3.0)
    assert (guard.spent_usd(), guard.reason()) == (0, None)
    failed, served = (dataclasses.replace(item, usd_per_hour=3600.0, created_at=100.0) for item in items(2))
    ledger.will_create(failed)
    ledger.will_create(served)
    assert guard.spent_usd(101.5) == pytest.approx(3.0)
    assert guard.exceeded(101.5)
    ledger.mark(dataclasses.replace(failed, closed_at=101.0), "deleted")
    assert guard.spent_usd(101.5) == pytest.approx(1.0 + 1.5)
    assert guard.spent_usd(102.0) == pytest.approx(1.0 + 2.0)
    ledger.mark(served, "refused")
    assert guard.spent_usd(200.0) == pytest.approx(1.0)
    assert SpendGuard(ledger, "another", 0.01).spent_usd(200.0) == 0


def test_without_a_price_or_a_limit_nothing_is_exceeded(ledger: Ledger) -> None:
    ledger.will_create(dataclasses.replace(items(1)[0], usd_per_hour=None))
    assert SpendGuard(ledger, "run", 0.01).spent_usd(2e9) is None
    assert not SpendGuard(ledger, "run", 0.01).exceeded(2e9)
    priced = Ledger(Path(ledger.folder / "priced"))
    priced.will_create(dataclasses.replace(items(1)[0], usd_per_hour=100.0))
    assert not SpendGuard(priced, "run", None).exceeded(2e9)


def test_waiting_ends_when_the_budget_does(account: Account, ledger: Ledger) -> None:
    clients = fresh_clients()
    account.faults([{"call": "CreateEndpoint", "fault": "stuck_creating"}])
    guard = SpendGuard(ledger, "budget", 0.0)
    spec = spec_of(clients, "budget")
    free = dataclasses.replace(IMPATIENT, in_service_s=60)

    with (
        pytest.raises(UserError, match=r"max_spend_usd of \$0\.00 is reached"),
        deployed(
            spec,
            clients,
            ledger,
            quote=PriceQuote(usd_per_hour=1.0),
            polling=free,
            stop=guard.reason,
        ),
    ):
        pass
    account.faults([])
    account.post("/_local/release", {"endpoint": spec.name})
