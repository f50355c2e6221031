"""Secrets Manager: the secrets from ``POST /_local/secrets``, and those that a call creates."""

import zlib

from emulator.account import ACCOUNT_ID, Resource, list_page
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError
from emulator.services.identity import CREATED

_NOT_FOUND = "Secrets Manager can't find the specified secret."


def create_secret(context: Context, members: Members) -> Members:
    """CreateSecret."""
    name = members["Name"]
    if name in context.region.secrets:
        message = f"The operation failed because the secret {name} already exists."
        raise ApiError("ResourceExistsException", message)
    secret = Resource(name, _arn(context, name), members)
    context.region.secrets[name] = secret
    return {"ARN": secret.arn, "Name": name}


def get_secret_value(context: Context, members: Members) -> Members:
    """GetSecretValue, by name or ARN."""
    created = {name: str(secret.spec["SecretString"]) for name, secret in context.region.secrets.items()}
    for name, value in (context.account.secrets | created).items():
        arn = _arn(context, name)
        if members["SecretId"] in (name, arn):
            return {
                "ARN": arn,
                "Name": name,
                "VersionId": "00000000-0000-4000-8000-000000000000",
                "SecretString": value,
                "VersionStages": ["AWSCURRENT"],
                "CreatedDate": CREATED,
            }
    raise ApiError("ResourceNotFoundException", _NOT_FOUND)


def describe_secret(context: Context, members: Members) -> Members:
    """DescribeSecret."""
    return _described(_secret(context, members["SecretId"]))


def list_secrets(context: Context, members: Members) -> Members:
    """ListSecrets, without filters."""
    page, token = list_page(context.region.secrets.values(), members)
    return {"SecretList": [_described(secret) for secret in page], "NextToken": token}


def delete_secret(context: Context, members: Members) -> Members:
    """DeleteSecret, at once."""
    if not members.get("ForceDeleteWithoutRecovery"):
        raise ApiError("InvalidParameterException", "The emulator deletes secrets only without recovery.")
    secret = _secret(context, members["SecretId"])
    del context.region.secrets[secret.name]
    return {"ARN": secret.arn, "Name": secret.name}


OPERATIONS: dict[str, Operation] = {
    "CreateSecret": create_secret,
    "GetSecretValue": get_secret_value,
    "DescribeSecret": describe_secret,
    "ListSecrets": list_secrets,
    "DeleteSecret": delete_secret,
}


def _arn(context: Context, name: str) -> str:
    suffix = f"{zlib.crc32(name.encode()):06x}"[:6]
    return f"arn:aws:secretsmanager:{context.region.name}:{ACCOUNT_ID}:secret:{name}-{suffix}"


def _secret(context: Context, secret_id: str) -> Resource:
    for secret in context.region.secrets.values():
        if secret_id in (secret.name, secret.arn):
            return secret
    raise ApiError("ResourceNotFoundException", _NOT_FOUND)


def _described(secret: Resource) -> Members:
    tags = secret.spec.get("Tags", [])
    return {"ARN": secret.arn, "Name": secret.name, "CreatedDate": secret.created, "Tags": tags}
