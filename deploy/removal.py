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

Ownership = Literal["ours", "foreign"]


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
    """Something of ours still exists. The message says whether it costs money, and what removes it."""

    def __init__(self, leftovers: Sequence[Leftover], after: str | None = None) -> None:
        self.leftovers = tuple(leftovers)
        billed = any(leftover.item.kind == "endpoint" for leftover in leftovers)
        first = f"{after.rstrip('.')}; and " if after else ""
        cost = " and billed until it is" if billed else ""
        listed = "; ".join(str(leftover) for leftover in leftovers)
        super().__init__(f"{first}NOT DELETED{cost}: {listed}; `make teardown` tries again")


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
    """Delete one item; None once it is gone, else why it is not."""
    kind = KINDS[item.kind]
    certain = item.state != "creating"
    settled_at = time.monotonic() + (0.0 if certain or _is_old(item) else pace.settle)
    refusal = ""
    for _ in pace.polls(pace.removal):
        seen: dict[str, Any] | None = {}
        try:
            seen = _look(item, kind, clients, certain=certain)
            if seen is None:
                if time.monotonic() >= settled_at:
                    ledger.mark(item, "deleted")
                    return None
                continue
            if not certain:
                if ownership(item, kind, seen, clients) == "foreign":
                    ledger.mark(item, "refused")
                    return None
                certain = True
            if kind.status is None or seen.get(kind.status) != "Deleting":
                resources.delete(clients, kind, item.name)
        except (ClientError, BotoCoreError) as error:
            refusal = message(error)
            if meaning(error) == "missing" and not seen:
                ledger.mark(item, "deleted")  # unseen, and the delete itself says that it is gone
                return None
            if meaning(error) in _HOPELESS:
                return refusal
    return refusal or f"still there after {pace.removal:.0f} s"


def _look(item: Item, kind: Kind, clients: Clients, *, certain: bool) -> dict[str, Any] | None:
    """Describe it; empty where that is forbidden and the deletion may be tried blind."""
    try:
        return resources.describe(clients, kind, item.name)
    except ClientError as error:
        if certain and meaning(error) == "denied":
            return {}
        raise


def _is_old(item: Item) -> bool:
    return time.time() - item.created_at > _SETTLED_AGE


def ownership(item: Item, kind: Kind, seen: dict[str, Any], clients: Clients) -> Ownership:
    """Whether what bears the item's name was made by the item's run. Raises what botocore raises."""
    if item.kind == "schedule":
        return "ours" if tag_value(item.run_id) in seen.get("Description", "") else "foreign"
    found = resources.tags(clients, seen[kind.arn])
    return "ours" if found.get(TAG_RUN) == tag_value(item.run_id) else "foreign"
