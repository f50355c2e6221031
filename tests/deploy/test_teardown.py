"""Teardown finds what is ours by ledger and by tag, asks before it takes another's, and can be repeated."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.resources import KINDS
from deploy.lifecycle.inventory import InventoryEntry, inventory, items_elsewhere
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.removal import remove
from deploy.lifecycle.teardown import teardown
from deploy.spec import api_requests
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.owner import machine_owner
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import IMPATIENT, QUICK, Account, items, plan


def leave(clients: Clients, run_id: str, owner: str | None = None, **endpoint: Any) -> EndpointSpec:
    """Create a model and a configuration as a run does that died; they cost nothing and start nothing."""
    chosen = plan(endpoint={"instance_type": "ml.g5.xlarge", **endpoint})
    spec = endpoint_specs(chosen, run_id, clients, owner=owner)[0]
    resources.create(clients, KINDS["model"], api_requests.create_model(spec, spec.models[0], None))
    resources.create(clients, KINDS["endpoint-config"], api_requests.create_endpoint_config(spec))
    return spec


class Answer:
    """What the user says when asked about another's."""

    def __init__(self, *, yes: bool) -> None:
        self.yes = yes
        self.asked: list[str] = []

    def __call__(self, asked: Sequence[InventoryEntry]) -> bool:
        self.asked += {one.item.owner for one in asked}
        return self.yes


def tear(clients: Clients, ledger: Ledger, answer: Answer) -> list[str]:
    found = inventory(clients, ledger, machine_owner())
    return [str(left) for left in teardown(found, clients, ledger, confirm=answer, polling=QUICK)]


def test_what_this_machine_left_is_found_by_its_tags_alone(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    leave(clients, "lost-ledger")
    answer = Answer(yes=False)
    assert tear(clients, ledger, answer) == []
    assert (account.left(), answer.asked) == ([], [])


@pytest.mark.parametrize("yes", [True, False])
def test_another_owner_is_asked_about(yes: bool, clients: Clients, account: Account, ledger: Ledger) -> None:  # noqa: FBT001 - a table's column
    leave(clients, "theirs", owner="ann@elsewhere")
    answer = Answer(yes=yes)
    tear(clients, ledger, answer)
    assert answer.asked == ["ann@elsewhere"]
    assert (account.left() == []) is yes


def test_what_is_mine_is_gone_before_anybody_is_asked(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    mine = leave(clients, "mine")
    theirs = leave(clients, "theirs", owner="ann@elsewhere")

    def ask(_asked: Sequence[InventoryEntry]) -> bool:
        raise KeyboardInterrupt

    found = inventory(clients, ledger, machine_owner())
    with pytest.raises(KeyboardInterrupt):
        teardown(found, clients, ledger, confirm=ask, polling=QUICK)
    left = account.left()
    assert f"models/{mine.name}" not in left
    assert f"models/{theirs.name}" in left


@pytest.mark.parametrize(
    "refused",
    [
        ("ListTags", "not_yet_visible", ""),  # deleted by its owner since it was listed
        ("ListTags", "access_denied", "reading the tags of endpoint-config"),
        ("ListModels", "access_denied", "listing the models"),
        ("ListSchedules", "access_denied", "listing the schedules"),
    ],
)
def test_a_call_that_is_refused_leaves_out_only_what_it_would_have_shown(
    refused: tuple[str, str, str], clients: Clients, account: Account, ledger: Ledger
) -> None:
    call, fault, said = refused
    known, found_by_tag = leave(clients, "known"), leave(clients, "by-tag")
    for kind in ("model", "endpoint-config"):
        item = _item(clients, known, kind)
        ledger.will_create(item)
        ledger.mark(item, "created", "arn")
    account.faults([{"call": call, "fault": fault, "nth": int(not said)}])
    notices: list[str] = []
    found = inventory(clients, ledger, machine_owner(), on_notice=notices.append)
    account.faults([])
    assert teardown(found, clients, ledger, confirm=Answer(yes=False), polling=QUICK) == []
    left = account.left()
    assert not any(known.name in entry for entry in left), "what the ledger knows goes, whatever is refused"
    assert any(said in notice for notice in notices) if said else notices == []
    if call in ("ListModels", "ListSchedules"):
        assert f"endpoint_configs/{found_by_tag.name}" not in left


def test_many_resources_are_listed_in_large_pages(clients: Clients, account: Account, ledger: Ledger) -> None:
    spec = endpoint_specs(plan(), "many", clients)[0]
    request = api_requests.create_model(spec, spec.models[0], None)
    for index in range(11):  # one more than a page has unless it is asked for more
        resources.create(clients, KINDS["model"], request | {"ModelName": f"production-{index}"})
    before = len(account.calls())
    assert inventory(clients, ledger, machine_owner()) == []
    assert account.calls(before).count(("sagemaker", "ListModels")) == 1


def test_what_bears_no_tag_of_ours_is_not_even_listed(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    spec = endpoint_specs(plan(), "run", clients)[0]
    bare = api_requests.create_model(spec, spec.models[0], None)
    bare["Tags"] = [{"Key": "project", "Value": "another"}]
    resources.create(clients, KINDS["model"], bare)
    resources.create(clients, KINDS["model"], bare | {"ModelName": "production"})
    assert inventory(clients, ledger, machine_owner()) == []
    tear(clients, ledger, Answer(yes=True))
    assert len(account.left()) == 2


def test_the_ledger_and_the_tags_are_one_list(clients: Clients, account: Account, ledger: Ledger) -> None:
    spec = leave(clients, "known")
    base = _item(clients, spec, "model")
    ledger.will_create(base)
    ledger.mark(base, "created", "arn")
    gone = _item(clients, spec, "endpoint")
    ledger.will_create(gone)
    ledger.mark(gone, "created", "arn")
    found = {one.item.kind: one for one in inventory(clients, ledger, machine_owner())}
    assert {kind: one.known_by for kind, one in found.items()} == {
        "model": "ledger and tag",
        "endpoint-config": "tag",
        "endpoint": "ledger",
    }
    assert tear(clients, ledger, Answer(yes=False)) == []
    assert (account.left(), ledger.open_items()) == ([], [])


def test_the_schedule_of_a_lost_run_is_found_by_its_endpoint_s_name(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    parts = [{"name": "one"}, {"name": "two"}]
    spec = leave(clients, "scheduled", scheduler_role="local-scheduler", components=parts)
    for request in api_requests.create_schedules(spec, "aws"):
        resources.create(clients, KINDS["schedule"], request)
    assert len(account.left()) == 5  # the components were never made, their schedules were
    assert tear(clients, ledger, Answer(yes=False)) == []
    assert account.left() == []


def test_it_can_be_repeated(clients: Clients, account: Account, ledger: Ledger) -> None:
    leave(clients, "twice")
    for _ in range(2):
        assert tear(clients, ledger, Answer(yes=False)) == []
    assert account.left() == []


def test_items_of_other_accounts_are_told_and_not_touched(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    for item in items(2):
        ledger.will_create(item)
    assert len(items_elsewhere(clients, ledger)) == 2
    assert inventory(clients, ledger, machine_owner()) == []
    tear(clients, ledger, Answer(yes=True))
    assert len(ledger.open_items()) == 2


def test_a_namesake_of_an_unfinished_create_is_not_deleted(
    clients: Clients, account: Account, ledger: Ledger
) -> None:
    spec = leave(clients, "the other run")
    item = dataclasses.replace(_item(clients, spec, "model"), run_id="this run")
    ledger.will_create(item)
    assert remove([item], clients, ledger, polling=QUICK) == []
    assert f"models/{spec.name}" in account.left()
    assert ledger.open_items() == []


def test_what_an_endpoint_stands_on_stays_while_it_does(
    clients: Clients, account: Account, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    spec = leave(clients, "standing")
    resources.create(clients, KINDS["endpoint"], api_requests.create_endpoint(spec))
    account.faults([{"call": "DeleteEndpoint", "fault": "access_denied", "nth": 0}])
    made = [
        ledger.mark(_item(clients, spec, kind), "created", "arn")
        for kind in ("endpoint", "endpoint-config", "model")
    ]
    left = remove(made, clients, ledger, polling=IMPATIENT)
    assert [one.item.kind for one in left] == ["endpoint", "endpoint-config", "model"]
    assert left[0].command == f"aws sagemaker delete-endpoint --endpoint-name {spec.name} --region us-east-1"
    assert len(account.left()) == 3


def _item(clients: Clients, spec: EndpointSpec, kind: str) -> Item:
    return Item(
        kind=kind,  # type: ignore[arg-type]
        name=spec.name,
        group=spec.name,
        run_id=spec.run_id,
        owner=spec.owner,
        region="us-east-1",
        api=clients.api,
        account=clients.identity.account,
        created_at=1_700_000_000.0,
    )
