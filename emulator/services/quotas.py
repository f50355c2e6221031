"""Service Quotas: how many instances of each type the account may have for endpoints."""

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import Any

from emulator.account import ACCOUNT_ID
from emulator.context import ALL_ENDPOINTS_QUOTA, ALL_TYPES, Context, default_quota, instance_types
from emulator.errors import ApiError

Members = dict[str, Any]
_SERVICE = "sagemaker"
_PAGE = 100


def list_service_quotas(context: Context, members: Members) -> Members:
    """ListServiceQuotas: only quotas that have an applied value, as on AWS."""
    return _page(members, _applied(context), context)


def list_default_quotas(context: Context, members: Members) -> Members:
    """ListAWSDefaultServiceQuotas: one ``… for endpoint usage`` per instance type that botocore knows."""
    return _page(members, {usage(kind): default_quota(kind) for kind in instance_types()}, context)


def get_service_quota(context: Context, members: Members) -> Members:
    """GetServiceQuota."""
    _check_service(members)
    for name, value in _applied(context).items():
        if quota_code(name) == members["QuotaCode"]:
            return {"Quota": _quota(context, name, value)}
    raise ApiError(
        "NoSuchResourceException", "The request failed because the specified quota does not exist."
    )


def usage(instance_type: str) -> str:
    """The name of the quota of an instance type."""
    return f"{instance_type} for endpoint usage"


def quota_code(name: str) -> str:
    """A code of AWS's form; only its name tells what a quota is for."""
    return f"L-{zlib.crc32(name.encode()):08X}"


OPERATIONS: dict[str, Callable[[Context, Members], Members]] = {
    "ListServiceQuotas": list_service_quotas,
    "ListAWSDefaultServiceQuotas": list_default_quotas,
    "GetServiceQuota": get_service_quota,
}


def _check_service(members: Members) -> None:
    if members["ServiceCode"] != _SERVICE:
        raise ApiError("NoSuchResourceException", f"The service {members['ServiceCode']} does not exist.")


def _offset(token: str | None) -> int:
    try:
        return int(base64.b64decode(token, validate=True)) if token else 0
    except (ValueError, binascii.Error):
        raise ApiError("InvalidPaginationTokenException", "The pagination token is invalid.") from None


def _applied(context: Context) -> dict[str, int]:
    """What this account was given: something of every small type, and what was asked for."""
    account = context.account
    held = {
        kind: account.quota(kind)
        for kind in instance_types()
        if kind in account.quotas or default_quota(kind)
    }
    across = {ALL_ENDPOINTS_QUOTA: account.quotas[ALL_TYPES]} if ALL_TYPES in account.quotas else {}
    return {usage(kind): value for kind, value in held.items()} | across


def _page(members: Members, values: dict[str, int], context: Context) -> Members:
    _check_service(members)
    names = sorted(values)
    start = _offset(members.get("NextToken"))
    end = start + members.get("MaxResults", _PAGE)
    token = base64.b64encode(str(end).encode()).decode() if end < len(names) else None
    rows = [_quota(context, name, values[name]) for name in names[start:end]]
    return {"Quotas": rows, "NextToken": token}


def _quota(context: Context, name: str, value: int) -> Members:
    code = quota_code(name)
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{context.region.name}:{ACCOUNT_ID}:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
