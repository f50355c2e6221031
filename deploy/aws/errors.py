"""What an AWS call's failure means for us, and how it is told to the user in one sentence."""

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

Meaning = Literal[
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

NO_CREDENTIALS = (
    "no AWS credentials found: configure them (`aws configure`, AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY), or play the same plan on this machine without AWS: `make rehearse`"
)

_NO_LONGER_SIGNED_IN = SSOError | TokenRetrievalError | NoAuthTokenError
_BY_CODE: dict[str, Meaning] = {
    "ResourceNotFound": "missing",
    "ResourceNotFoundException": "missing",
    "NoSuchEntity": "missing",
    "NoSuchResourceException": "missing",
    "ResourceInUse": "busy",
    "ConflictException": "taken",
    "ResourceLimitExceeded": "limit",
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
_OF_THE_WAY = (*range(300, 400), 407)
"""A redirect, or a proxy that wants a password: AWS was not reached."""
_CLOCK = ("signature expired", "signature not yet current")
_MISSING = ("could not find", "does not exist", "not found")
_TAKEN = ("already exist",)
_BUSY = ("in-progress", "in progress", "in use", "currently", "cannot delete", "cannot update")

TRANSIENT: frozenset[Meaning] = frozenset({"throttled", "service", "connection"})


def meaning(error: Exception) -> Meaning:
    """Classify what botocore raised. SageMaker's ``ValidationException`` says many things: its text tells."""
    if isinstance(error, _NO_LONGER_SIGNED_IN | NoCredentialsError | CredentialRetrievalError):
        return "credentials"
    if isinstance(error, ParamValidationError):
        return "invalid"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BY_CODE:
            return _BY_CODE[code]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _meaning_of_status(status) or _meaning_of_text(message(error).lower())
    return "connection"


def _meaning_of_status(status: int) -> Meaning | None:
    if status == _TOO_MANY:  # services have a dozen codes for it
        return "throttled"
    if status in _OF_THE_WAY:
        return "connection"
    return "service" if status >= _SERVER_ERROR else None


def _meaning_of_text(text: str) -> Meaning:
    if any(words in text for words in _MISSING):
        return "missing"
    if any(words in text for words in _TAKEN):
        return "taken"
    if any(words in text for words in _BUSY):
        return "busy"
    return "invalid"


def message(error: Exception) -> str:
    """The service's own words, on one line."""
    text = str(error)
    if isinstance(error, ClientError):
        text = error.response.get("Error", {}).get("Message") or text
    return one_line(text)


def sentence(error: Exception, doing: str) -> str:
    """Say in one sentence what failed while ``doing``, and the remedy where one is known."""
    if isinstance(error, NoCredentialsError):
        return NO_CREDENTIALS
    kind = meaning(error)
    said = message(error).rstrip(".: ")
    remedy = {
        "denied": "; docs/iam.md has the policy that each command needs",
        "credentials": "; renew the credentials (an opt-in region must be enabled first), or play the plan "
        "without AWS: `make rehearse`",
        "limit": "; ask for a higher quota in Service Quotas, or take another instance type or region",
        "throttled": "; AWS throttles this account: try again in a few minutes",
        "service": "; the fault is on AWS's side: try again",
        "taken": "; nothing that exists was changed",
    }.get(kind, "")
    if kind == "connection" and isinstance(
        error, NoConnectionError | HTTPClientError | NotAWSError | ClientError
    ):
        remedy = "; check the network, its proxy or captive portal, the region and AWS_ENDPOINT_URL"
    if isinstance(error, _NO_LONGER_SIGNED_IN):
        remedy = f"; sign in again: `aws sso login{_profile()}`"
    if isinstance(error, InvalidConfigError | ProfileNotFound):
        remedy = "; check AWS_PROFILE and the profiles in ~/.aws/config"
    if isinstance(error, CredentialRetrievalError):
        remedy = f"; `aws sts get-caller-identity{_profile()}` shows whether the profile works"
    if any(words in said.lower() for words in _CLOCK):  # the credentials may be in the best of health
        remedy = "; set this machine's clock (NTP): signatures fail when it is 5 minutes off"
    return f"{doing} failed: {said}{remedy}"


def _profile() -> str:
    name = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return f" --profile {name}" if name else ""


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn what botocore raises inside the block into a `UserError` that says what was being done.

    Raises:
        UserError: in place of any botocore error.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise UserError(sentence(error, doing)) from error
