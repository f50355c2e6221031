"""Classifies failed AWS calls and turns them into errors with a remedy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    NoAuthTokenError,
    NoCredentialsError,
    ParamValidationError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from common.errors import UserError
from common.text import one_line
from deploy.aws.response_checks import NotAWSError

FailureKind = Literal[
    "missing",
    "taken",
    "busy",
    "throttled",
    "denied",
    "credentials",
    "limit",
    "invalid",
    "service",
    "connection",
]

_SIGNED_OUT = SSOError | TokenRetrievalError | NoAuthTokenError
_BY_CODE: dict[str, FailureKind] = {
    "ResourceNotFound": "missing",
    "ResourceNotFoundException": "missing",
    "NoSuchEntity": "missing",
    "NoSuchResourceException": "missing",
    "ResourceInUse": "busy",
    "ConflictException": "taken",
    "AlreadyExistsException": "taken",
    "ResourceExistsException": "taken",
    "ResourceLimitExceeded": "limit",
    "LimitExceededException": "limit",
    "ServiceQuotaExceededException": "limit",
    "ThrottlingException": "throttled",
    "Throttling": "throttled",
    "ThrottledException": "throttled",
    "RequestLimitExceeded": "throttled",
    "TooManyRequestsException": "throttled",
    "AccessDenied": "denied",
    "AccessDeniedException": "denied",
    "UnauthorizedOperation": "denied",
    "ExpiredToken": "credentials",
    "ExpiredTokenException": "credentials",
    "RequestExpired": "credentials",
    "InvalidClientTokenId": "credentials",
    "UnrecognizedClientException": "credentials",
    "InvalidSignatureException": "credentials",
    "SignatureDoesNotMatch": "credentials",
    "IncompleteSignature": "credentials",
    "MissingAuthenticationToken": "credentials",
    "MissingAuthenticationTokenException": "credentials",
}
_TOO_MANY, _SERVER_ERROR = 429, 500
_NOT_REACHED = (*range(300, 400), 407)
"""A redirect, or a proxy that asks for a password: the call did not reach AWS."""
_CLOCK_TEXTS = ("signature expired", "signature not yet current")
_MISSING_TEXTS = ("could not find", "does not exist", "not found")
_TAKEN_TEXTS = ("already exist",)
_BUSY_TEXTS = ("in-progress", "in progress", "in use", "currently", "cannot delete", "cannot update")

TRANSIENT: frozenset[FailureKind] = frozenset({"throttled", "service", "connection"})


def classify(error: Exception) -> FailureKind:
    """The kind of failure that botocore raised.

    SageMaker answers many failures with the code ``ValidationException``: its message tells them apart.
    """
    if isinstance(error, _SIGNED_OUT | NoCredentialsError | CredentialRetrievalError):
        return "credentials"
    if isinstance(error, ParamValidationError):
        return "invalid"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BY_CODE:
            return _BY_CODE[code]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _kind_of_status(status) or _kind_of_text(aws_message(error).lower())
    return "connection"


def _kind_of_status(status: int) -> FailureKind | None:
    if status == _TOO_MANY:  # services use a dozen codes for it
        return "throttled"
    if status in _NOT_REACHED:
        return "connection"
    return "service" if status >= _SERVER_ERROR else None


def _kind_of_text(text: str) -> FailureKind:
    if any(part in text for part in _MISSING_TEXTS):
        return "missing"
    if any(part in text for part in _TAKEN_TEXTS):
        return "taken"
    if any(part in text for part in _BUSY_TEXTS):
        return "busy"
    return "invalid"


def aws_message(error: Exception) -> str:
    """AWS's own message, on one line."""
    text = str(error)
    if isinstance(error, ClientError):
        text = error.response.get("Error", {}).get("Message") or text
    return one_line(text)


_REMEDIES: dict[FailureKind, str] = {
    "denied": "docs/iam.md lists the permissions that each command needs",
    "credentials": "renew the credentials, and check that the region is enabled for this account",
    "limit": "request a higher quota in Service Quotas, or use another instance type or region",
    "throttled": "AWS is throttling this account: try again in a few minutes",
    "service": "the failure is on AWS's side: try again",
    "taken": "the existing one was not changed; start the run again, each run uses new names",
}


def no_credentials() -> UserError:
    """The error for a machine on which no AWS credentials are configured."""
    return UserError(
        "no AWS credentials found",
        "configure them (`aws configure`, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
        "AWS credentials",
    )


def user_error(error: Exception, action: str) -> UserError:
    """The error to show when ``action`` ("creating the model x") failed, with a remedy where one is known."""
    if isinstance(error, NoCredentialsError):
        return no_credentials()
    message = aws_message(error).rstrip(".: ")
    finding = f"{action} failed: {message}"
    if any(text in message.lower() for text in _CLOCK_TEXTS):  # the credentials themselves may be fine
        return UserError(finding, "set this machine's clock (NTP): AWS rejects signatures 5 minutes off")
    if remedy := _local_remedy(error):
        return UserError(finding, remedy)
    kind = classify(error)
    return UserError(finding, _REMEDIES.get(kind, ""), "AWS credentials" if kind == "credentials" else None)


def _local_remedy(error: Exception) -> str:
    """The remedy for a failure on this machine or its network; empty for others."""
    if isinstance(error, CredentialRetrievalError):
        return f"`aws sts get-caller-identity{_profile()}` shows whether the profile works"
    if isinstance(error, InvalidConfigError | ProfileNotFound):
        return "check AWS_PROFILE and the profiles in ~/.aws/config"
    if isinstance(error, _SIGNED_OUT):
        return f"sign in again: `aws sso login{_profile()}`"
    unreachable = isinstance(error, NoConnectionError | HTTPClientError | NotAWSError | ClientError)
    if unreachable and classify(error) == "connection":
        return "check the network, its proxy or captive portal, the region and AWS_ENDPOINT_URL"
    return ""


def user_message(error: Exception, action: str) -> str:
    """`user_error` as text."""
    return str(user_error(error, action))


def _profile() -> str:
    name = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return f" --profile {name}" if name else ""


@contextmanager
def as_user_error(action: str) -> Iterator[None]:
    """Turn every botocore error raised inside the block into the `user_error` of ``action``.

    Raises:
        UserError: instead of a botocore error.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise user_error(error, action) from error
