"""Deletes what we created, in order, until the API says that it is gone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import StartedError, UserError
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import meaning, message
from deploy.aws.resources import KINDS, REMOVAL_ORDER, Kind
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_PACE, Pace
from deploy.lifecycle.signals import Abandoned, abandonable
from deploy.spec.tags import TAG_RUN, tag_value

_SETTLED_AGE = 120.0
_MEANWHILE_S = 5.0
"""A deletion that takes longer leaves time for something else."""

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


class LeftBehindError(StartedError):
    """Something of ours still exists. The message says whether it costs money, and what removes it."""

    def __init__(self, leftovers: Sequence[Leftover], after: BaseException | None = None) -> None:
        self.leftovers = tuple(leftovers)
        self.after = after
        self.billed = any(leftover.item.kind == "endpoint" for leftover in leftovers)
        crash = "" if isinstance(after, UserError) else f"{type(after).__name__}: "
        first = "" if after is None else f"{crash}{str(after).rstrip('.')}; and "
        cost = " and billed until it is" if self.billed else ""
        listed = "; ".join(str(leftover) for leftover in leftovers)
        self.ends_the_run = self.billed or not isinstance(after, UserError | None)
        """Whether nothing more may be created: what is left costs money, or a signal or a crash ended it."""
        super().__init__(f"{first}NOT DELETED{cost}: {listed}; `make teardown` tries again")


Told = Callable[[Item, str], None]


def remove(
    items: Sequence[Item],
    clients: Clients,
    ledger: Ledger,
    *,
    pace: Pace = AWS_PACE,
    told: Told = lambda _item, _state: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Leftover]:
    """Delete ``items``: components, endpoint, configuration, model, then the schedule.

    Nothing that a surviving endpoint stands on is deleted: neither its configuration and model, nor the
    schedule that will delete it at its expiry. Whatever one deletion meets, the next is tried.
    Safe to repeat. In a `signals.shielded` block a signal explains what is going on, and a further one ends
    the waiting.

    Args:
        items: open items of the ledger, of one region and control plane.
        clients: of that region.
        ledger: each confirmed deletion is marked in it.
        pace: how often to look and for how long.
        told: called with each item and ``deleting``, ``deleted``, or why not.
        meanwhile: called once, when a deletion has been asked for and is not confirmed within seconds.

    Returns:
        What could not be removed.
    """
    removal = _Removal(clients.quick(), ledger, pace, told, meanwhile)
    left: list[Leftover] = []
    blocked: set[str] = set()
    ended: str | None = None
    with abandonable(removal.explain):
        for item in sorted(items, key=lambda item: REMOVAL_ORDER.index(item.kind)):
            if item.group in blocked and item.kind != "inference-component":
                left.append(Leftover(item, ended or "kept while what uses it is there"))
                continue
            told(item, "deleting")
            try:
                reason = ended or removal.remove(item)
            except Abandoned as stop:
                reason = ended = f"not waited for any longer: {stop}"
            except Exception as error:  # noqa: BLE001 - the next one must be tried, and this one named
                reason = f"{type(error).__name__}: {error}"
            told(item, reason or "deleted")
            if reason:
                left.append(Leftover(item, reason))
                if item.kind in ("endpoint", "inference-component"):
                    blocked.add(item.group)
    return left


class _Removal:
    """Deletions one after the other, and what to say of the one under way."""

    def __init__(
        self, clients: Clients, ledger: Ledger, pace: Pace, told: Told, meanwhile: Callable[[], None]
    ) -> None:
        self._clients = clients
        self._ledger = ledger
        self._pace = pace
        self._told = told
        self._meanwhile: Callable[[], None] | None = meanwhile
        self._item: Item | None = None
        self._until = ""
        self._refusal = ""

    def explain(self) -> str:
        """What is being waited for, until when, and what to do instead."""
        if self._item is None:
            return "everything is being deleted; this takes a moment"
        refused = f" ({self._refusal})" if self._refusal else ""
        return (
            f"still deleting the {self._item.kind} {self._item.name}{refused}, until {self._until}. "
            "Another signal stops the waiting: an endpoint that is left costs money until it is gone; "
            "`make endpoints` lists what is left, `make teardown` deletes it"
        )

    def remove(self, item: Item) -> str | None:
        """Delete one item; None once it is gone, else why it is not."""
        kind = KINDS[item.kind]
        pace = self._pace
        limit = pace.removal + (0.0 if item.state == "in_service" or not kind.status else pace.creating)
        self._begin(item, limit)
        certain = item.state != "creating"
        began = time.monotonic()
        settled_at = began + (0.0 if _is_old(item) else pace.settle)
        present = renewed = False  # present: seen, or its deletion was accepted; unseen then means gone
        for _ in pace.polls(limit):
            seen: dict[str, Any] | None = {}
            try:
                seen = self._look(item, kind, certain=certain)
                if seen and not certain:
                    if ownership(item, kind, seen, self._clients) == "foreign":
                        self._ledger.mark(item, "refused")
                        return None
                    certain = True
                present = present or bool(seen)
                if seen is None and (present or time.monotonic() >= settled_at):
                    self._ledger.mark(item, "deleted")
                    return None
                if certain and (seen or {}).get(kind.status or "") != "Deleting":
                    # Also where it cannot be seen (yet): what was just created may be slow to show.
                    resources.delete(self._clients, kind, item.name)
                    present = True
            except (ClientError, BotoCoreError) as error:
                means = meaning(error)
                if means == "missing" and not seen and (present or time.monotonic() >= settled_at):
                    self._ledger.mark(item, "deleted")
                    return None
                # Unseen and denied means little: a policy on our tag denies it of what is not there.
                if (means == "denied" and seen is not None) or (means == "credentials" and renewed):
                    return message(error)
                if means == "credentials":
                    self._clients, renewed = self._clients.renewed(), True
                if means == "busy":
                    settled_at = time.monotonic() + pace.settle  # it is there, whatever the looks say
                self._refused(item, message(error))
            self._pass_the_time(time.monotonic() - began)
        return self._refusal or f"still there after {limit:.0f} s"

    def _begin(self, item: Item, limit: float) -> None:
        self._item, self._refusal = item, ""
        self._until = time.strftime("%H:%M", time.localtime(time.time() + limit))

    def _refused(self, item: Item, refusal: str) -> None:
        if (refusal := refusal.rstrip(".")) != self._refusal:
            self._refusal = refusal
            self._told(item, f"not deleted yet ({refusal}); trying again until {self._until}")

    def _pass_the_time(self, waited_s: float) -> None:
        """Use a long wait for something else, once."""
        if self._meanwhile is not None and waited_s >= _MEANWHILE_S:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()

    def _look(self, item: Item, kind: Kind, *, certain: bool) -> dict[str, Any] | None:
        """Describe it; empty where that is forbidden and the deletion may be tried blind."""
        try:
            return resources.describe(self._clients, kind, item.name)
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
