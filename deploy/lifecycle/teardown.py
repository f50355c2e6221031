"""Removes what is ours, by ledger and by tag. Safe to repeat; never touches what bears no tag of ours."""

from collections.abc import Callable, Hashable, Sequence

from deploy.aws.clients import Clients
from deploy.lifecycle.inventory import Found
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.polling import AWS_PACE, Pace
from deploy.lifecycle.removal import Leftover, remove
from deploy.lifecycle.signals import shielded


def quiet(_item: Item, _state: str) -> None:
    """Tell nobody."""


def teardown(
    found: Sequence[Found],
    clients: Clients,
    ledger: Ledger,
    *,
    agreed: Callable[[Sequence[Found]], bool],
    told: Callable[[Item, str], None] = quiet,
    pace: Pace = AWS_PACE,
) -> list[Leftover]:
    """Delete what `inventory` found: what ended runs of this machine left, then what ``agreed`` gives up.

    Args:
        found: what is ours.
        clients: of the account and region in which it was found.
        ledger: where confirmed deletions are marked.
        agreed: asked run by run about what belongs to a run that still goes on, and owner by owner about
            what others made.
        told: called with each item and what becomes of it.
        pace: how often to look and for how long.

    Returns:
        What could not be deleted; what is kept because ``agreed`` said no is not among it.
    """
    groups: dict[Hashable, list[Found]] = {None: []}
    for one in found:
        groups.setdefault(_asked_about(one), []).append(one)
    left: list[Leftover] = []
    for question, group in groups.items():
        if question is None or agreed(group):
            with shielded():
                left += remove([one.item for one in group], clients, ledger, pace=pace, told=told)
    return left


def _asked_about(one: Found) -> Hashable:
    """What it is asked about together with; None where it is deleted without a question."""
    if one.live:
        return one.live, one.item.run_id
    return None if one.mine else one.item.owner
