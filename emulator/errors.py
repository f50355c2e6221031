"""The exception that every service responds with."""

from typing import Any


class ApiError(Exception):
    """An error response of AWS.

    Args:
        code: AWS's error type, for example ``ValidationException``.
        message: what the client shows; None for a throttled invocation, to which AWS adds none.
        status: HTTP status.
        fields: further members of the error's shape, such as ``OriginalStatusCode``.
    """

    def __init__(self, code: str, message: str | None, status: int = 400, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def validation_error(message: str) -> ApiError:
    """The control plane's error for an invalid request."""
    return ApiError("ValidationException", message)
