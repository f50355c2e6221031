"""Verify AWS Signature Version 4 of raw requests, in headers and presigned, independently of botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl, quote

from emulator.http import HttpRequest

TOLERANCE = timedelta(minutes=5)
BEARER_PREFIX = "sagemaker-api-key-"
MAX_BEARER_SECONDS = 12 * 3600

Refusal = Literal["missing", "incomplete", "unknown_key", "mismatch", "expired_token"]
_ALGORITHM = "AWS4-HMAC-SHA256"
_PARAMETERS = ("Credential", "SignedHeaders", "Signature")
_STAMP = re.compile(r"^\d{8}T\d{6}Z$")
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method. Consult the service documentation for details."
)


class RefusedError(Exception):
    """The request is not signed correctly; each protocol has its own error code for each ``kind``."""

    def __init__(self, kind: Refusal, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True)
class Credential:
    """A key that the emulator accepts. ``expires_at`` is in epoch seconds."""

    secret: str
    session_token: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class Scope:
    """The scope of a verified signature."""

    access_key: str
    region: str
    service: str


@dataclass(frozen=True)
class _Claim:
    access_key: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str
    stamp: str


Keys = Mapping[str, Credential]
"""Credentials by access key."""


def utc_now() -> datetime:
    """The time that signatures are checked against."""
    return datetime.now(UTC)


def claimed_service(headers: Mapping[str, str]) -> str | None:
    """The service in the ``Authorization`` header, unverified: it decides the protocol of errors."""
    match = re.search(
        r"Credential=[^/,\s]+/\d{8}/[^/]+/([^/]+)/aws4_request", headers.get("authorization", "")
    )
    return match[1] if match else None


def verify(request: HttpRequest, keys: Keys, now: datetime) -> Scope:
    """Verify a header-signed request.

    Raises:
        RefusedError: the signature is missing, incomplete, wrong or expired, or its key is unknown.
    """
    header = request.headers.get("authorization")
    if not header:
        raise RefusedError("missing", "Missing Authentication Token")
    claim = _read_header(header, request.headers)
    credential = _credential(claim, keys, request.headers.get("x-amz-security-token"), now)
    _check_date(claim.stamp, now)
    body_hash = hashlib.sha256(request.body).hexdigest()
    names = claim.signed_headers.split(";")
    if "host" not in names or any(name not in request.headers for name in names):
        raise RefusedError("mismatch", _MISMATCH)
    values = {name: " ".join(request.headers[name].split()) for name in names}
    first_lines = (request.method, request.path, _sorted_query(request.query))
    canonical = _canonical(first_lines, values, claim.signed_headers, body_hash)
    _compare(claim, credential, canonical)
    return Scope(claim.access_key, claim.region, claim.service)


def verify_bearer(token: str, keys: Keys, now: datetime) -> Scope:
    """Verify a bearer token of the OpenAI-compatible route: a presigned ``CallWithBearerToken``, in base64.

    Raises:
        RefusedError: as `verify`; or the token has expired or claims to last more than twelve hours.
    """
    url = _decode_bearer(token)
    host, _, query = url.partition("/?")
    fields = dict(parse_qsl(query, keep_blank_values=True))
    signature = fields.pop("X-Amz-Signature", None)
    fields.pop("Version", None)
    claim = _read_query(fields, signature)
    credential = _credential(claim, keys, fields.get("X-Amz-Security-Token"), now)
    if fields.get("Action") != "CallWithBearerToken" or claim.service != "sagemaker":
        raise RefusedError("mismatch", _MISMATCH)
    lifetime = int(fields.get("X-Amz-Expires", "0") or 0)
    signed_at = _stamp_time(claim.stamp)
    if not 0 < lifetime <= MAX_BEARER_SECONDS:
        raise RefusedError("mismatch", f"X-Amz-Expires must be between 1 and {MAX_BEARER_SECONDS} seconds")
    if not signed_at - TOLERANCE <= now <= signed_at + timedelta(seconds=lifetime):
        raise RefusedError("expired_token", "The bearer token included in the request is expired")
    first_lines = ("POST", "/", _encode(list(fields.items())))
    canonical = _canonical(first_lines, {"host": host}, claim.signed_headers, hashlib.sha256(b"").hexdigest())
    _compare(claim, credential, canonical)
    return Scope(claim.access_key, claim.region, claim.service)


def _decode_bearer(token: str) -> str:
    prefix, encoded = token[: len(BEARER_PREFIX)], token[len(BEARER_PREFIX) :]
    try:
        url = base64.b64decode(encoded, validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        url = ""
    if prefix != BEARER_PREFIX or not url:
        raise RefusedError("unknown_key", "The bearer token included in the request is invalid.")
    return url


def _read_header(header: str, headers: Mapping[str, str]) -> _Claim:
    algorithm, _, rest = header.partition(" ")
    if algorithm != _ALGORITHM:
        raise RefusedError("incomplete", f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    for name in _PARAMETERS:
        if not fields.get(name):
            raise RefusedError(
                "incomplete", f"Authorization header requires '{name}' parameter. Authorization={header}"
            )
    stamp = headers.get("x-amz-date", "")
    if not _STAMP.match(stamp):
        raise RefusedError(
            "incomplete",
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            f"Authorization={header}",
        )
    return _claim(fields["Credential"], fields["SignedHeaders"], fields["Signature"], stamp)


def _read_query(fields: Mapping[str, str], signature: str | None) -> _Claim:
    credential, stamp = fields.get("X-Amz-Credential"), fields.get("X-Amz-Date", "")
    signed = fields.get("X-Amz-SignedHeaders")
    if not (credential and signed and signature and _STAMP.match(stamp)):
        raise RefusedError("incomplete", "The bearer token lacks a part of its signature.")
    return _claim(credential, signed, signature, stamp)


def _claim(credential: str, signed_headers: str, signature: str, stamp: str) -> _Claim:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not stamp.startswith(parts[1]):
        raise RefusedError(
            "incomplete", f"Credential must have a scope of its date, region and service: '{credential}'."
        )
    return _Claim(parts[0], parts[1], parts[2], parts[3], signed_headers, signature, stamp)


def _credential(claim: _Claim, keys: Keys, token: str | None, now: datetime) -> Credential:
    credential = keys.get(claim.access_key)
    if credential is None or (token or None) != credential.session_token:
        raise RefusedError("unknown_key", "The security token included in the request is invalid.")
    if credential.expires_at is not None and now.timestamp() >= credential.expires_at:
        raise RefusedError("expired_token", "The security token included in the request is expired")
    return credential


def _check_date(stamp: str, now: datetime) -> None:
    signed_at = _stamp_time(stamp)
    shown = now.strftime("%Y%m%dT%H%M%SZ")
    if signed_at < now - TOLERANCE:
        earliest = (now - TOLERANCE).strftime("%Y%m%dT%H%M%SZ")
        raise RefusedError(
            "mismatch", f"Signature expired: {stamp} is now earlier than {earliest} ({shown} - 5 min.)"
        )
    if signed_at > now + TOLERANCE:
        latest = (now + TOLERANCE).strftime("%Y%m%dT%H%M%SZ")
        raise RefusedError(
            "mismatch", f"Signature not yet current: {stamp} is still later than {latest} ({shown} + 5 min.)"
        )


def _stamp_time(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedError("incomplete", f"Date must be in ISO-8601 'basic format'. Got '{stamp}'.") from None


def _canonical(
    first_lines: tuple[str, str, str], headers: Mapping[str, str], signed: str, body_hash: str
) -> str:
    method, path, query = first_lines
    lines = "".join(f"{name}:{headers.get(name, '')}\n" for name in signed.split(";"))
    return f"{method}\n{quote(path or '/', safe='/~')}\n{query}\n{lines}\n{signed}\n{body_hash}"


def _sorted_query(query: str) -> str:
    return _encode(parse_qsl(query, keep_blank_values=True)) if query else ""


def _encode(pairs: list[tuple[str, str]]) -> str:
    """A canonical query: sorted by the encoded names, which may differ from the order of the names."""
    encoded = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in pairs)
    return "&".join(f"{key}={value}" for key, value in encoded)


def _compare(claim: _Claim, credential: Credential, canonical: str) -> None:
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{claim.stamp}\n{scope}\n{digest}"
    key = _signing_key(credential.secret, claim.date, claim.region, claim.service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, claim.signature):
        raise RefusedError("mismatch", _MISMATCH)


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
