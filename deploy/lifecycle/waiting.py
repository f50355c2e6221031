"""Waits for an endpoint or a component to be in service; if it fails, says why."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from common.formatting import duration
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import TRANSIENT, aws_message, classify, user_error
from deploy.aws.resources import KINDS
from deploy.lifecycle.ledger import Item
from deploy.lifecycle.polling import PollingPolicy
from deploy.lifecycle.progress import OnProgress, Progress, ProgressState

_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating")


@dataclass(frozen=True)
class _Observation:
    """What one Describe call showed."""

    status: str | None = None
    """AWS's status; None where AWS did not answer or does not show the resource yet."""
    failure_reason: str = ""
    no_answer: str | None = None
    """Why AWS did not answer; None where it did."""

    @property
    def progress_state(self) -> ProgressState:
        if self.no_answer is not None:
            return "no_answer"
        return "not_visible" if self.status is None else "status"


@dataclass(frozen=True)
class Wait:
    """How to wait: how long, how often to look, and where to report."""

    clients: Clients
    on_progress: OnProgress
    polling: PollingPolicy
    limit_s: float
    stop: Callable[[], str | None] = lambda: None
    """Called at every look; returns why to stop waiting, or None."""
    usual_s: float | None = None
    """Seconds that earlier creations took; None where that is not known."""

    def until_in_service(self, item: Item) -> None:
        """Poll until ``item`` is in service.

        Raises:
            UserError: it failed, disappeared, may not be described, or took longer than the limit.
        """
        label = f"the {item.kind} {item.name}"
        started = time.monotonic()
        for _ in self.polling.polls(self.limit_s):
            elapsed_s = time.monotonic() - started
            seen = self._look(item)
            detail = seen.status or seen.no_answer or ""
            progress = Progress(
                item, seen.progress_state, detail, elapsed_s, self.usual_s, item.cost_usd(time.time())
            )
            self.on_progress(progress)
            if seen.status == "InService":
                return
            if reason := self.stop():
                raise UserError(f"{label} was not in service yet ({progress}): {reason}")
            if seen.progress_state == "not_visible" and elapsed_s > self.polling.eventual_consistency_s:
                raise UserError(f"{label} disappeared after creation", "it may have been deleted externally")
            if seen.status is not None and seen.status not in _IN_PROGRESS:
                raise UserError(
                    f"{label} is {seen.status}: {seen.failure_reason}", _remedy(seen.failure_reason)
                )
        raise UserError(
            f"{label} is still not in service after {duration(self.limit_s)}",
            "see its log group in CloudWatch; raise endpoint.startup_timeout if the model needs longer",
        )

    def _look(self, item: Item) -> _Observation:
        kind = KINDS[item.kind]
        try:
            description = resources.describe(self.clients, kind, item.name)
        except (ClientError, BotoCoreError) as error:
            if classify(error) in TRANSIENT:
                return _Observation(no_answer=aws_message(error).rstrip("."))
            raise user_error(error, f"waiting for the {item.kind} {item.name}") from error
        if description is None:
            return _Observation()
        reason = " ".join(str(description.get("FailureReason") or "no reason given").split())
        return _Observation(str(description[kind.status or ""]), reason.rstrip("."))


def _remedy(failure_reason: str) -> str:
    """What to do about a FailureReason, by AWS's text; empty where it is not a known one."""
    text = failure_reason.lower()
    if "capacity" in text:
        return "try again later, or use another instance type or region"
    if "health check" in text or "ping" in text:
        return "see its log in CloudWatch; a large model may need a longer endpoint.startup_timeout"
    return ""
