"""Deletes what a run created, in order, each until the API says that it is gone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import StartedError, UserError
from common.formatting import duration
from common.text import one_line
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import aws_message, classify
from deploy.aws.resources import BILLED, KINDS, REMOVAL_ORDER, Kind
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_POLLING, PollingPolicy
from deploy.lifecycle.progress import OnProgress, Progress, ProgressState, ignore_progress
from deploy.lifecycle.signals import Abandoned, abandonable
from deploy.spec.tags import TAG_RUN, tag_value

_VISIBLE_AGE_S = 120.0
"""What was created longer ago than this is visible to every call."""
_MEANWHILE_S = 5.0
"""A deletion that takes longer than this leaves time for something else."""

Ownership = Literal["ours", "foreign"]


@dataclass(frozen=True)
class Leftover:
    """One resource that could not be deleted, why, and the command that deletes it."""

    item: Item
    reason: str

    @property
    def command(self) -> str:
        """The AWS CLI command, ready to paste."""
        return KINDS[self.item.kind].command(self.item.name, self.item.region)

    def __str__(self) -> str:
        return f"{self.item.kind} {self.item.name} ({self.reason}): {self.command}"


class LeftBehindError(StartedError):
    """Something that this suite created still exists. Says whether it costs money, and how to delete it."""

    def __init__(self, leftovers: Sequence[Leftover], after: BaseException | None = None) -> None:
        self.leftovers = tuple(leftovers)
        self.after = after
        """The error or signal that ended the run before the deletion; None without one."""
        self.billed = any(leftover.item.kind in BILLED for leftover in leftovers)
        self.ends_the_run = self.billed or not isinstance(after, UserError | None)
        """Whether to create nothing more: what is left costs money, or a signal or a crash ended the run."""
        crash = "" if isinstance(after, UserError) else f"{type(after).__name__}: "
        before = "" if after is None else f"{crash}{str(after).rstrip('.')}; and "
        cost = " and billed until it is" if self.billed else ""
        leftovers_text = "; ".join(str(leftover) for leftover in leftovers)
        super().__init__(f"{before}NOT DELETED{cost}: {leftovers_text}", "`make teardown` tries again")


def remove(
    items: Sequence[Item],
    clients: Clients,
    ledger: Ledger,
    *,
    polling: PollingPolicy = AWS_POLLING,
    on_progress: OnProgress = ignore_progress,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Leftover]:
    """Delete ``items``: components, endpoint, configuration, model, schedules, fleets, secrets.

    While an endpoint is left, so are its configuration, its model, and the schedules that will delete it.
    When one deletion fails, the next is still tried. Safe to repeat. In a `signals.shielded` block, a signal
    prints what is being deleted, and a further one ends the wait.

    Args:
        items: open items of the ledger, of one region and control plane.
        clients: of that region.
        ledger: each confirmed deletion is recorded in it.
        polling: how often to look and for how long.
        on_progress: called for each item when its deletion starts, is refused, and ends.
        meanwhile: called once, when a requested deletion is not confirmed within seconds.

    Returns:
        What could not be deleted.
    """
    removal = _Removal(clients.quick(), ledger, polling, on_progress, meanwhile)
    left: list[Leftover] = []
    blocked: set[str] = set()
    abandoned: str | None = None
    with abandonable(removal.explain):
        for item in sorted(items, key=lambda item: REMOVAL_ORDER.index(item.kind)):
            if item.group in blocked and item.kind != "inference-component":
                left.append(Leftover(item, abandoned or "kept while what uses it exists"))
                continue
            removal.report(item, "deleting")
            try:
                reason = abandoned or removal.remove(item)
            except Abandoned as stop:
                reason = abandoned = f"no longer waited for: {stop}"
            except Exception as error:  # noqa: BLE001 - the next one must be tried, and this one named
                reason = f"{type(error).__name__}: {error}"
            removal.report(item, "not_deleted" if reason else "deleted", reason or "")
            if reason:
                left.append(Leftover(item, reason))
                if item.kind in ("endpoint", "inference-component"):
                    blocked.add(item.group)
    return left


class _Removal:
    """Deletes one item after the other, and reports the current one."""

    def __init__(
        self,
        clients: Clients,
        ledger: Ledger,
        polling: PollingPolicy,
        on_progress: OnProgress,
        meanwhile: Callable[[], None],
    ) -> None:
        self._clients = clients
        self._ledger = ledger
        self._polling = polling
        self._on_progress = on_progress
        self._meanwhile: Callable[[], None] | None = meanwhile
        self._started = time.monotonic()
        self._item: Item | None = None
        self._until = ""
        self._refusal = ""

    def explain(self) -> str:
        """What is being waited for, until when, and what a further signal does."""
        if self._item is None:
            return "everything is being deleted; this takes a moment"
        refused = f" ({self._refusal})" if self._refusal else ""
        return (
            f"still deleting the {self._item.kind} {self._item.name}{refused}, until {self._until}. "
            "Another signal ends the wait, but an endpoint or a fleet costs money until it is deleted: "
            "`make endpoints` lists what is left, `make teardown` deletes it"
        )

    def report(self, item: Item, state: ProgressState, detail: str = "") -> None:
        """Call the progress callback."""
        elapsed_s = time.monotonic() - self._started
        self._on_progress(Progress(item, state, detail, elapsed_s, retry_until=self._until))

    def remove(self, item: Item) -> str | None:
        """Delete one item; None once it is gone, else the reason why it is not."""
        kind, polling = KINDS[item.kind], self._polling
        never_in_service = bool(kind.status) and item.state != "in_service"
        limit_s = polling.removal_s + (polling.extra_while_creating_s if never_in_service else 0.0)
        self._begin(item, limit_s)
        certain = item.state != "creating"
        began = time.monotonic()
        visible_at = began + (0.0 if _is_old(item) else polling.grace_s)
        present = renewed = False  # present: seen, or its deletion was accepted; not seen then means gone
        for _ in polling.polls(limit_s):
            seen: dict[str, Any] | None = {}
            try:
                seen = self._look(item, kind, certain=certain)
                if seen and not certain:
                    if ownership(item, kind, seen, self._clients) == "foreign":
                        self._ledger.mark(item, "refused")
                        return None
                    certain = True
                present = present or bool(seen)
                if seen and seen.get(kind.status or "") == "DELETE_FAILED":
                    self._refused(item, one_line(seen.get("StackStatusReason", "DELETE_FAILED")))
                if seen is None and (present or time.monotonic() >= visible_at):
                    self._ledger.mark(item, "deleted")
                    return None
                if certain and (seen or {}).get(kind.status or "") != kind.deleting:
                    # Even where it is not visible (yet): what was just created may take a while to show.
                    resources.delete(self._clients, kind, item.name)
                    present = True
            except (ClientError, BotoCoreError) as error:
                failure = classify(error)
                if failure == "missing" and not seen and (present or time.monotonic() >= visible_at):
                    self._ledger.mark(item, "deleted")
                    return None
                # A denial proves nothing for what was not seen: a policy on this suite's tag denies
                # every call on what does not exist.
                if (failure == "denied" and seen is not None) or (failure == "credentials" and renewed):
                    return aws_message(error)
                if failure == "credentials":
                    self._clients, renewed = self._clients.renewed(), True
                if failure == "busy":
                    visible_at = time.monotonic() + polling.grace_s  # it exists, even if no call shows it
                self._refused(item, aws_message(error))
            self._use_long_wait(time.monotonic() - began)
        return self._refusal or f"still there after {duration(limit_s)}"

    def _begin(self, item: Item, limit_s: float) -> None:
        self._item, self._refusal = item, ""
        self._until = time.strftime("%H:%M", time.localtime(time.time() + limit_s))

    def _refused(self, item: Item, refusal: str) -> None:
        if (refusal := refusal.rstrip(".")) != self._refusal:
            self._refusal = refusal
            self.report(item, "deletion_refused", refusal)

    def _use_long_wait(self, waited_s: float) -> None:
        """Do something else during a long wait, once."""
        if self._meanwhile is not None and waited_s >= _MEANWHILE_S:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()

    def _look(self, item: Item, kind: Kind, *, certain: bool) -> dict[str, Any] | None:
        """Describe it; empty where that is denied and the deletion may be tried anyway."""
        try:
            return resources.describe(self._clients, kind, item.name)
        except ClientError as error:
            if certain and classify(error) == "denied":
                return {}
            raise


def _is_old(item: Item) -> bool:
    return time.time() - item.created_at > _VISIBLE_AGE_S


def ownership(item: Item, kind: Kind, seen: dict[str, Any], clients: Clients) -> Ownership:
    """Whether the resource with the item's name was created by the item's run. Raises botocore's errors."""
    if item.kind == "schedule":
        return "ours" if tag_value(item.run_id) in seen.get("Description", "") else "foreign"
    tags = resources.tags(clients, kind, seen)
    return "ours" if tags.get(TAG_RUN) == tag_value(item.run_id) else "foreign"
