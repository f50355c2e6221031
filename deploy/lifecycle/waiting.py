"""Waits for an endpoint or a component to come into service, and says why when it does not."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import TRANSIENT, meaning, message, sentence
from deploy.aws.resources import KINDS
from deploy.lifecycle.ledger import Item
from deploy.lifecycle.polling import Pace

Progress = Callable[[str, float, float | None, float | None], None]
"""Called with (status, elapsed seconds, usual seconds or None, cost so far in dollars or None)."""

_NO_ANSWER = "no answer"
_ON_THE_WAY = ("Creating", "Updating", "SystemUpdating")


@dataclass(frozen=True)
class Wait:
    """How to wait: for how long, how often to look, whom to tell."""

    clients: Clients
    progress: Progress
    pace: Pace
    limit: float
    """Seconds."""
    stop: Callable[[], str | None] = lambda: None
    """Asked at every look: why to wait no longer, or None."""
    usual: float | None = None
    """Seconds that it took before; None where nothing is known."""

    def until_in_service(self, item: Item) -> None:
        """Look again and again until ``item`` is in service.

        Raises:
            UserError: it failed, vanished, may not be looked at, or took longer than the limit.
        """
        started = time.monotonic()
        for _ in self.pace.polls(self.limit):
            elapsed = time.monotonic() - started
            status, failure = self._look(item)
            self.progress(status, elapsed, self.usual, item.cost_usd(time.time()))
            if status == "InService":
                return
            if reason := self.stop():
                raise UserError(f"the {item.kind} {item.name} was still {status}: {reason}")
            if status == "not visible yet":
                if elapsed > self.pace.visible:
                    raise UserError(f"the {item.kind} {item.name} was created and is gone: who deleted it?")
            elif status not in _ON_THE_WAY and not status.startswith(_NO_ANSWER):
                raise UserError(f"the {item.kind} {item.name} is {status}: {failure}{_hint(failure)}")
        raise UserError(
            f"the {item.kind} {item.name} is still not in service after {self.limit:.0f} s: its log group in "
            "CloudWatch may say why; raise endpoint.startup_timeout if the model needs longer"
        )

    def _look(self, item: Item) -> tuple[str, str]:
        kind = KINDS[item.kind]
        try:
            seen = resources.describe(self.clients, kind, item.name)
        except (ClientError, BotoCoreError) as error:
            if meaning(error) in TRANSIENT:
                return f"{_NO_ANSWER} ({message(error).rstrip('.')})", ""
            raise UserError(sentence(error, f"waiting for the {item.kind} {item.name}")) from error
        if seen is None:
            return "not visible yet", ""
        reason = " ".join(str(seen.get("FailureReason") or "no reason given").split())
        return str(seen[kind.status or ""]), reason.rstrip(".")


def _hint(reason: str) -> str:
    text = reason.lower()
    if "capacity" in text:
        return "; try again later, or take another instance type or region"
    if "health check" in text or "ping" in text:
        return "; see its log in CloudWatch; a large model may need a longer endpoint.startup_timeout"
    return ""
