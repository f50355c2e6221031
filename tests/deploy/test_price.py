"""Prices: one, with source and date, or none at all."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from configs.plan import Price
from deploy.aws.clients import Clients
from deploy.preflight.account_checks import check_price
from deploy.preflight.prices import from_price_list, quote


def product(
    usd: str, usagetype: str = "USE1-Host:ml.g5.xlarge", component: str = "Hosting"
) -> dict[str, Any]:
    dimension = {"pricePerUnit": {"USD": usd}, "unit": "Hrs"}
    attributes = {"instanceName": "ml.g5.xlarge", "usagetype": usagetype, "component": component}
    return {
        "product": {"attributes": attributes},
        "terms": {"OnDemand": {"a": {"priceDimensions": {"b": dimension}}}},
    }


HOSTING = product("1.408")
OTHERS = [
    product("1.2", "USE1-Train:ml.g5.xlarge", "Training"),
    product("1.3", "USE1-Notebk:ml.g5.xlarge", "Studio Notebooks"),
    product("2.8", "USE1-Host:ml.g5.2xlarge"),
]


def test_the_one_hosting_price_is_found_among_others() -> None:
    assert from_price_list([*OTHERS, HOSTING], "ml.g5.xlarge") == 1.408


def test_the_same_price_twice_is_one_price() -> None:
    assert from_price_list([HOSTING, HOSTING], "ml.g5.xlarge") == 1.408


@pytest.mark.parametrize(
    "products", [OTHERS[:2], [HOSTING, product("1.5")], []], ids=["none", "two", "empty"]
)
def test_anything_but_one_price_asks_for_it(products: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"price\.usd_per_hour"):
        from_price_list(products, "ml.g5.xlarge")


def test_the_plans_own_price_is_not_asked_for() -> None:
    found = quote("ml.g5.xlarge", "us-east-1", Price(usd_per_hour=1.1, source="contract"), None)
    assert (found.kind, found.usd_per_hour, found.source) == ("plan", 1.1, "contract")
    assert found.assumption is False


def test_a_price_by_type() -> None:
    price = Price(usd_per_hour={"ml.g5.xlarge": 1.1})
    assert quote("ml.g5.xlarge", "us-east-1", price, None).usd_per_hour == 1.1
    assert quote("ml.g99.xlarge", "us-east-1", price, None).usd_per_hour is None


def test_the_shipped_table_says_that_it_is_old(tmp_path: Path) -> None:
    found = quote("ml.g5.xlarge", "us-east-1", Price(), None, tmp_path / "cache")
    assert (found.kind, found.usd_per_hour) == ("table", 1.4084)
    assert "unverified" in found.source
    assert check_price("ml.g5.xlarge", found).level == "warning"
    assert found.as_of == "2025"


def test_no_price_is_none_and_says_why(tmp_path: Path) -> None:
    found = quote("ml.g5.xlarge", "eu-north-1", Price(), None, tmp_path / "cache")
    assert (found.kind, found.usd_per_hour) == (None, None)
    assert found.source


def test_a_discount_is_a_factor_and_is_named(tmp_path: Path) -> None:
    found = quote("ml.g5.xlarge", "us-east-1", Price(discount=0.5), None, tmp_path / "cache")
    assert found.usd_per_hour == pytest.approx(0.7042)
    assert "discount" in found.source


def test_the_price_list_is_asked_once_and_remembered_with_its_date(
    clients: Clients, account: Any, tmp_path: Path
) -> None:
    cache = tmp_path / "prices.json"
    before = len(account.calls())
    asked = quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache)
    again = quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache)
    assert asked.usd_per_hour is not None
    assert asked.kind == "api"
    assert check_price("ml.g5.xlarge", asked).level == "ok"
    assert asked.as_of == time.strftime("%Y-%m-%d", time.gmtime())
    assert again == asked
    assert account.calls(before) == [("pricing", "GetProducts")]


def test_an_old_answer_is_asked_again(clients: Clients, account: Any, tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache)
    content = json.loads(cache.read_text())
    for entry in content.values():
        entry["asked_at"] -= 8 * 86400
    cache.write_text(json.dumps(content))
    before = len(account.calls())
    quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache)
    assert account.calls(before) == [("pricing", "GetProducts")]


def test_when_the_price_list_fails_the_table_helps_and_the_reason_is_told(
    clients: Clients, account: Any, tmp_path: Path
) -> None:
    account.faults([{"call": "GetProducts", "fault": "access_denied", "nth": 0}])
    found = quote("ml.g5.xlarge", "us-east-1", Price(), clients, tmp_path / "prices.json")
    assert found.usd_per_hour == 1.4084
    assert "not authorized" in found.source
    assert not (tmp_path / "prices.json").exists()


def test_a_damaged_cache_is_no_obstacle(clients: Clients, tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    cache.write_text("{half")
    assert quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache).usd_per_hour is not None


@pytest.mark.parametrize(
    "entry", [{"asked_at": 9e9}, {"asked_at": 9e9, "quote": {"usd_per_hour": "dear"}}, {"quote": {}}, "text"]
)
def test_an_entry_that_we_cannot_have_written_is_asked_again(
    entry: Any, clients: Clients, account: Any, tmp_path: Path
) -> None:
    cache = tmp_path / "prices.json"
    quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache)
    content = json.loads(cache.read_text())
    cache.write_text(json.dumps(dict.fromkeys(content, entry)))
    before = len(account.calls())
    assert quote("ml.g5.xlarge", "us-east-1", Price(), clients, cache).usd_per_hour == 1.4084
    assert account.calls(before) == [("pricing", "GetProducts")]


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        ("eu-west-1", "us-east-1"),
        ("cn-north-1", "cn-northwest-1"),
        ("eusc-de-east-1", "eusc-de-east-1"),
        ("us-gov-west-1", None),
    ],
)
def test_each_partition_has_its_own_price_list_or_none(
    region: str, asked: str | None, clients: Clients, account: Any, tmp_path: Path
) -> None:
    there = Clients(clients.session, region)
    assert (there.pricing and there.pricing.meta.region_name) == asked
    if asked is None:
        before = len(account.calls())
        found = quote("ml.g5.xlarge", region, Price(), there, tmp_path / "cache")
        assert "no price list" in found.source
        assert account.calls(before) == []


def test_a_price_list_in_another_currency_says_so() -> None:
    yuan = json.loads(json.dumps(HOSTING).replace("USD", "CNY"))
    with pytest.raises(ValueError, match="none in dollars"):
        from_price_list([yuan], "ml.g5.xlarge")
