"""Service Quotas: how many instances of each type the account may have for endpoints."""

import zlib

from emulator.account import ACCOUNT_ID
from emulator.context import (
    ALL_ENDPOINTS_QUOTA,
    ALL_TYPES,
    Context,
    Members,
    Operation,
    default_quota,
    instance_types,
)
from emulator.errors import ApiError
from emulator.paging import cut_page

_SERVICE = "sagemaker"
_PAGE = 100


def list_service_quotas(context: Context, members: Members) -> Members:
    """ListServiceQuotas: only quotas with an applied value, as on AWS."""
    return _page(members, _applied(context), context)


def list_default_quotas(context: Context, members: Members) -> Members:
    """ListAWSDefaultServiceQuotas: one ``… for endpoint usage`` for each type in botocore's model."""
    return _page(members, {quota_name(kind): default_quota(kind) for kind in instance_types()}, context)


def get_service_quota(context: Context, members: Members) -> Members:
    """GetServiceQuota."""
    _check_service(members)
    for name, value in _applied(context).items():
        if quota_code(name) == members["QuotaCode"]:
            return {"Quota": _quota(context, name, value)}
    raise ApiError(
        "NoSuchResourceException", "The request failed because the specified quota does not exist."
    )


def quota_name(instance_type: str) -> str:
    """The name of the quota for an instance type."""
    return f"{instance_type} for endpoint usage"


def quota_code(name: str) -> str:
    """A code in AWS's format, derived from the quota's name."""
    return f"L-{zlib.crc32(name.encode()):08X}"


OPERATIONS: dict[str, Operation] = {
    "ListServiceQuotas": list_service_quotas,
    "ListAWSDefaultServiceQuotas": list_default_quotas,
    "GetServiceQuota": get_service_quota,
}


def _check_service(members: Members) -> None:
    if members["ServiceCode"] != _SERVICE:
        raise ApiError("NoSuchResourceException", f"The service {members['ServiceCode']} does not exist.")


def _applied(context: Context) -> dict[str, int]:
    """Quotas with an applied value: small instance types by default, and whatever a test has set."""
    account = context.account
    by_type = {
        kind: account.quota(kind)
        for kind in instance_types()
        if kind in account.quotas or default_quota(kind)
    }
    across = {ALL_ENDPOINTS_QUOTA: account.quotas[ALL_TYPES]} if ALL_TYPES in account.quotas else {}
    return {quota_name(kind): value for kind, value in by_type.items()} | across


def _page(members: Members, values: dict[str, int], context: Context) -> Members:
    _check_service(members)
    invalid = ApiError("InvalidPaginationTokenException", "The pagination token is invalid.")
    size = members.get("MaxResults", _PAGE)
    names, token = cut_page(sorted(values), members.get("NextToken"), size, invalid)
    rows = [_quota(context, name, values[name]) for name in names]
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
