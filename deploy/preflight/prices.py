"""The price of an instance-hour and its source: the plan, the Price List API or the shipped table."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from common.files import write_atomically
from common.paths import price_cache
from configs.plan import Price
from deploy.aws.clients import Clients
from deploy.aws.errors import aws_message
from runfolder.manifest import PriceQuote

_CACHE_DAYS = 7.0


@dataclass(frozen=True)
class _Offer:
    """A price that AWS lists for an instance type."""

    service: str
    noun: str
    type_field: str
    """The field of GetProducts that holds the instance type."""
    filters: Mapping[str, str]
    """More fields and their values."""
    matches: Callable[[Mapping[str, str], str], bool]
    """Whether a product's attributes are of this offer and instance type."""
    remedy: str
    """What to do without a price."""


def quote(
    instance_type: str,
    region: str,
    price: Price,
    clients: Clients | None,
    cache: Path | None = None,
    *,
    assumption: bool = False,
) -> PriceQuote:
    """Dollars per hour of one instance: the plan's, else the Price List API's, else the shipped table's.

    Args:
        instance_type: such as ``ml.g5.xlarge``.
        region: of the endpoint.
        price: the plan's own price and discount.
        clients: None: do not query AWS.
        cache: file of earlier responses, kept for a week and shown with their date; None: the state folder's.
        assumption: mark the plan's price as a figure that nobody charges.

    Returns:
        A quote. Without a price, ``usd_per_hour`` is None and ``source`` holds the reason.
    """
    by_hand = (
        price.usd_per_hour.get(instance_type) if isinstance(price.usd_per_hour, dict) else price.usd_per_hour
    )
    if by_hand is not None:
        return _discounted(
            PriceQuote(kind="plan", usd_per_hour=by_hand, source=price.source, assumption=assumption), price
        )
    quoted = (
        _from_api(_HOSTING, instance_type, region, clients, cache or price_cache())
        if clients
        else PriceQuote(source="AWS was not queried")
    )
    if quoted.usd_per_hour is None:
        quoted = _from_table(instance_type, region, quoted.source) or quoted
    return _discounted(quoted, price)


def host_quote(instance_type: str, clients: Clients, cache: Path | None = None) -> PriceQuote:
    """Dollars per hour of one EC2 instance with Linux, from the Price List API.

    Args:
        instance_type: such as ``c7i.xlarge``.
        clients: of the region.
        cache: as `quote`.

    Returns:
        A quote. Without a price, ``usd_per_hour`` is None and ``source`` holds the reason.
    """
    return _from_api(_LINUX, instance_type, clients.region, clients, cache or price_cache())


def from_price_list(products: Iterable[Mapping[str, Any]], instance_type: str) -> float:
    """The one on-demand hosting price among Price List products, in dollars per hour.

    Raises:
        ValueError: there is none, or there are several different ones.
    """
    return _one_price(_HOSTING, products, instance_type)


def _one_price(offer: _Offer, products: Iterable[Mapping[str, Any]], instance_type: str) -> float:
    prices = {
        float(dimension["pricePerUnit"]["USD"])
        for product in products
        if offer.matches(product.get("product", {}).get("attributes", {}), instance_type)
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    }
    prices.discard(0.0)
    if len(prices) == 1:
        return prices.pop()
    shown = ", ".join(f"${price:g}" for price in sorted(prices)) or "none in dollars"
    raise ValueError(
        f"the Price List API lists {shown} for {instance_type} {offer.noun} instead of one price: "
        f"{offer.remedy}"
    )


def _is_hosting(attributes: Mapping[str, str], instance_type: str) -> bool:
    usage = attributes.get("usagetype", "")
    if ":" in usage:
        return usage.endswith(f"Host:{instance_type}")
    named = instance_type in (attributes.get("instanceName"), attributes.get("instanceType"))
    return named and "hosting" in attributes.get("component", "").lower()


def _is_box(attributes: Mapping[str, str], instance_type: str) -> bool:
    """Whether it is an instance without a reservation: ``BoxUsage:c7i.xlarge``, ``EUW1-BoxUsage:…``."""
    return attributes.get("usagetype", "").endswith(f"BoxUsage:{instance_type}")


_HOSTING = _Offer(
    "AmazonSageMaker", "hosting", "instanceName", {}, _is_hosting, remedy="set price.usd_per_hour"
)
_LINUX = _Offer(
    "AmazonEC2",
    "Linux",
    "instanceType",
    {"operatingSystem": "Linux", "preInstalledSw": "NA", "tenancy": "Shared", "capacitystatus": "Used"},
    _is_box,
    remedy="give the price",
)


def _from_api(offer: _Offer, instance_type: str, region: str, clients: Clients, cache: Path) -> PriceQuote:
    pricing = clients.pricing
    if pricing is None:
        return PriceQuote(source=f"there is no price list for the partition of {region}: {offer.remedy}")
    key = f"{pricing.meta.endpoint_url}|{region}|{instance_type}"
    if cached := _cached(cache, key):
        return cached
    try:
        pages = pricing.get_paginator("get_products").paginate(
            ServiceCode=offer.service,
            FormatVersion="aws_v1",
            Filters=[
                {"Type": "TERM_MATCH", "Field": field, "Value": value}
                for field, value in {
                    "regionCode": region,
                    offer.type_field: instance_type,
                    **offer.filters,
                }.items()
            ],
        )
        products = [json.loads(text) for page in pages for text in page["PriceList"]]
        usd = _one_price(offer, products, instance_type)
    except (ClientError, BotoCoreError) as error:
        return PriceQuote(source=f"no price: the Price List API could not be queried ({aws_message(error)})")
    except ValueError as error:
        return PriceQuote(source=str(error))
    quoted = PriceQuote(
        kind="api",
        usd_per_hour=usd,
        source=f"AWS Price List API ({offer.service}, {offer.noun}, {region}, on demand)",
        as_of=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    _remember(cache, key, quoted)
    return quoted


def _from_table(instance_type: str, region: str, reason: str) -> PriceQuote | None:
    table = yaml.safe_load((files("deploy.preflight") / "prices.yml").read_text(encoding="utf-8"))
    usd = table["regions"].get(region, {}).get(instance_type)
    if usd is None:
        return None
    return PriceQuote(
        kind="table", usd_per_hour=usd, source=f"{table['source']}; {reason}", as_of=table["as_of"]
    )


def _discounted(quoted: PriceQuote, price: Price) -> PriceQuote:
    if quoted.usd_per_hour is None or price.discount == 1.0:
        return quoted
    return quoted.model_copy(
        update={
            "usd_per_hour": quoted.usd_per_hour * price.discount,
            "source": f"{quoted.source}, times the plan's discount factor {price.discount:g}",
        }
    )


def _cached(cache: Path, key: str) -> PriceQuote | None:
    entry = _read(cache).get(key)
    return None if entry is None or not _is_fresh(entry) else PriceQuote(**entry["quote"] | {"kind": "api"})


def _is_fresh(entry: Any) -> bool:
    """Whether an entry of the cache is valid and less than a week old."""
    try:
        PriceQuote.model_validate(entry["quote"])
        return bool(time.time() - entry["asked_at"] <= _CACHE_DAYS * 86400)
    except (TypeError, KeyError, ValidationError):
        return False


def _remember(cache: Path, key: str, quoted: PriceQuote) -> None:
    fresh = {known_key: entry for known_key, entry in _read(cache).items() if _is_fresh(entry)}
    content = fresh | {key: {"asked_at": time.time(), "quote": quoted.model_dump()}}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, json.dumps(content, indent=1))
    except OSError:
        return  # without the cache, the next run makes one more call


def _read(cache: Path) -> dict[str, Any]:
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
