"""The ledger: before each create, through every crash, and never in the way of a deletion."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Item, Ledger, State
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import QUICK, Account, items, plan


def test_an_item_is_open_until_it_is_seen_gone(ledger: Ledger) -> None:
    item = items(1)[0]
    ledger.will_create(item)
    assert ledger.open_items() == [item]
    created = ledger.mark(item, "created", "arn:x")
    assert ledger.open_items() == [dataclasses.replace(item, state="created", arn="arn:x")]
    ledger.mark(created, "deleted")
    assert ledger.open_items() == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("created", "in_service", "deleted", "refused"))))
)
def test_only_the_last_word_on_each_item_counts(words: list[tuple[int, State]]) -> None:
    known = items(4)
    last: dict[int, State] = dict.fromkeys(range(4), "creating")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        for item in known:
            ledger.will_create(item)
        for index, state in words:
            ledger.mark(known[index], state)
            last[index] = state
        assert {item.name: item.state for item in ledger.items()} == {
            known[index].name: state for index, state in last.items()
        }
        assert {item.name for item in ledger.open_items()} == {
            known[index].name for index, state in last.items() if state not in ("deleted", "refused")
        }


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(1, 120))
def test_a_torn_last_line_costs_only_itself(cut: int) -> None:
    first, second, third = items(3)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        ledger.will_create(first)
        ledger.will_create(second)
        (path,) = Path(folder).glob("*.jsonl")
        path.write_bytes(path.read_bytes()[:-cut])
        ledger.will_create(third)
        names = [item.name for item in ledger.open_items()]
        assert first.name in names
        assert third.name in names


def test_items_of_other_apis_and_regions_are_other_items(ledger: Ledger) -> None:
    item = items(1)[0]
    for api in ("http://127.0.0.1:1", "https://api.sagemaker.eu-west-1.amazonaws.com"):
        ledger.will_create(dataclasses.replace(item, api=api))
    assert len(ledger.open_items()) == 2


def test_nothing_is_created_when_the_ledger_cannot_be_written(
    clients: Clients, tmp_path: Path, account: Account
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with (
        pytest.raises(UserError, match="ledger"),
        deployed(_target(clients), clients, Ledger(blocked / "in it")),
    ):
        pytest.fail("it was deployed without a ledger")
    assert account.left() == []


def test_the_line_is_there_before_the_call(clients: Clients, ledger: Ledger, account: Account) -> None:
    seen: list[list[str]] = []

    def before(model: Any, **_: object) -> None:
        if model.name.startswith("Create"):
            seen.append([item.kind for item in ledger.open_items() if item.state == "creating"])

    clients.sagemaker.meta.events.register("before-call.*.*", before)
    with deployed(_target(clients), clients, ledger, polling=QUICK):
        pass
    assert seen == [["model"], ["endpoint-config"], ["endpoint"]]
    assert account.left() == []


def test_the_usual_time_is_of_this_type_and_this_api(ledger: Ledger) -> None:
    for age, item in zip((100, 300, 1000), items(3), strict=True):
        ledger.mark(dataclasses.replace(item, created_at=time.time() - age), "in_service")
    assert ledger.usual_boot_s("http://api", "ml.g5.xlarge") == pytest.approx(300, abs=5)
    assert ledger.usual_boot_s("http://api", "ml.p4d.24xlarge") is None
    assert ledger.usual_boot_s("http://other", "ml.g5.xlarge") is None


def test_cost_so_far_is_instances_times_price_times_time() -> None:
    item = Item(
        "endpoint",
        "n",
        "n",
        "r",
        "o",
        "us-east-1",
        "a",
        "1",
        created_at=0.0,
        instance_count=2,
        usd_per_hour=1.5,
    )
    assert item.cost_usd(1800.0) == 1.5
    assert dataclasses.replace(item, usd_per_hour=None).cost_usd(1800.0) is None


def _target(clients: Clients) -> EndpointSpec:
    return endpoint_specs(plan(), "ledger-run", clients)[0]
