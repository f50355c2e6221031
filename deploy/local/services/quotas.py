"""Service Quotas: how many instances of each type the account may have for endpoints."""

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import Any

from deploy.local.account import ACCOUNT_ID
from deploy.local.context import Context, instance_types
from deploy.local.errors import ApiError

Members = dict[str, Any]
_SERVICE = "sagemaker"
_PAGE = 100


def list_service_quotas(context: Context, members: Members) -> Members:
    """ListServiceQuotas: one ``… for endpoint usage`` per instance type that botocore knows."""
    _check_service(members)
    types = instance_types()
    start = _offset(members.get("NextToken"))
    end = start + members.get("MaxResults", _PAGE)
    token = base64.b64encode(str(end).encode()).decode() if end < len(types) else None
    return {"Quotas": [_quota(context, name) for name in types[start:end]], "NextToken": token}


def get_service_quota(context: Context, members: Members) -> Members:
    """GetServiceQuota."""
    _check_service(members)
    for name in instance_types():
        if quota_code(name) == members["QuotaCode"]:
            return {"Quota": _quota(context, name)}
    raise ApiError(
        "NoSuchResourceException", "The request failed because the specified quota does not exist."
    )


def quota_code(instance_type: str) -> str:
    """A code of AWS's form; only its name tells what a quota is for."""
    return f"L-{zlib.crc32(instance_type.encode()):08X}"


OPERATIONS: dict[str, Callable[[Context, Members], Members]] = {
    "ListServiceQuotas": list_service_quotas,
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


def _quota(context: Context, instance_type: str) -> Members:
    code = quota_code(instance_type)
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{context.region.name}:{ACCOUNT_ID}:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": f"{instance_type} for endpoint usage",
        "Value": float(context.world.quota(instance_type)),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
