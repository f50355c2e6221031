"""Secrets Manager, with the secrets from ``POST /_local/secrets``."""

import zlib

from emulator.account import ACCOUNT_ID
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError
from emulator.services.identity import CREATED


def get_secret_value(context: Context, members: Members) -> Members:
    """GetSecretValue, by name or ARN."""
    for name, value in context.account.secrets.items():
        suffix = f"{zlib.crc32(name.encode()):06x}"[:6]
        arn = f"arn:aws:secretsmanager:{context.region.name}:{ACCOUNT_ID}:secret:{name}-{suffix}"
        if members["SecretId"] in (name, arn):
            return {
                "ARN": arn,
                "Name": name,
                "VersionId": "00000000-0000-4000-8000-000000000000",
                "SecretString": value,
                "VersionStages": ["AWSCURRENT"],
                "CreatedDate": CREATED,
            }
    raise ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


OPERATIONS: dict[str, Operation] = {"GetSecretValue": get_secret_value}
