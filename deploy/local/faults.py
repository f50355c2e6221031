"""Faults on demand: which call fails, how, and what was called so far."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from configs.errors import UserError
from deploy.local.errors import ApiError

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
    "stream_error",
    "internal_stream_failure",
]
OF_THE_ENDPOINT = ("insufficient_capacity", "stuck_creating", "failed")
"""Faults of CreateEndpoint that show later, in the endpoint's status."""
OF_THE_STREAM = ("stream_error", "internal_stream_failure")
"""Faults that come after HTTP 200, inside the event stream."""

_FAILURES = {
    "insufficient_capacity": (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
        "retry using a different ML instance type or after some time."
    ),
    "failed": "The primary container did not pass the ping health check. Please check CloudWatch logs.",
}


class Fault(BaseModel):
    """One fault: the ``nth`` time that ``call`` is made (0: every time), it goes wrong.

    ``seconds`` is the length of a delay; ``when`` says whether a dropped connection loses the call (before)
    or only its answer (after); ``original_status`` is the container's status of a model_error; ``parts`` is
    how many parts of a stream are sent before it breaks.
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
        """FailureReason of the endpoint, for faults that end there."""
        return self.message or _FAILURES.get(self.fault)


@dataclass
class CallRecord:
    """One call as it was answered."""

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
    """The faults that are set, and the log of all calls."""

    set: list[Fault] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def arm(self, faults: list[Fault]) -> None:
        """Replace all faults; counting starts anew."""
        self.set = faults
        self._counts.clear()

    def meet(self, service: str, operation: str) -> tuple[Fault | None, CallRecord]:
        """Count a call and give the fault that it meets, if any."""
        count = self._counts[operation] = self._counts.get(operation, 0) + 1
        met = next((f for f in self.set if f.call == operation and f.nth in (0, count)), None)
        record = CallRecord(time.time(), service, operation, fault=met.fault if met else None)
        self.calls.append(record)
        return met, record


def parse_faults(content: object) -> list[Fault]:
    """Read a list of faults.

    Raises:
        ValueError: it is not one; the message names the entry.
    """
    try:
        return TypeAdapter(list[Fault]).validate_python(content or [])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"fault {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def load_faults(path: Path) -> list[Fault]:
    """Read faults from a YAML or JSON file.

    Raises:
        UserError: no such file, or not a list of faults.
    """
    try:
        return parse_faults(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a list of faults ({error})") from None


def immediate_error(fault: Fault, service: str, arn: str) -> ApiError | None:
    """The error that a fault answers a call with, or None when it works in another way."""
    runtime = service == "sagemaker-runtime"
    if fault.fault == "model_error":
        status = fault.original_status
        text = fault.message or f"Received server error ({status}) from primary."
        return ApiError(
            "ModelError", text, 424, OriginalStatusCode=status, OriginalMessage="", LogStreamArn=""
        )
    errors = {
        "throttle": ApiError("ThrottlingException", fault.message or "Rate exceeded", 400),
        "5xx": ApiError(
            "InternalFailure", fault.message or "The request failed because of an internal error.", 500
        )
        if runtime
        else ApiError("ServiceUnavailable", fault.message or "The service is temporarily unavailable.", 503),
        "access_denied": ApiError(
            "AccessDeniedException",
            fault.message
            or f"User is not authorized to perform: sagemaker:{fault.call} on resource: {arn} because no "
            f"identity-based policy allows the sagemaker:{fault.call} action",
            403 if runtime else 400,
        ),
        "resource_limit": ApiError(
            "ResourceLimitExceeded",
            fault.message
            or "The account-level service limit for endpoint usage is 0 Instances, with current utilization "
            "of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an "
            "increase for this quota.",
        ),
        "name_taken": ApiError("ValidationException", f'Cannot create already existing resource "{arn}".'),
        "not_yet_visible": ApiError("ValidationException", f'Could not find "{arn}".'),
        "delete_refused": ApiError("ValidationException", f'Cannot update in-progress endpoint "{arn}".'),
        "model_not_ready": ApiError("ModelNotReadyException", "The model is not ready to serve.", 429),
    }
    return errors.get(fault.fault)
