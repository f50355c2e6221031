"""Creates one resource: the ledger first, then the call; its outcome is known, or marked as unknown."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import TRANSIENT, meaning, sentence
from deploy.aws.resources import KINDS
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import Pace
from deploy.lifecycle.removal import ownership
from deploy.lifecycle.signals import shielded


@dataclass(frozen=True)
class Creator:
    """Where creations go and are recorded."""

    clients: Clients
    ledger: Ledger
    pace: Pace

    def create(self, item: Item, request: dict[str, Any]) -> Item:
        """Create ``item`` by ``request``; waits for what it refers to if that is not visible yet.

        Raises:
            UserError: the call failed; the ledger says whether something may exist.
            Interrupted: a signal came; it is raised between calls, never inside one.
        """
        with shielded():
            self.ledger.will_create(item)
        failure: Exception | None = None
        for _ in self.pace.polls(self.pace.visible):
            with shielded():
                try:
                    return self._attempt(item, request)
                except (ClientError, BotoCoreError) as error:
                    failure = error
                    if meaning(error) != "missing":
                        break
        if failure is None:
            raise UserError(f"creating the {item.kind} {item.name} was not tried: the time for it is zero")
        if _certainly_nothing(failure):
            self.ledger.mark(item, "refused")
        raise UserError(sentence(failure, f"creating the {item.kind} {item.name}")) from failure

    def _attempt(self, item: Item, request: dict[str, Any]) -> Item:
        kind = KINDS[item.kind]
        try:
            arn = resources.create(self.clients, kind, request)
        except ClientError as error:
            if meaning(error) != "taken" or not (adopted := self._made_by_us(item)):
                raise
            arn = adopted
        return self.ledger.mark(item, "created", arn)

    def _made_by_us(self, item: Item) -> str | None:
        """ARN, if a first attempt whose answer was lost made what the second found taken."""
        kind = KINDS[item.kind]
        try:
            seen = resources.describe(self.clients, kind, item.name)
            if seen is not None and ownership(item, kind, seen, self.clients) == "ours":
                return str(seen[kind.arn])
        except (ClientError, BotoCoreError):
            return None  # cannot tell: so it is not ours
        return None


def _certainly_nothing(error: Exception) -> bool:
    """Whether the call that raised this made nothing. After a retried call an earlier attempt may have."""
    if meaning(error) in TRANSIENT or not isinstance(error, ClientError):
        return False
    return not error.response.get("ResponseMetadata", {}).get("RetryAttempts")
