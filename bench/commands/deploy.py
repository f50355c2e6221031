"""Commands about endpoints: check a plan, list what this suite created, and delete it."""

import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.backend import backend_for
from bench.checks import check_plan
from bench.commands.run import PlanChoice, chosen_plan, plan_options
from bench.json_lines import add_to_result, conclude, emit, is_on, json_option, say
from bench.options import NonEmptyText
from bench.terminal import print_status, result_console
from bench.traces import read_replayed_trace, trace_size
from common.exit_codes import ExitCode
from common.formatting import cents, limit_percent, plural
from common.text import one_line, printable
from configs.dwell import statistic_name
from configs.plan import Plan, Price
from deploy.aws.clients import Clients
from deploy.aws.resources import BILLED, KINDS, KindName, describe
from deploy.lifecycle.inventory import InventoryEntry, inventory, items_elsewhere
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.progress import Progress
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import orderly_exit
from deploy.lifecycle.teardown import teardown
from deploy.preflight.estimate import Estimate
from deploy.preflight.plan_checks import Check
from deploy.preflight.preflight import Preflight, preflight
from deploy.preflight.prices import quote
from deploy.spec.owner import machine_owner

_COLOR = {"ok": "green", "warning": "yellow", "stop": "red"}


@click.command("plan")
@plan_options
def plan_command(**choice: Unpack[PlanChoice]) -> int:
    """Check a plan and estimate its duration and cost. Creates nothing; exit code 2 if a check stops it."""
    plan, path = chosen_plan(choice)
    payloads = [payload.facts for payload in check_plan(plan).values()]
    with backend_for(plan, rehearse=False) as backend:
        checked = preflight(
            backend.plan,
            lambda: Clients.for_endpoint(backend.plan.endpoint),
            Ledger(),
            payloads=payloads,
            results=choice["results"],
            assumption=backend.assumed_price,
            boot_s=backend.boot_s,
            trace=trace_size(read_replayed_trace(plan).rows),
        )
    _show(plan, path, checked)
    code = ExitCode.BAD_INPUT if checked.stops else ExitCode.OK
    conclude(
        code,
        plan={"name": plan.name, "file": str(path)},
        checks=[asdict(check) for check in checked.checks],
        estimate={**asdict(checked.estimate), "max_spend_usd": plan.budget.max_spend_usd},
    )
    return code


@click.command("endpoints")
@click.option("--region", type=NonEmptyText(), help="AWS region to search.")
@json_option
def endpoints_command(region: str | None) -> int:
    """List what this suite created and has not deleted.

    Shows the age, the cost so far and the owner of each resource.
    """
    clients, ledger = Clients.from_environment(region), Ledger()
    entries = inventory(clients, ledger, machine_owner(), on_notice=print_status)
    if entries:
        show_inventory(entries, clients)
    else:
        say(f"nothing created by this suite in {clients.region} of account {clients.identity.account}")
    elsewhere = items_elsewhere(clients, ledger)
    _print_elsewhere(elsewhere)
    conclude(ExitCode.OK, **_place(clients), resources=_as_data(entries, clients), elsewhere=len(elsewhere))
    return ExitCode.OK


@click.command("teardown")
@click.option("--region", type=NonEmptyText(), help="AWS region to search.")
@click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="Also delete what other machines and live runs created, without asking.",
)
@json_option
def teardown_command(region: str | None, *, everyone: bool) -> int:
    """Delete what this suite created, by its ledger and by its tags. Safe to repeat.

    Asks before it deletes anything of a run that is still running, or of another user or machine.
    """
    return delete(region, everyone=everyone)


def delete(region: str | None, *, everyone: bool, kinds: Collection[KindName] = KINDS) -> int:
    """Delete what this suite created, of these kinds.

    Args:
        region: to search; None: the environment's.
        everyone: do not ask.
        kinds: what to look for.

    Raises:
        LeftBehindError: something could not be deleted.
    """
    clients, ledger = Clients.from_environment(region), Ledger()
    entries = inventory(clients, ledger, machine_owner(), on_notice=print_status, kinds=kinds)

    def confirm(group: Sequence[InventoryEntry]) -> bool:
        return everyone or confirmed(_ownership(group))

    with orderly_exit():
        left = teardown(entries, clients, ledger, confirm=confirm, on_progress=_print_progress)
    if not entries:
        say(f"nothing created by this suite in {clients.region} of account {clients.identity.account}")
    elsewhere = [item for item in items_elsewhere(clients, ledger) if item.kind in kinds]
    _print_elsewhere(elsewhere)
    found = {"resources": _as_data(entries, clients), "elsewhere": len(elsewhere)}
    add_to_result(**_place(clients), **found, left=[_key(leftover.item) for leftover in left])
    if left:
        raise LeftBehindError(left)
    conclude(ExitCode.OK)
    return ExitCode.OK


def _show(plan: Plan, path: Path, checked: Preflight) -> None:
    console = Console(stderr=is_on())
    table = Table(title=Text(f"{plan.name} ({path})"), title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("")
    table.add_column("finding, and what to do", overflow="fold")
    for check in checked.checks:
        table.add_row(*_row(check))
    console.print(table)
    console.print()
    for line in _estimate_lines(plan, checked.estimate):
        console.print(line, highlight=False, markup=False)
    if checked.stops:
        names = ", ".join(check.name for check in checked.stops)
        console.print(f"\nnot ready: {names}", style="red", markup=False)


def _row(check: Check) -> tuple[str, str, str]:
    color = _COLOR[check.level]
    remedy = f"\n→ {escape(check.remedy)}" if check.remedy else ""
    return escape(check.name), f"[{color}]{check.level}[/{color}]", escape(check.finding) + remedy


def _estimate_lines(plan: Plan, estimate: Estimate) -> list[str]:
    bounds = _range(_span(estimate.shortest_s), _span(estimate.longest_s))
    steps = plural(estimate.steps, "step")
    if plan.load.search is not None:
        steps = f"a search of at most {plural(estimate.steps, 'probe')}"
    shape = f"{plural(estimate.experiments, 'experiment')}, {steps}"
    lines = [f"{shape}; {bounds}, including start and deletion; up to about {estimate.requests:,} requests"]
    if estimate.longest_usd is not None and estimate.shortest_usd is not None:
        limit = plan.budget.max_spend_usd
        allowed = f" (limit: {cents(limit)})" if limit is not None else ""
        lines.append(f"cost: {_range(cents(estimate.shortest_usd), cents(estimate.longest_usd))}{allowed}")
    lines += _length_lines(plan)
    lines.append(f"assumed: {'; '.join(estimate.assumptions)}")
    return lines


def _range(shortest: str, longest: str) -> str:
    """``27 min to 40 min``; ``about 2 min`` where both ends are the same."""
    return f"about {longest}" if shortest == longest else f"{shortest} to {longest}"


def _length_lines(plan: Plan) -> list[str]:
    """What the upper bounds take for warm-ups and measurements that end by their figures."""
    until, warm_up = plan.load.measure_until, plan.load.warm_up_until
    lines = []
    if warm_up is not None:
        lines.append(f"a warm-up ends once the load is steady, after {_span(warm_up.at_most)} at the latest")
    if until is not None:
        known = f"once {statistic_name(until.of)} is known to ±{limit_percent(until.until)}"
        lines.append(f"a measurement ends {known}, after {_span(until.at_most)} at the latest")
    return [f"{line}; the upper bounds are for the latter" for line in lines]


def show_inventory(entries: Sequence[InventoryEntry], clients: Clients) -> None:
    """Print a table of what this suite created."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("kind", "name", "status", "age", "cost so far", "run", "owner", "known by"):
        table.add_column(column, overflow="fold")
    now = time.time()
    for entry in entries:
        item = _priced(entry.item, clients)
        cost = item.cost_usd(now) if item.kind in BILLED else None
        cells = (
            item.kind,
            item.name,
            entry.status or "not seen",
            _span(now - item.created_at),
            "" if item.kind not in BILLED else "no price" if cost is None else cents(cost),
            item.run_id + (f" (live, process {entry.live.pid})" if entry.live else ""),
            item.owner + ("" if entry.mine else " (not this machine)"),
            entry.known_by,
        )
        table.add_row(*(Text(one_line(cell)) for cell in cells))  # anybody may have written the tags
    Console(stderr=is_on()).print(table)


def _place(clients: Clients) -> dict[str, str]:
    return {"region": clients.region, "account": clients.identity.account}


def _key(item: Item) -> dict[str, str]:
    return {"kind": item.kind, "name": item.name}


def _as_data(entries: Sequence[InventoryEntry], clients: Clients) -> list[dict[str, Any]]:
    """What this suite created, for programs."""
    now = time.time()
    data = []
    for entry in entries if is_on() else ():
        item = _priced(entry.item, clients)
        known = {"status": entry.status, "known_by": entry.known_by, "mine": entry.mine}
        live = None if entry.live is None else entry.live.pid
        cost = item.cost_usd(now) if item.kind in BILLED else None
        of_item = {"run": item.run_id, "owner": item.owner, "created_at": item.created_at, "cost_usd": cost}
        data.append({**_key(item), **known, **of_item, "live_process": live})
    return data


def _priced(item: Item, clients: Clients) -> Item:
    """Add the price of an endpoint that is only known by its tags, from its configuration."""
    if item.kind != "endpoint" or item.usd_per_hour is not None:
        return item
    try:
        endpoint = describe(clients, KINDS["endpoint"], item.name) or {}
        config = describe(clients, KINDS["endpoint-config"], endpoint.get("EndpointConfigName", item.name))
    except (ClientError, BotoCoreError):
        return item  # it is listed without a price
    variants = (config or {}).get("ProductionVariants", [])
    if not variants or "InstanceType" not in variants[0]:
        return item
    kind, count = variants[0]["InstanceType"], variants[0].get("InitialInstanceCount", 1)
    price = quote(kind, clients.region, Price(), clients)
    return item.priced(kind, count, price.usd_per_hour)


def _ownership(group: Sequence[InventoryEntry]) -> str:
    """Who created these, and which run still uses them, for the user to decide."""
    names = ", ".join(f"{entry.item.kind} {entry.item.name}" for entry in group)
    item, live = group[0].item, group[0].live
    if live is None:
        return f"{item.owner or 'An unknown owner'} created {names}."
    age = _span(time.time() - live.started_at)
    return (
        f"Run {item.run_id} (owner {item.owner}) is still running as process {live.pid}, for {age} "
        f"(`kill -INT {live.pid}` stops it and keeps its measurements). It owns {names}."
    )


def confirmed(ownership: str) -> bool:
    """Whether the user agrees; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        say(f"{ownership} Not deleted, because this is not a terminal (ALL=1 deletes it too)")
        return False
    try:
        return click.confirm(f"{printable(ownership)} Delete?", default=False, err=is_on())
    except click.Abort:  # the end of the input; Ctrl-C comes as a signal
        say("no")
        return False


def _print_progress(progress: Progress) -> None:
    item = progress.item
    result_console.print(f"{item.kind} {item.name}: {progress}", markup=False)
    emit("resource", **progress.as_data())


def _print_elsewhere(others: Sequence[Item]) -> None:
    if others:
        places = sorted({f"{item.region} of account {item.account} ({item.api})" for item in others})
        say(
            f"the ledger also has {plural(len(others), 'item')} created elsewhere: {'; '.join(places)} "
            "(REGION= searches another region)"
        )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


COMMANDS = {command.name: command for command in (plan_command, endpoints_command, teardown_command)}
