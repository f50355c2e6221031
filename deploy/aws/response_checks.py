"""Checks that a response came from AWS: a captive portal or a proxy may answer HTTP 200 instead."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session

_NOT_PARSED = (ResponseParserError, AttributeError, KeyError, TypeError, ValueError)
"""Raised by botocore's parsers for JSON or XML that does not have the operation's shape."""


class NotAWSError(BotoCoreError):
    """A successful HTTP response that is not the operation's. The call may or may not have reached AWS."""

    fmt = "the response to {operation} did not come from AWS ({finding})"


class _CheckedCalls:
    """Base class of every client: a response has the operation's required members, or the call fails.

    Other code may therefore rely on these members.
    """

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        client: Any = super()
        try:
            answer = client._make_api_call(operation_name, api_params)
        except (ClientError, BotoCoreError):
            raise
        except _NOT_PARSED as error:
            unreadable = f"{type(error).__name__} while parsing it"
            raise NotAWSError(operation=operation_name, finding=unreadable) from error
        shape = self.meta.service_model.operation_model(operation_name).output_shape  # type: ignore[attr-defined]
        if finding := _missing(answer, shape):
            raise NotAWSError(operation=operation_name, finding=finding)
        return answer


def check_answers(session: Session) -> None:
    """Make every client created from ``session`` raise `NotAWSError` for responses that are not AWS's."""
    session.register("creating-client-class", _add_checks)


def _add_checks(**event: Any) -> None:
    event["base_classes"].insert(0, _CheckedCalls)


def _missing(answer: Any, shape: Any) -> str | None:
    """The first required member that is missing, as text; None for a complete response."""
    if shape is None or not shape.members:
        return None
    absent = [name for name in shape.required_members if name not in answer]
    if absent:
        return f"{absent[0]} is missing"
    return None if answer.keys() & shape.members.keys() else "it has none of the expected members"
