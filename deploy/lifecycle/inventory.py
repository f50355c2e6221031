"""What of ours is in the account: by this machine's ledger, and by the tags that it all bears."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import meaning, sentence
from deploy.aws.resources import KINDS, LARGE_PAGES, Kind, KindName
from deploy.lifecycle.ledger import Item, Ledger
from deploy.spec.endpoint_spec import group_of
from deploy.spec.owner import Process
from deploy.spec.tags import PROJECT, TAG_OWNER, TAG_PROCESS, TAG_PROJECT, TAG_RUN, expiry_of

_LISTED: dict[KindName, tuple[str, str]] = {
    "inference-component": ("list_inference_components", "InferenceComponents"),
    "endpoint": ("list_endpoints", "Endpoints"),
    "endpoint-config": ("list_endpoint_configs", "EndpointConfigs"),
    "model": ("list_models", "Models"),
}


@dataclass(frozen=True)
class Found:
    """One resource of ours, as the ledger or the account knows it."""

    item: Item
    mine: bool
    """Created by this user on this machine: by its line in the ledger, or by its owner tag."""
    known_by: str
    """``ledger``, ``tag`` or ``ledger and tag``."""
    status: str | None = None
    """The API's word; None where only the ledger knows it."""
    live: Process | None = None
    """The process of this host that made it, where that still goes on: its run may be using it."""


def inventory(
    clients: Clients, ledger: Ledger, owner: str, *, notice: Callable[[str], None] = lambda _said: None
) -> list[Found]:
    """Everything of ours in this account and region, in order of removal within each endpoint.

    What the ledger knows is listed whatever the account says: a call that is refused leaves out only what
    it would have shown.

    Args:
        clients: whose account and region are asked.
        ledger: of this machine.
        owner: `target.machine_owner()`.
        notice: told, in a sentence, what could not be looked at.

    Raises:
        UserError: the ledger cannot be read, or the credentials are refused.
    """
    known = {item.key: item for item in ledger.open_items() if item_is_here(item, clients)}
    by_tag = [found for kind in _LISTED for found in _tagged(kind, clients, owner, notice)]
    tagged = {found.item.key: found for found in (*by_tag, *_schedules(by_tag, clients, notice))}
    everything = [
        Found(
            item=item,
            mine=_made_here(item),
            known_by="ledger and tag" if key in tagged else "ledger",
            status=tagged[key].status if key in tagged else None,
        )
        for key, item in known.items()
    ]
    everything += [found for key, found in tagged.items() if key not in known]
    everything = [replace(found, live=_live(found.item)) for found in everything]
    order = list(KINDS)
    return sorted(everything, key=lambda found: (found.item.group, order.index(found.item.kind)))


def _made_here(item: Item) -> bool:
    """Whether a line of the ledger is of this host: hosts may share a home, and the ledger in it."""
    process = Process.parse(item.process)
    return process is None or process.is_here


def _live(item: Item) -> Process | None:
    process = Process.parse(item.process)
    return process if process and process.goes_on else None


def item_is_here(item: Item, clients: Clients) -> bool:
    """Whether these clients reach the account, server and region in which the item was made."""
    here = (clients.api, clients.region, clients.identity.account)
    return (item.api, item.region, item.account) == here


def elsewhere(clients: Clients, ledger: Ledger) -> list[Item]:
    """Open items of the ledger that these clients cannot reach: another region, account or server."""
    return [item for item in ledger.open_items() if not item_is_here(item, clients)]


def _tagged(kind_name: KindName, clients: Clients, owner: str, notice: Callable[[str], None]) -> list[Found]:
    """Those of one kind whose tags say that they are ours."""
    kind, (operation, member) = KINDS[kind_name], _LISTED[kind_name]
    found: list[Found] = []
    unread: list[tuple[str, Exception]] = []
    try:
        for page in clients.sagemaker.get_paginator(operation).paginate(PaginationConfig=LARGE_PAGES):
            for summary in page[member]:
                try:
                    found += _if_ours(kind, summary, clients, owner)
                except (ClientError, BotoCoreError) as error:
                    if meaning(error) != "missing":  # else it was deleted since it was listed
                        unread.append((summary[kind.name], error))
    except (ClientError, BotoCoreError) as error:
        notice(sentence(error, f"listing what there is of {kind_name} in {clients.region}"))
    if unread:
        name, refusal = unread[0]
        more = f" (and of {len(unread) - 1} more)" if len(unread) > 1 else ""
        notice(sentence(refusal, f"reading the tags of {kind_name} {name}{more}"))
    return found


def _if_ours(kind: Kind, summary: dict[str, Any], clients: Clients, owner: str) -> Iterator[Found]:
    if (group := group_of(summary[kind.name])) is None:
        return  # no name of ours, so its tags need not be asked for
    tags = resources.tags(clients, summary[kind.arn])
    if tags.get(TAG_PROJECT) == PROJECT and TAG_RUN in tags:
        item = _item(kind, group, tags, summary, clients)
        status = summary.get(kind.status) if kind.status else "exists"
        yield Found(item, mine=tags.get(TAG_OWNER) == owner, known_by="tag", status=status)


def _schedules(tagged: Sequence[Found], clients: Clients, notice: Callable[[str], None]) -> Iterator[Found]:
    """A schedule bears no tag; its name begins with that of the endpoint, its description has the run."""
    scheduler = clients.client("scheduler")
    for found in {one.item.group: one for one in tagged}.values():
        group = found.item.group
        try:
            pages = scheduler.get_paginator("list_schedules").paginate(
                NamePrefix=group, PaginationConfig=LARGE_PAGES
            )
            rows = [row for page in pages for row in page["Schedules"]]
            for name in (row["Name"] for row in rows if group_of(row["Name"]) == group):
                seen = resources.describe(clients, KINDS["schedule"], name)
                if seen is not None and found.item.run_id in seen.get("Description", ""):
                    item = replace(found.item, kind="schedule", name=name, arn=seen["Arn"])
                    yield replace(found, item=item, status=seen.get("State"))
        except (ClientError, BotoCoreError) as error:
            notice(sentence(error, f"looking for the schedules of {group}, which remove themselves in time"))
            return


def _item(kind: Kind, group: str, tags: dict[str, str], summary: dict[str, Any], clients: Clients) -> Item:
    return Item(
        kind=kind.key,
        name=summary[kind.name],
        group=group,
        run_id=tags[TAG_RUN],
        owner=tags.get(TAG_OWNER, ""),
        region=clients.region,
        api=clients.api,
        account=clients.identity.account,
        created_at=summary["CreationTime"].timestamp(),
        expires_at=expiry_of(tags),
        process=tags.get(TAG_PROCESS),
        arn=summary[kind.arn],
        state="created",
    )
