"""The Price List API for SageMaker and EC2, in AWS's format; prices come from ``prices.yml`` beside it."""

import json
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import yaml

from emulator.context import Context, Members, Operation
from emulator.errors import ApiError
from emulator.paging import cut_page

_SERVICE, _EC2 = "AmazonSageMaker", "AmazonEC2"
_TABLE = Path(__file__).with_name("prices.yml")
_OFFER_TERM, _RATE = "JRTCKXETXF", "6YS6EN2CT7"
_COMPONENTS = (("Hosting", "Host"), ("Training", "Train"), ("Notebook", "Notebk"))
_USAGE_PREFIX = {"us-east-1": "USE1", "us-east-2": "USE2", "us-west-2": "USW2", "eu-west-1": "EUW1"}
_PAGE = 100


def get_products(context: Context, members: Members) -> Members:  # noqa: ARG001 - one signature for all
    """GetProducts: for SageMaker hosting, training and notebooks of the types in the table; for EC2 hosts."""
    if (service := members["ServiceCode"]) not in _MAKERS:
        raise ApiError("NotFoundException", f"Service {service} not found")
    filters = members.get("Filters", [])
    products = [product for product in _MAKERS[service](filters) if _matches(product, filters)]
    invalid = ApiError("InvalidNextTokenException", "The pagination token is invalid.")
    page, token = cut_page(products, members.get("NextToken"), members.get("MaxResults", _PAGE), invalid)
    return {
        "FormatVersion": "aws_v1",
        "PriceList": [json.dumps(product) for product in page],
        "NextToken": token,
    }


OPERATIONS: dict[str, Operation] = {"GetProducts": get_products}


@lru_cache
def _prices() -> dict[str, float]:
    """Dollars per hour by instance type; every region has the prices of us-east-1."""
    prices: dict[str, float] = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return prices


def _products(filters: list[dict[str, str]]) -> Iterator[Members]:
    region = next((f["Value"] for f in filters if f["Field"] == "regionCode"), "us-east-1")
    for instance_type, price in _prices().items():
        for component, usage in _COMPONENTS if instance_type.startswith("ml.") else ():
            yield _hosting_product(region, instance_type, price, component, usage)


def _hosts(filters: list[dict[str, str]]) -> Iterator[Members]:
    region = next((f["Value"] for f in filters if f["Field"] == "regionCode"), "us-east-1")
    prefix = "" if region == "us-east-1" else f"{_usage_prefix(region)}-"
    for instance_type, price in _prices().items():
        if not instance_type.startswith("ml."):
            attributes = {
                "instanceType": instance_type,
                "operatingSystem": "Linux",
                "preInstalledSw": "NA",
                "tenancy": "Shared",
                "capacitystatus": "Used",
                "usagetype": f"{prefix}BoxUsage:{instance_type}",
            }
            yield _product(_EC2, region, "Compute Instance", price, attributes)


_MAKERS = {_SERVICE: _products, _EC2: _hosts}


def _matches(product: Members, filters: list[dict[str, str]]) -> bool:
    attributes = {**product["product"]["attributes"], "productFamily": product["product"]["productFamily"]}
    return all(attributes.get(f["Field"], "").lower() == f["Value"].lower() for f in filters)


def _usage_prefix(region: str) -> str:
    return _USAGE_PREFIX.get(region, region.upper())


def _hosting_product(region: str, instance_type: str, price: float, component: str, usage: str) -> Members:
    attributes = {
        "servicename": "Amazon SageMaker",
        "instanceName": instance_type,
        "instanceType": f"{instance_type}-{component}",
        "component": component,
        "usagetype": f"{_usage_prefix(region)}-{usage}:{instance_type}",
    }
    return _product(_SERVICE, region, "ML Instance", price, attributes)


def _product(service: str, region: str, family: str, price: float, attributes: dict[str, str]) -> Members:
    sku = f"{zlib.crc32(f'{region}{attributes}'.encode()):016X}"
    term = f"{sku}.{_OFFER_TERM}"
    rate = f"{term}.{_RATE}"
    dimension = {
        "unit": "Hrs",
        "endRange": "Inf",
        "description": f"${price} per {attributes['usagetype']} hour in {region}",
        "appliesTo": [],
        "rateCode": rate,
        "beginRange": "0",
        "pricePerUnit": {"USD": f"{price:.10f}"},
    }
    return {
        "product": {
            "productFamily": family,
            "attributes": {
                "regionCode": region,
                "locationType": "AWS Region",
                "servicecode": service,
                "operation": "RunInstance",
                **attributes,
            },
            "sku": sku,
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {rate: dimension},
                    "sku": sku,
                    "effectiveDate": "2025-01-01T00:00:00Z",
                    "offerTermCode": _OFFER_TERM,
                    "termAttributes": {},
                }
            }
        },
        "version": "20250101000000",
        "publicationDate": "2025-01-01T00:00:00Z",
    }
