"""The one exception that every service of the local AWS answers with."""

from typing import Any


class ApiError(Exception):
    """An error as AWS would answer it.

    Args:
        code: AWS's error type, for example ``ValidationException``.
        message: what the client shows; AWS sends none with a throttled invocation.
        status: HTTP status.
        fields: further members of the error's shape (``OriginalStatusCode`` …).
    """

    def __init__(self, code: str, message: str | None, status: int = 400, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def validation_error(message: str) -> ApiError:
    """The control plane's answer to a request that cannot be."""
    return ApiError("ValidationException", message)
