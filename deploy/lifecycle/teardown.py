"""Deletes what this suite created, by ledger and by tag. Safe to repeat; never touches anything else."""

from collections.abc import Callable, Hashable, Sequence

from deploy.aws.clients import Clients
from deploy.lifecycle.inventory import InventoryEntry
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.polling import AWS_POLLING, PollingPolicy
from deploy.lifecycle.progress import OnProgress, ignore_progress
from deploy.lifecycle.removal import Leftover, remove
from deploy.lifecycle.signals import shielded


def teardown(
    entries: Sequence[InventoryEntry],
    clients: Clients,
    ledger: Ledger,
    *,
    confirm: Callable[[Sequence[InventoryEntry]], bool],
    on_progress: OnProgress = ignore_progress,
    polling: PollingPolicy = AWS_POLLING,
) -> list[Leftover]:
    """Delete what ended runs of this machine left, then what ``confirm`` allows.

    Args:
        entries: from `inventory`.
        clients: of the account and region of the entries.
        ledger: confirmed deletions are recorded in it.
        confirm: called once per run that is still running, and once per other owner, with what it owns.
        on_progress: called for each item as in `removal.remove`.
        polling: how often to look and for how long.

    Returns:
        What could not be deleted, without what ``confirm`` kept.
    """
    groups: dict[Hashable, list[InventoryEntry]] = {None: []}
    for entry in entries:
        groups.setdefault(_question_about(entry), []).append(entry)
    left: list[Leftover] = []
    for question, group in groups.items():
        if question is None or confirm(group):
            items = [entry.item for entry in group]
            with shielded():
                left += remove(items, clients, ledger, polling=polling, on_progress=on_progress)
    return left


def _question_about(entry: InventoryEntry) -> Hashable:
    """Entries with the same value are asked about together; None: deleted without asking."""
    if entry.live:
        return entry.live, entry.item.run_id
    return None if entry.mine else entry.item.owner
