"""What an instance-hour costs, and where that figure comes from; and the guard that watches what is spent."""

import json
import time
from collections.abc import Iterable, Mapping
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
from deploy.aws.errors import message
from runfolder.manifest import PriceQuote

_CACHE_DAYS = 7.0
_SERVICE = "AmazonSageMaker"


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
        clients: None where nothing may be asked.
        cache: file of earlier answers, kept for a week and shown with their date; None: the state folder's.
        assumption: the plan's price is a figure that nobody charges.

    Returns:
        A quote; without ``usd_per_hour`` where no price was found, with the reason as its source.
    """
    by_hand = (
        price.usd_per_hour.get(instance_type) if isinstance(price.usd_per_hour, dict) else price.usd_per_hour
    )
    if by_hand is not None:
        return _discounted(
            PriceQuote(usd_per_hour=by_hand, source=price.source, assumption=assumption), price
        )
    found = (
        _from_api(instance_type, region, clients, cache or price_cache())
        if clients
        else PriceQuote(source="AWS was not asked")
    )
    if found.usd_per_hour is None:
        found = _from_table(instance_type, region, found.source) or found
    return _discounted(found, price)


def from_price_list(products: Iterable[Mapping[str, Any]], instance_type: str) -> float:
    """The one on-demand hosting price among Price List products, in dollars per hour.

    Raises:
        ValueError: none, or several different ones.
    """
    prices = {
        float(dimension["pricePerUnit"]["USD"])
        for product in products
        if _is_hosting(product.get("product", {}).get("attributes", {}), instance_type)
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    }
    prices.discard(0.0)
    if len(prices) == 1:
        return prices.pop()
    shown = ", ".join(f"${price:g}" for price in sorted(prices)) or "none in dollars"
    raise ValueError(
        f"the Price List API gives {shown} for {instance_type} hosting, not one price: set price.usd_per_hour"
    )


def _is_hosting(attributes: Mapping[str, str], instance_type: str) -> bool:
    usage = attributes.get("usagetype", "")
    if ":" in usage:
        return usage.endswith(f"Host:{instance_type}")
    named = instance_type in (attributes.get("instanceName"), attributes.get("instanceType"))
    return named and "hosting" in attributes.get("component", "").lower()


def _from_api(instance_type: str, region: str, clients: Clients, cache: Path) -> PriceQuote:
    pricing = clients.pricing
    if pricing is None:
        return PriceQuote(source=f"no price list serves the partition of {region}: set price.usd_per_hour")
    key = f"{pricing.meta.endpoint_url}|{region}|{instance_type}"
    if known := _cached(cache, key):
        return known
    try:
        pages = pricing.get_paginator("get_products").paginate(
            ServiceCode=_SERVICE,
            FormatVersion="aws_v1",
            Filters=[
                {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
                {"Type": "TERM_MATCH", "Field": "instanceName", "Value": instance_type},
            ],
        )
        products = [json.loads(text) for page in pages for text in page["PriceList"]]
        usd = from_price_list(products, instance_type)
    except (ClientError, BotoCoreError) as error:
        return PriceQuote(source=f"no price: the Price List API could not be asked ({message(error)})")
    except ValueError as error:
        return PriceQuote(source=str(error))
    found = PriceQuote(
        usd_per_hour=usd,
        source=f"AWS Price List API ({_SERVICE}, hosting, {region}, on demand)",
        as_of=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    _remember(cache, key, found)
    return found


def _from_table(instance_type: str, region: str, why: str) -> PriceQuote | None:
    table = yaml.safe_load((files("deploy.preflight") / "prices.yml").read_text(encoding="utf-8"))
    usd = table["regions"].get(region, {}).get(instance_type)
    if usd is None:
        return None
    return PriceQuote(usd_per_hour=usd, source=f"{table['source']}; {why}", as_of=table["as_of"])


def _discounted(found: PriceQuote, price: Price) -> PriceQuote:
    if found.usd_per_hour is None or price.discount == 1.0:
        return found
    return found.model_copy(
        update={
            "usd_per_hour": found.usd_per_hour * price.discount,
            "source": f"{found.source}, times the plan's discount factor {price.discount:g}",
        }
    )


def _cached(cache: Path, key: str) -> PriceQuote | None:
    entry = _read(cache).get(key)
    return None if entry is None or not _is_fresh(entry) else PriceQuote.model_validate(entry["quote"])


def _is_fresh(entry: Any) -> bool:
    """Whether an entry of the cache is of this week, and one that we can have written."""
    try:
        PriceQuote.model_validate(entry["quote"])
        return bool(time.time() - entry["asked_at"] <= _CACHE_DAYS * 86400)
    except (TypeError, KeyError, ValidationError):
        return False


def _remember(cache: Path, key: str, found: PriceQuote) -> None:
    fresh_enough = {known: entry for known, entry in _read(cache).items() if _is_fresh(entry)}
    content = fresh_enough | {key: {"asked_at": time.time(), "quote": found.model_dump()}}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, json.dumps(content, indent=1))
    except OSError:
        return  # a cache that cannot be written costs one call the next time


def _read(cache: Path) -> dict[str, Any]:
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
