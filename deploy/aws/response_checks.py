"""Checks that what answered was AWS: a captive portal or a proxy may answer HTTP 200 in its place."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session

_NOT_PARSED = (ResponseParserError, AttributeError, KeyError, TypeError, ValueError)
"""What botocore's parsers raise for JSON or XML of another shape than the operation's."""


class NotAWSError(BotoCoreError):
    """An HTTP success whose body is not the operation's answer. The call may or may not have reached AWS."""

    fmt = "{operation} was answered with something else than AWS's answer ({finding})"


class _CheckedCalls:
    """Base class of every client: an answer has the operation's form, or the call fails.

    Outside this class, code may rely on the members that the API requires.
    """

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        client: Any = super()
        try:
            answer = client._make_api_call(operation_name, api_params)
        except (ClientError, BotoCoreError):
            raise
        except _NOT_PARSED as error:
            unreadable = f"{type(error).__name__} while reading it"
            raise NotAWSError(operation=operation_name, finding=unreadable) from error
        shape = self.meta.service_model.operation_model(operation_name).output_shape  # type: ignore[attr-defined]
        if finding := _missing(answer, shape):
            raise NotAWSError(operation=operation_name, finding=finding)
        return answer


def check_answers(session: Session) -> None:
    """Make every client that ``session`` creates from now on raise `NotAWSError` where it applies."""
    session.register("creating-client-class", _add_checks)


def _add_checks(**event: Any) -> None:
    event["base_classes"].insert(0, _CheckedCalls)


def _missing(answer: Any, shape: Any) -> str | None:
    """Which member is missing of an answer that must have it; None for a whole one."""
    if shape is None or not shape.members:
        return None
    absent = [name for name in shape.required_members if name not in answer]
    if absent:
        return f"{absent[0]} is missing"
    return None if answer.keys() & shape.members.keys() else "none of its members is there"
