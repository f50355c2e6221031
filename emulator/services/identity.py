"""STS and IAM: the caller's identity, and roles."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

from emulator.account import ACCOUNT_ID
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError

CREATED = datetime(2024, 1, 1, tzinfo=UTC)


def get_caller_identity(context: Context, members: Members) -> Members:  # noqa: ARG001 - one signature for all
    """GetCallerIdentity."""
    return {
        "Account": ACCOUNT_ID,
        "Arn": f"arn:aws:iam::{ACCOUNT_ID}:user/local",
        "UserId": "AIDALOCALUSER00000",
    }


def get_role(context: Context, members: Members) -> Members:
    """GetRole; the trust policy is URL-encoded, as on AWS."""
    name = members["RoleName"]
    principals = context.account.roles.get(name)
    if principals is None:
        raise ApiError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": principals}, "Action": "sts:AssumeRole"},
        ],
    }
    role = {
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROALOCALROLE00000000",
        "Arn": f"arn:aws:iam::{ACCOUNT_ID}:role/{name}",
        "CreateDate": CREATED,
        "AssumeRolePolicyDocument": quote(json.dumps(policy)),
        "MaxSessionDuration": 3600,
    }
    return {"Role": role}


STS: dict[str, Operation] = {"GetCallerIdentity": get_caller_identity}
IAM: dict[str, Operation] = {"GetRole": get_role}
