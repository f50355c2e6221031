"""Injected faults: which call fails and how; and the log of all calls."""

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from common.errors import UserError
from emulator.errors import ApiError

FaultName = Literal[
    "throttle",
    "5xx",
    "access_denied",
    "resource_limit",
    "insufficient_capacity",
    "stuck_creating",
    "failed",
    "name_taken",
    "not_yet_visible",
    "delete_refused",
    "delay",
    "drop_connection",
    "model_error",
    "model_not_ready",
    "unavailable",
    "dependency",
    "stream_error",
    "internal_stream_failure",
]
CALLS_KEPT = 20_000
"""Calls that the log holds; older ones are dropped."""
ENDPOINT_FAULTS = ("insufficient_capacity", "stuck_creating", "failed")
"""Faults of CreateEndpoint that appear later, in the endpoint's status."""
STREAM_FAULTS = ("stream_error", "internal_stream_failure")
"""Faults that occur after HTTP 200, inside the event stream."""

_FAILURES = {
    "insufficient_capacity": (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
        "retry using a different ML instance type or after some time."
    ),
    "failed": "The primary container did not pass the ping health check. Please check CloudWatch logs.",
}


class Fault(BaseModel):
    """One fault: the ``nth`` call of ``call`` fails (0: every call).

    ``seconds`` is the length of a delay. ``when`` says whether a dropped connection loses the call (before)
    or only its response (after). ``original_status`` is the container's status in a model_error. ``parts`` is
    the number of chunks of a stream that are sent before it breaks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    call: str
    fault: FaultName
    nth: int = Field(default=1, ge=0)
    seconds: float = Field(default=1.0, ge=0)
    when: Literal["before", "after"] = "before"
    original_status: int = 500
    parts: int = Field(default=2, ge=0)
    message: str | None = None

    @property
    def failure(self) -> str | None:
        """FailureReason of the endpoint, for faults that make it fail."""
        return self.message or _FAILURES.get(self.fault)


@dataclass
class CallRecord:
    """One call and its outcome; ``at`` in epoch seconds."""

    at: float
    service: str
    operation: str
    name: str | None = None
    status: int | None = None
    error: str | None = None
    fault: str | None = None
    members: dict[str, Any] = field(default_factory=dict)


@dataclass
class Faults:
    """The active faults and the log of all calls."""

    active: list[Fault] = field(default_factory=list)
    calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    _counts: dict[str, int] = field(default_factory=dict)

    def set_faults(self, faults: list[Fault]) -> None:
        """Replace all faults; the count of each call starts at zero."""
        self.active = faults
        self._counts.clear()

    def record_call(self, service: str, operation: str) -> tuple[Fault | None, CallRecord]:
        """Log a call; its fault, if it has one, and its record, to be completed by the caller."""
        count = self._counts[operation] = self._counts.get(operation, 0) + 1
        fault = next((f for f in self.active if f.call == operation and f.nth in (0, count)), None)
        record = CallRecord(time.time(), service, operation, fault=fault.fault if fault else None)
        self.calls.append(record)
        return fault, record


def parse_faults(content: object) -> list[Fault]:
    """Validate a list of faults.

    Raises:
        ValueError: an entry is invalid; the message names it.
    """
    try:
        return TypeAdapter(list[Fault]).validate_python(content or [])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"fault {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def load_faults(path: Path) -> list[Fault]:
    """Read faults from a YAML or JSON file.

    Raises:
        UserError: the file cannot be read, or is not a list of faults.
    """
    try:
        return parse_faults(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror or error}", "name a file of faults"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a list of faults: {reason}", "correct the entry") from None


def immediate_error(fault: Fault, service: str, arn: str) -> ApiError | None:
    """The error that a fault responds to a call with; None for faults that work in another way."""
    runtime = service == "sagemaker-runtime"
    if fault.fault == "model_error":
        status = fault.original_status
        text = fault.message or f"Received server error ({status}) from primary."
        return ApiError(
            "ModelError", text, 424, OriginalStatusCode=status, OriginalMessage="", LogStreamArn=""
        )
    if fault.fault == "throttle" and runtime:  # its code is only in the header there
        return ApiError("ThrottlingException", fault.message, 400)
    errors = {**_CONTROL_PLANE_ERRORS, **_RUNTIME_ERRORS} if runtime else _CONTROL_PLANE_ERRORS
    if fault.fault not in errors:
        return None
    code, message, status = errors[fault.fault]
    return ApiError(code, fault.message or message.format(call=fault.call, arn=arn), status)


_DENIED = (
    "User: arn:aws:iam::123456789012:user/local is not authorized to perform: sagemaker:{call} on resource: "
    "{arn} because no identity-based policy allows the sagemaker:{call} action"
)
_LIMIT = (
    "The account-level service limit for endpoint usage is 0 Instances, with current utilization of 0 "
    "Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase for "
    "this quota."
)
_CONTROL_PLANE_ERRORS: dict[str, tuple[str, str, int]] = {
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "5xx": ("ServiceUnavailable", "The service is temporarily unavailable.", 503),
    "access_denied": ("AccessDeniedException", _DENIED, 400),
    "resource_limit": ("ResourceLimitExceeded", _LIMIT, 400),
    "name_taken": ("ValidationException", 'Cannot create already existing resource "{arn}".', 400),
    "not_yet_visible": ("ValidationException", 'Could not find "{arn}".', 400),
    "delete_refused": ("ValidationException", 'Cannot update in-progress endpoint "{arn}".', 400),
}
_RUNTIME_ERRORS: dict[str, tuple[str, str, int]] = {
    "5xx": ("InternalFailure", "The request failed because of an internal error.", 500),
    "unavailable": ("ServiceUnavailable", "The service is temporarily unavailable.", 503),
    "dependency": ("InternalDependencyException", "A dependency failed.", 530),
    "access_denied": ("AccessDeniedException", _DENIED, 403),
    "model_not_ready": ("ModelNotReadyException", "The model is not ready to serve.", 429),
}
"""Fault → AWS's code, message and HTTP status."""
