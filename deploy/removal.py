"""Deletes what we created, in order, until the API says that it is gone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from configs.errors import UserError
from deploy import resources
from deploy.clients import Clients
from deploy.failures import meaning, message
from deploy.ledger import Item, Ledger
from deploy.pace import AWS_PACE, Pace
from deploy.resources import KINDS, REMOVAL_ORDER, Kind
from deploy.target import TAG_RUN, tag_value

_SETTLED_AGE = 120.0
_HOPELESS = frozenset({"denied", "credentials"})

Ownership = Literal["ours", "foreign", "unknown"]


@dataclass(frozen=True)
class Leftover:
    """One resource that could not be removed, why, and the command that removes it."""

    item: Item
    reason: str

    @property
    def command(self) -> str:
        """AWS command line for the user to paste."""
        return KINDS[self.item.kind].command(self.item.name, self.item.region)

    def __str__(self) -> str:
        return f"{self.item.kind} {self.item.name} ({self.reason}): {self.command}"


class LeftBehindError(UserError):
    """Something of ours still exists, and may cost money. The message has the commands that remove it."""

    def __init__(self, leftovers: Sequence[Leftover], after: str | None = None) -> None:
        self.leftovers = tuple(leftovers)
        commands = "; ".join(str(leftover) for leftover in leftovers)
        before = f"{after.rstrip('.')}. And then " if after else ""
        super().__init__(
            f"{before}NOT DELETED, and billed until it is: {commands}; `make teardown` tries again"
        )


def remove(
    items: Sequence[Item],
    clients: Clients,
    ledger: Ledger,
    *,
    pace: Pace = AWS_PACE,
    told: Callable[[Item, str], None] = lambda _item, _state: None,
) -> list[Leftover]:
    """Delete ``items``: components, endpoint, configuration, model, then the schedule.

    Nothing that a surviving endpoint stands on is deleted: neither its configuration and model, nor the
    schedule that will delete it at its expiry. Safe to repeat.

    Args:
        items: open items of the ledger, of one region and control plane.
        clients: of that region.
        ledger: each confirmed deletion is marked in it.
        pace: how often to look and for how long.
        told: called with each item and ``deleting``, ``deleted``, or why not.

    Returns:
        What could not be removed.
    """
    left: list[Leftover] = []
    blocked: set[str] = set()
    for item in sorted(items, key=lambda item: REMOVAL_ORDER.index(item.kind)):
        if item.group in blocked and item.kind != "inference-component":
            left.append(Leftover(item, "kept while what uses it is there"))
            continue
        told(item, "deleting")
        reason = _remove(item, clients, ledger, pace)
        told(item, reason or "deleted")
        if reason:
            left.append(Leftover(item, reason))
            if item.kind in ("endpoint", "inference-component"):
                blocked.add(item.group)
    return left


def _remove(item: Item, clients: Clients, ledger: Ledger, pace: Pace) -> str | None:
    kind = KINDS[item.kind]
    refusal = ""
    certain = item.state != "creating"
    born = time.monotonic()
    for _ in pace.polls(pace.removal):
        try:
            seen = resources.describe(clients, kind, item.name)
            if seen is None:
                if (
                    certain
                    or time.time() - item.created_at > _SETTLED_AGE
                    or time.monotonic() - born > pace.settle
                ):
                    ledger.mark(item, "deleted")
                    return None
                continue
            if not certain:
                owned = ownership(item, kind, seen, clients)
                if owned != "ours":
                    return _disown(item, owned, ledger)
                certain = True
            if kind.status is None or seen.get(kind.status) != "Deleting":
                resources.delete(clients, kind, item.name)
        except (ClientError, BotoCoreError) as error:
            refusal = message(error)
            if meaning(error) in _HOPELESS:
                return _last_try(item, kind, clients, refusal)
    return refusal or f"still there after {pace.removal:.0f} s"


def ownership(item: Item, kind: Kind, seen: dict[str, Any], clients: Clients) -> Ownership:
    """Whether what bears the item's name was made by the item's run. Raises what botocore raises."""
    if item.kind == "schedule":
        return "ours" if item.run_id in seen.get("Description", "") else "foreign"
    found = resources.tags(clients, seen[kind.arn])
    return "ours" if found.get(TAG_RUN) == tag_value(item.run_id) else "foreign"


def _disown(item: Item, owned: Ownership, ledger: Ledger) -> str | None:
    if owned == "foreign":
        ledger.mark(item, "refused")
        return None
    return "not certain to be ours"


def _last_try(item: Item, kind: Kind, clients: Clients, refusal: str) -> str:
    if item.state == "creating":
        return refusal
    try:
        resources.delete(clients, kind, item.name)
    except (ClientError, BotoCoreError):
        return refusal
    return f"its deletion was asked for and cannot be confirmed: {refusal}"
