"""Commands about endpoints: what a plan would do and cost, what of ours is there, and its removal."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.backend import backend_for
from bench.checks import payload_facts
from bench.commands.run import PlanChoice, chosen_plan, plan_options
from bench.options import Filled
from bench.terminal import print_status, result_console
from common.text import one_line, printable
from configs.plan import Plan, Price
from deploy.aws.clients import Clients
from deploy.aws.resources import KINDS, describe
from deploy.lifecycle.inventory import Found, elsewhere, inventory
from deploy.lifecycle.ledger import Item, Ledger
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import orderly_exit
from deploy.lifecycle.teardown import teardown
from deploy.preflight.estimate import Estimate
from deploy.preflight.plan_checks import Check
from deploy.preflight.preflight import Preflight, preflight
from deploy.preflight.prices import quote
from deploy.spec.owner import machine_owner
from payloads.files import payload_path

_COLOUR = {"ok": "green", "warning": "yellow", "stop": "red"}
_STOPPED = 2


@click.command("plan")
@plan_options
def plan_command(**choice: Unpack[PlanChoice]) -> int:
    """Check a plan and foresee its length and cost; creates nothing. Exit code 2 if something stops it."""
    plan, path = chosen_plan(choice)
    payloads = [payload_facts(plan, payload_path(payload)) for payload in plan.workload.payload]
    with backend_for(plan, rehearse=False) as backend:
        found = preflight(
            backend.plan,
            lambda: Clients.for_endpoint(backend.plan.endpoint),
            Ledger(),
            payloads=payloads,
            results=choice["results"],
            assumption=backend.assumed_price,
            boot_s=backend.boot_s,
        )
    _show(plan, path, found)
    return _STOPPED if found.stops else 0


@click.command("endpoints")
@click.option("--region", type=Filled(), help="Region to look into.")
def endpoints_command(region: str | None) -> int:
    """List what this suite created and is still there: age, cost so far, owner."""
    clients, ledger = Clients.from_environment(region), Ledger()
    found = inventory(clients, ledger, machine_owner(), notice=print_status)
    if found:
        show_inventory(found, clients)
    else:
        click.echo(f"nothing of ours in {clients.region} of account {clients.identity.account}")
    _mention(elsewhere(clients, ledger))
    return 0


@click.command("teardown")
@click.option("--region", type=Filled(), help="Region to look into.")
@click.option(
    "--all", "everyone", is_flag=True, help="Delete other machines' and live runs' too, without asking."
)
def teardown_command(region: str | None, *, everyone: bool) -> int:
    """Delete what this suite created, by ledger and by tag. Safe to repeat.

    Asks before what belongs to a run that still goes on, and before what another user or machine created.
    """
    clients, ledger = Clients.from_environment(region), Ledger()
    found = inventory(clients, ledger, machine_owner(), notice=print_status)

    def agreed(asked: Sequence[Found]) -> bool:
        return everyone or confirmed(_fact(asked))

    with orderly_exit():
        left = teardown(found, clients, ledger, agreed=agreed, told=_told)
    if not found:
        click.echo(f"nothing of ours in {clients.region} of account {clients.identity.account}")
    _mention(elsewhere(clients, ledger))
    if left:
        raise LeftBehindError(left)
    return 0


def _show(plan: Plan, path: Path, found: Preflight) -> None:
    console = Console()
    table = Table(title=Text(f"{plan.name} ({path})"), title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("")
    table.add_column("finding, and what to do about it", overflow="fold")
    for check in found.checks:
        table.add_row(*_row(check))
    console.print(table)
    console.print()
    for line in _course(plan, found.estimate):
        console.print(line, highlight=False, markup=False)
    if found.stops:
        names = ", ".join(check.name for check in found.stops)
        console.print(f"\nnot ready: {names}", style="red", markup=False)


def _row(check: Check) -> tuple[str, str, str]:
    colour = _COLOUR[check.level]
    remedy = f"\n→ {escape(check.remedy)}" if check.remedy else ""
    return escape(check.name), f"[{colour}]{check.level}[/{colour}]", escape(check.finding) + remedy


def _course(plan: Plan, course: Estimate) -> list[str]:
    bounds = f"{_span(course.shortest_s)} to {_span(course.longest_s)}"
    shape = f"{course.experiments} experiment(s), {course.steps} steps"
    lines = [f"{shape}; {bounds}, start and deletion included; up to about {course.requests:,} requests"]
    if course.longest_usd is not None and course.shortest_usd is not None:
        limit = plan.budget.max_spend_usd
        allowed = f"; allowed are ${limit:.2f}" if limit is not None else ""
        lines.append(f"cost: ${course.shortest_usd:.2f} to ${course.longest_usd:.2f}{allowed}")
    lines.append(f"assumed: {'; '.join(course.assumptions)}")
    return lines


def show_inventory(found: Sequence[Found], clients: Clients) -> None:
    """Print a table of what is ours."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("kind", "name", "status", "age", "cost so far", "run", "owner", "known by"):
        table.add_column(column, overflow="fold")
    now = time.time()
    for one in found:
        item = _priced(one.item, clients)
        cost = item.cost_usd(now) if item.kind == "endpoint" else None
        cells = (
            item.kind,
            item.name,
            one.status or "not seen",
            _span(now - item.created_at),
            "" if item.kind != "endpoint" else "no price" if cost is None else f"${cost:.2f}",
            item.run_id + (f" (live, process {one.live.pid})" if one.live else ""),
            item.owner + ("" if one.mine else " (not this machine)"),
            one.known_by,
        )
        table.add_row(*(Text(one_line(cell)) for cell in cells))  # tags are anybody's words
    Console().print(table)


def _priced(item: Item, clients: Clients) -> Item:
    """An endpoint found by its tags alone has no price in the ledger: look it up by its configuration."""
    if item.kind != "endpoint" or item.usd_per_hour is not None:
        return item
    try:
        endpoint = describe(clients, KINDS["endpoint"], item.name) or {}
        config = describe(clients, KINDS["endpoint-config"], endpoint.get("EndpointConfigName", item.name))
    except (ClientError, BotoCoreError):
        return item  # without a price it is listed all the same
    variants = (config or {}).get("ProductionVariants", [])
    if not variants or "InstanceType" not in variants[0]:
        return item
    kind, count = variants[0]["InstanceType"], variants[0].get("InitialInstanceCount", 1)
    found = quote(kind, clients.region, Price(), clients)
    return item.priced(kind, count, found.usd_per_hour)


def _fact(asked: Sequence[Found]) -> str:
    """What the user must know to answer for these: who created them, and which run goes on."""
    names = ", ".join(f"{one.item.kind} {one.item.name}" for one in asked)
    item, live = asked[0].item, asked[0].live
    if live is None:
        return f"{item.owner or 'An unknown owner'} created {names}."
    age = _span(time.time() - live.started_at)
    return (
        f"Run {item.run_id} of {item.owner} is going on, in process {live.pid} for {age} now "
        f"(`kill -INT {live.pid}` ends it in order and keeps what it measured). It has {names}."
    )


def confirmed(fact: str) -> bool:
    """The user's yes; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        click.echo(f"{printable(fact)} Not deleted: nobody is here to ask (ALL=1 deletes it too)")
        return False
    try:
        return click.confirm(f"{printable(fact)} Delete?", default=False)
    except click.Abort:  # the end of the input; Ctrl-C comes as a signal
        click.echo("no")
        return False


def _told(item: Item, state: str) -> None:
    result_console.print(f"{item.kind} {item.name}: {state}", markup=False)


def _mention(others: Sequence[Item]) -> None:
    if others:
        places = sorted({f"{item.region} of account {item.account} ({item.api})" for item in others})
        click.echo(
            f"the ledger also holds {len(others)} item(s) made elsewhere: {'; '.join(places)} "
            "(REGION= looks into another region)"
        )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


COMMANDS = {command.name: command for command in (plan_command, endpoints_command, teardown_command)}
