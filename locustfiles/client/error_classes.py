"""Classify failed invocations by ``x-amzn-ErrorType`` and message, then by HTTP status."""

import json
import re
from dataclasses import dataclass
from typing import Any

from common.text import one_line
from runfolder.records import ErrorClass


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer of SageMaker and its error class. An empty or None part matches everything."""

    names: tuple[str, ...]
    """Error names, as in ``x-amzn-ErrorType``."""
    error_class: ErrorClass
    container_status: range | None = None
    """``OriginalStatusCode`` of a ModelError; 0 if the container gave none."""
    message: str = ""
    """A regular expression for the message; case is ignored."""

    def matches(self, name: str, container_status: object, message: str) -> bool:
        """Whether the rule applies to this answer."""
        if name not in self.names:
            return False
        if self.container_status is not None and container_status not in self.container_status:
            return False
        return re.search(self.message, message, re.IGNORECASE) is not None


_INVALID = ("ValidationError", "ValidationException")
_NOT_YET = r"no capacity|autoscaling may be in.progress|not (yet )?ready|scaling (up|out|from)|is updating"
_TIMED_OUT = r"timed? ?out|did not (respond|answer) (with)?in"
RULES: tuple[Rule, ...] = (
    Rule(("ModelNotReadyException",), "not_ready"),
    Rule(_INVALID, "not_ready", message=_NOT_YET),
    Rule(_INVALID, "validation"),
    Rule(("ModelError",), "model_timeout", message=_TIMED_OUT),
    Rule(("ModelError",), "model_timeout", container_status=range(408, 409)),
    Rule(("ModelError",), "model_timeout", container_status=range(504, 505)),
    Rule(("ModelError",), "model_4xx", container_status=range(400, 500)),
    # Includes status 0 without a time-out in the message: the container was gone.
    Rule(("ModelError",), "model_5xx"),
    Rule(("ThrottlingException", "ThrottledException", "TooManyRequestsException"), "throttled"),
    Rule(("AccessDenied", "AccessDeniedException"), "auth"),
    Rule(("InvalidSignatureException", "SignatureDoesNotMatch"), "auth"),
    Rule(("ExpiredToken", "ExpiredTokenException"), "auth"),
    Rule(("UnrecognizedClientException", "InvalidClientTokenId"), "auth"),
    Rule(("MissingAuthenticationTokenException",), "auth"),
    Rule(("IncompleteSignature", "IncompleteSignatureException"), "auth"),
    Rule(("InternalFailure", "InternalServerException", "InternalDependencyException"), "service"),
    Rule(("ServiceUnavailable", "ServiceUnavailableException"), "service"),
)
"""The first rule that matches applies."""
_STREAM_TIMEOUT = "ModelInvocationTimeExceeded"

STOPS_RUN: frozenset[str] = frozenset({"auth", "validation"})
"""Classes that no further request can cure: the run ends at once with a remedy."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Class of a failure, and one line about it for people."""

    error_class: ErrorClass
    detail: str


class InvocationError(Exception):
    """An invocation failed; carries the failure to the request's row."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


_HINTS = (
    ("chat template", "set workload.schema: completions, because the model has no chat template"),
    (
        "could not get a response",
        "look in the container's CloudWatch log for why it stopped, such as too little memory",
    ),
    ("accept_eula", "accept the model's license with workload.headers: {CustomAttributes: accept_eula=true}"),
)
"""A part of a container's own error message, and the remedy."""


def container_remedy(detail: str) -> str | None:
    """The remedy for a container's error message; None if none is known."""
    return next((remedy for part, remedy in _HINTS if part in detail), None)


def classify_response(status: int, error_type: str | None, content_type: str, body: bytes) -> Failure:
    """Classify a response that is not 200.

    Args:
        status: the HTTP status.
        error_type: header ``x-amzn-ErrorType``, None without one.
        content_type: header ``content-type``, empty without one.
        body: the body, JSON or not.
    """
    content = _json_object(body)
    name = (error_type or str(content.get("__type") or content.get("code") or "")).split(":")[0]
    name = name.rpartition("#")[2]
    message = _message(content) or (body[:200].decode(errors="replace") if not content else "")
    if status == 424 and not name:
        name = "ModelError"
    container_status = content.get("OriginalStatusCode")
    for rule in RULES:
        if rule.matches(name, container_status, message):
            return Failure(rule.error_class, _detail(name, content, message))
    if "html" in content_type or body.lstrip()[:1] == b"<":
        return Failure("protocol", _line(f"HTTP {status} with an HTML page, which SageMaker never sends"))
    return Failure(_by_status(status, openai="error" in content), _line(f"HTTP {status} {name} {message}"))


def classify_stream_exception(headers: dict[str, str], payload: bytes) -> Failure:
    """Classify an exception event inside a response stream, after HTTP 200."""
    name = headers.get(":exception-type") or headers.get(":error-code") or "unknown exception"
    content = _json_object(payload)
    code = str(content.get("ErrorCode") or "")
    message = _message(content) or headers.get(":error-message", "")
    detail = _line(" ".join(part for part in (f"{name}:", code, message) if part))
    return Failure("model_timeout" if code == _STREAM_TIMEOUT else "in_stream", detail)


def explain_refusal(failure: Failure, region: str, endpoint: str) -> tuple[str, str]:
    """Finding and remedy of a failure that stops the run (`STOPS_RUN`)."""
    detail = failure.detail
    if failure.error_class == "validation":
        return (
            f"the endpoint refused the request ({detail})",
            f"check that {endpoint} is InService in {region}; check workload.schema and workload.parameters",
        )
    if "Expired" in detail and "ignature" not in detail:
        return f"the AWS credentials have expired ({detail})", "renew them and run again"
    if "ignature expired" in detail or "not yet current" in detail or "skew" in detail:
        return f"this machine's clock is wrong ({detail})", "synchronize it with NTP and run again"
    if "AccessDenied" in detail:
        return (
            f"the AWS identity is not allowed to invoke {endpoint} ({detail})",
            "allow sagemaker:InvokeEndpoint on it",
        )
    return (
        f"the request's signature was refused ({detail})",
        f"check the AWS credentials and the region {region}",
    )


def _detail(name: str, content: dict[str, Any], message: str) -> str:
    if name == "ModelError":
        status = content.get("OriginalStatusCode")
        answered = f"answered {status}" if status else "did not answer"
        name, message = f"{name}: the container {answered}", str(content.get("OriginalMessage") or message)
    return _line(f"{name}: {message}" if message else name)


def _by_status(status: int, *, openai: bool) -> ErrorClass:
    if status == 429:
        return "throttled"
    if status in (401, 403, 407):
        return "auth"
    if openai and status >= 400:  # the OpenAI route passes the container's own answer through
        return "model_4xx" if status < 500 else "model_5xx"
    if 400 <= status < 500:
        return "validation" if status in (400, 404, 413) else "protocol"
    return "service" if status >= 500 else "protocol"


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _message(content: dict[str, Any]) -> str:
    error = content.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    return str(content.get("Message") or content.get("message") or error or "")


def _line(text: str) -> str:
    return one_line(text)[:300]
