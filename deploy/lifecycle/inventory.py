"""What this suite created and still exists: by this machine's ledger, and by tag."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import classify, user_message
from deploy.aws.resources import KINDS, LARGE_PAGES, Kind, KindName
from deploy.lifecycle.ledger import Item, Ledger
from deploy.spec.endpoint_spec import group_of
from deploy.spec.owner import Process
from deploy.spec.tags import PROJECT, TAG_OWNER, TAG_PROCESS, TAG_PROJECT, TAG_RUN, expiry_of

_LISTED: dict[KindName, tuple[str, str, dict[str, Any]]] = {
    "inference-component": ("list_inference_components", "InferenceComponents", LARGE_PAGES),
    "endpoint": ("list_endpoints", "Endpoints", LARGE_PAGES),
    "endpoint-config": ("list_endpoint_configs", "EndpointConfigs", LARGE_PAGES),
    "model": ("list_models", "Models", LARGE_PAGES),
    "fleet": ("describe_stacks", "Stacks", {}),
    "secret": ("list_secrets", "SecretList", LARGE_PAGES),
}
"""Operation, the member of its response that lists them, and the size of its pages."""
FLEET_KINDS: frozenset[KindName] = frozenset({"fleet", "secret"})
"""What a fleet consists of; the others belong to endpoints."""


@dataclass(frozen=True)
class InventoryEntry:
    """One resource that this suite created, known by the ledger, by its tags, or by both."""

    item: Item
    mine: bool
    """Created by this user on this machine, by the ledger or by the owner tag."""
    known_by: str
    """``ledger``, ``tag`` or ``ledger and tag``."""
    status: str | None = None
    """AWS's status; None where only the ledger knows the resource."""
    live: Process | None = None
    """The process on this host that created it, if it is still running: its run may be using it."""


def inventory(
    clients: Clients,
    ledger: Ledger,
    owner: str,
    *,
    on_notice: Callable[[str], None] = lambda _notice: None,
    kinds: Collection[KindName] = KINDS,
) -> list[InventoryEntry]:
    """Everything that this suite created in this account and region, in deletion order within each endpoint.

    Entries of the ledger are always listed: a refused call leaves out only what it would have added.

    Args:
        clients: of the account and region.
        ledger: of this machine.
        owner: `owner.machine_owner()`.
        on_notice: called with a sentence for each call that was refused.
        kinds: only these are looked for.

    Raises:
        UserError: the ledger cannot be read, or the credentials are refused.
    """
    reachable = [item for item in ledger.open_items() if is_reachable(item, clients)]
    in_ledger = {item.key: item for item in reachable if item.kind in kinds}
    listed = [kind for kind in _LISTED if kind in kinds]
    by_tag = [entry for kind in listed for entry in _tagged(kind, clients, owner, on_notice)]
    tagged = {entry.item.key: entry for entry in (*by_tag, *_schedules(by_tag, clients, on_notice))}
    entries = [
        InventoryEntry(
            item=item,
            mine=_created_here(item),
            known_by="ledger and tag" if key in tagged else "ledger",
            status=tagged[key].status if key in tagged else None,
        )
        for key, item in in_ledger.items()
    ]
    entries += [entry for key, entry in tagged.items() if key not in in_ledger]
    entries = [replace(entry, live=_live_process(entry.item)) for entry in entries]
    order = list(KINDS)
    return sorted(entries, key=lambda entry: (entry.item.group, order.index(entry.item.kind)))


def _created_here(item: Item) -> bool:
    """Whether an item of the ledger was created on this host: hosts may share a home folder."""
    process = Process.parse(item.process)
    return process is None or process.is_local


def _live_process(item: Item) -> Process | None:
    process = Process.parse(item.process)
    return process if process and process.is_running else None


def is_reachable(item: Item, clients: Clients) -> bool:
    """Whether these clients reach the account, server and region in which the item was created."""
    place = (clients.api, clients.region, clients.identity.account)
    return (item.api, item.region, item.account) == place


def items_elsewhere(clients: Clients, ledger: Ledger) -> list[Item]:
    """Open items of the ledger that these clients cannot reach: another region, account or server."""
    return [item for item in ledger.open_items() if not is_reachable(item, clients)]


def _tagged(
    kind_name: KindName, clients: Clients, owner: str, on_notice: Callable[[str], None]
) -> list[InventoryEntry]:
    """The resources of one kind that have this suite's tags."""
    kind, (operation, member, pages) = KINDS[kind_name], _LISTED[kind_name]
    client = clients.client(kind.service)
    entries: list[InventoryEntry] = []
    unread: list[tuple[str, Exception]] = []
    try:
        for page in client.get_paginator(operation).paginate(PaginationConfig=pages):
            for summary in page[member]:
                try:
                    entries += _entry_if_ours(kind, summary, clients, owner)
                except (ClientError, BotoCoreError) as error:
                    if classify(error) != "missing":  # else it was deleted after it was listed
                        unread.append((summary[kind.name], error))
    except (ClientError, BotoCoreError) as error:
        on_notice(user_message(error, f"listing the {kind_name}s in {clients.region}"))
    if unread:
        name, refusal = unread[0]
        more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
        on_notice(user_message(refusal, f"reading the tags of {kind_name} {name}{more}"))
    return entries


def _entry_if_ours(
    kind: Kind, summary: dict[str, Any], clients: Clients, owner: str
) -> Iterator[InventoryEntry]:
    if (group := group_of(summary[kind.name])) is None:
        return  # not a name that this suite gives, so its tags are not requested
    tags = resources.tags(clients, kind, summary)
    if tags.get(TAG_PROJECT) == PROJECT and TAG_RUN in tags:
        item = _item(kind, group, tags, summary, clients)
        status = summary.get(kind.status) if kind.status else "exists"
        yield InventoryEntry(item, mine=tags.get(TAG_OWNER) == owner, known_by="tag", status=status)


def _schedules(
    tagged: Sequence[InventoryEntry], clients: Clients, on_notice: Callable[[str], None]
) -> Iterator[InventoryEntry]:
    """The schedules of tagged resources: by name, which starts with the endpoint's, and by description."""
    scheduler = clients.client("scheduler")
    of_endpoints = [entry for entry in tagged if entry.item.kind not in FLEET_KINDS]
    for entry in {entry.item.group: entry for entry in of_endpoints}.values():
        group = entry.item.group
        try:
            pages = scheduler.get_paginator("list_schedules").paginate(
                NamePrefix=group, PaginationConfig=LARGE_PAGES
            )
            rows = [row for page in pages for row in page["Schedules"]]
            for name in (row["Name"] for row in rows if group_of(row["Name"]) == group):
                seen = resources.describe(clients, KINDS["schedule"], name)
                if seen is not None and entry.item.run_id in seen.get("Description", ""):
                    item = replace(entry.item, kind="schedule", name=name, arn=seen["Arn"])
                    yield replace(entry, item=item, status=seen.get("State"))
        except (ClientError, BotoCoreError) as error:
            on_notice(
                user_message(error, f"listing the schedules of {group}, which delete themselves after use")
            )
            return


def _item(kind: Kind, group: str, tags: dict[str, str], summary: dict[str, Any], clients: Clients) -> Item:
    item = Item(
        kind=kind.key,
        name=summary[kind.name],
        group=group,
        run_id=tags[TAG_RUN],
        owner=tags.get(TAG_OWNER, ""),
        region=clients.region,
        api=clients.api,
        account=clients.identity.account,
        created_at=summary[kind.created].timestamp(),
        expires_at=expiry_of(tags),
        process=tags.get(TAG_PROCESS),
        arn=summary[kind.arn],
        state="created",
    )
    if kind.key != "fleet":
        return item
    given = {entry["ParameterKey"]: entry["ParameterValue"] for entry in summary.get("Parameters", [])}
    try:
        return item.priced(given["InstanceType"], int(given["HostCount"]), float(given["UsdPerHour"]))
    except (KeyError, ValueError):  # not a stack of this version's template
        return item
