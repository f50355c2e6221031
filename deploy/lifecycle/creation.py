"""Creates one resource: writes it to the ledger first, then makes the call and records its outcome."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import UserError
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import TRANSIENT, classify, user_error
from deploy.aws.resources import KINDS
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import PollingPolicy
from deploy.lifecycle.removal import ownership
from deploy.lifecycle.signals import shielded


@dataclass(frozen=True)
class Creator:
    """Creates resources and records them in the ledger."""

    clients: Clients
    ledger: Ledger
    polling: PollingPolicy

    def create(self, item: Item, request: dict[str, Any]) -> Item:
        """Create ``item`` with ``request``; retries while what it refers to is not visible yet.

        Raises:
            UserError: the call failed. The ledger says whether the resource may exist.
            Interrupted: a signal arrived; raised between calls, never during one.
        """
        with shielded():
            self.ledger.will_create(item)
        failure: Exception | None = None
        for _ in self.polling.polls(self.polling.eventual_consistency_s):
            with shielded():
                try:
                    return self._attempt(item, request)
                except (ClientError, BotoCoreError) as error:
                    failure = error
                    if classify(error) != "missing":
                        break
        if failure is None:
            raise UserError(f"creating the {item.kind} {item.name} was not tried: its time limit is zero")
        if _created_nothing(failure):
            self.ledger.mark(item, "refused")
        raise user_error(failure, f"creating the {item.kind} {item.name}") from failure

    def _attempt(self, item: Item, request: dict[str, Any]) -> Item:
        kind = KINDS[item.kind]
        try:
            arn = resources.create(self.clients, kind, request)
        except ClientError as error:
            if classify(error) != "taken" or not (adopted := self._created_by_earlier_attempt(item)):
                raise
            arn = adopted
        return self.ledger.mark(item, "created", arn)

    def _created_by_earlier_attempt(self, item: Item) -> str | None:
        """The ARN, if an earlier attempt of this call created it and only the response was lost."""
        kind = KINDS[item.kind]
        try:
            seen = resources.describe(self.clients, kind, item.name)
            if seen is not None and ownership(item, kind, seen, self.clients) == "ours":
                return str(seen[kind.arn])
        except (ClientError, BotoCoreError):
            return None  # not known, so treated as another's
        return None


def _created_nothing(error: Exception) -> bool:
    """Whether the call certainly created nothing. If it was retried, an earlier attempt may have."""
    if classify(error) in TRANSIENT or not isinstance(error, ClientError):
        return False
    return not error.response.get("ResponseMetadata", {}).get("RetryAttempts")
