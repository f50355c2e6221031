"""Removes what is ours, by ledger and by tag. Safe to repeat; never touches what bears no tag of ours."""

from collections.abc import Callable, Sequence

from deploy.clients import Clients
from deploy.inventory import Found
from deploy.ledger import Item, Ledger
from deploy.pace import AWS_PACE, Pace
from deploy.removal import Leftover, remove
from deploy.signals import shielded


def quiet(_item: Item, _state: str) -> None:
    """Tell nobody."""


def teardown(
    found: Sequence[Found],
    clients: Clients,
    ledger: Ledger,
    *,
    others: Callable[[str, Sequence[Found]], bool],
    told: Callable[[Item, str], None] = quiet,
    pace: Pace = AWS_PACE,
) -> list[Leftover]:
    """Delete what `inventory` found: this machine's first, then each other owner's if ``others`` agrees.

    Args:
        found: what is ours.
        clients: of the account and region in which it was found.
        ledger: where confirmed deletions are marked.
        others: asked with the owner's name and their resources.
        told: called with each item and what becomes of it.
        pace: how often to look and for how long.

    Returns:
        What could not be deleted; what its owner keeps is not among it.
    """
    with shielded():
        left = remove([one.item for one in found if one.mine], clients, ledger, pace=pace, told=told)
    strangers: dict[str, list[Found]] = {}
    for one in found:
        if not one.mine:
            strangers.setdefault(one.item.owner or "an unknown owner", []).append(one)
    for owner, theirs in strangers.items():
        if others(owner, theirs):
            with shielded():
                left += remove([one.item for one in theirs], clients, ledger, pace=pace, told=told)
    return left
