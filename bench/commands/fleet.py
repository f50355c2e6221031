"""A fleet of worker hosts on EC2: up, with its cost stated first, and down."""

import ipaddress
import secrets
import time

import click

from analysis.importers.command_line_prices import read_prices
from bench.commands.deploy import delete
from bench.json_lines import conclude, emit, json_option, say
from bench.options import NonEmptyText, WholeNumber
from bench.terminal import deploy_reporter, print_status
from common.errors import UserError
from common.exit_codes import ExitCode
from common.formatting import dollars, hourly_price
from common.parent_process import TOKEN_VARIABLE
from deploy.aws.clients import Clients
from deploy.lifecycle.fleet import create_fleet
from deploy.lifecycle.inventory import FLEET_KINDS
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.progress import OnProgress, Progress
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.preflight.account_checks import check_image_exists
from deploy.preflight.prices import host_quote
from deploy.spec.fleet_lookup import check_endpoint, check_registry, find_hardware, find_network
from deploy.spec.fleet_spec import TEMPLATE, FleetOptions, FleetSpec
from deploy.spec.owner import machine_owner, this_process
from runfolder.manifest import PriceQuote

_REMINDER_S = 60.0


@click.group("fleet", no_args_is_help=False)
def fleet() -> None:
    """Start worker hosts on EC2 for a master, and delete them."""


@fleet.command()
@click.option(
    "--endpoint", type=NonEmptyText(), required=True, help="Endpoint under load; the hosts invoke no other."
)
@click.option("--master", type=NonEmptyText(), required=True, help="IPv4 address of the master in the VPC.")
@click.option("--image", type=NonEmptyText(), required=True, help="URI of the worker image in ECR.")
@click.option(
    "--subnets", type=NonEmptyText(), required=True, help="Two private subnets, separated by a comma."
)
@click.option("--hosts", type=WholeNumber(1, 100), default=2, show_default=True, help="Number of hosts.")
@click.option(
    "--instance", type=NonEmptyText(), default="c7i.xlarge", show_default=True, help="EC2 instance type."
)
@click.option(
    "--minutes",
    type=WholeNumber(10, 1440),
    default=240,
    show_default=True,
    help="Minutes after which each host terminates itself.",
)
@click.option(
    "--processes", type=WholeNumber(1, 192), help="Load generators on each host.  [default: one per vCPU]"
)
@click.option(
    "--port", type=WholeNumber(1, 65_534), default=5557, show_default=True, help="Port of the master."
)
@click.option("--price", type=NonEmptyText(), help="Dollars per hour of one host.  [default: AWS's price]")
@click.option("--region", type=NonEmptyText(), help="AWS region of the endpoint.")
@click.option("--token", envvar=TOKEN_VARIABLE, help="Token of the master's run; generated if not given.")
@json_option
def up(
    *,
    endpoint: str,
    master: str,
    image: str,
    subnets: str,
    hosts: int,
    instance: str,
    minutes: int,
    processes: int | None,
    port: int,
    price: str | None,
    region: str | None,
    token: str | None,
) -> int:
    """Start worker hosts on EC2. They end with their master's run, or after --minutes."""
    options = FleetOptions(
        endpoint, image, _address(master), port, _two(subnets), hosts, instance, minutes, processes
    )
    clients, ledger = Clients.from_environment(region), Ledger()
    spec, quote = _checked(options, price, clients)
    say(
        f"{hosts} × {instance} at {hourly_price(spec.usd_per_hour)} per hour ({quote.source}): "
        f"at most {dollars(spec.max_usd)} in {minutes} minutes"
    )
    try:
        with orderly_exit():
            create_fleet(
                spec,
                token or secrets.token_hex(16),
                TEMPLATE.read_text(encoding="utf-8"),
                clients,
                ledger,
                on_progress=_reporter(spec),
            )
    except Interrupted as stop:
        left = (
            "everything was deleted"
            if not ledger.open_items(spec.run_id)
            else "`make fleet DOWN=1` deletes it"
        )
        print_status(f"interrupted by {stop}; {left}")
        return stop.exit_code
    command = _master_command(spec)
    say(f"start the master on {options.master_host}:\n  {command}\ndelete the hosts: make fleet DOWN=1")
    conclude(
        ExitCode.OK,
        fleet=spec.name,
        secret=spec.secret_name,
        workers=spec.workers,
        usd_per_hour=spec.usd_per_hour,
        max_usd=spec.max_usd,
        expires_at=spec.expires_at,
        master_command=command,
    )
    return ExitCode.OK


@fleet.command()
@click.option("--region", type=NonEmptyText(), help="AWS region to search.")
@click.option(
    "--all", "everyone", is_flag=True, help="Also delete the fleets of other machines, without asking."
)
@json_option
def down(region: str | None, *, everyone: bool) -> int:
    """Delete the fleets that this suite created, and their secrets. Safe to repeat."""
    return delete(region, everyone=everyone, kinds=FLEET_KINDS)


def _address(text: str) -> str:
    """The master's address.

    Raises:
        UserError: it is not an IPv4 address. The hosts' security group opens the master's ports to it alone.
    """
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise UserError(
            f"{text!r} is not an IPv4 address", "give the master's private address in the VPC", "master host"
        ) from None


def _two(text: str) -> tuple[str, str]:
    match [part.strip() for part in text.split(",")]:
        case [first, second] if first and second and first != second:
            return first, second
    raise UserError(f"{text!r} does not name two subnets", "separate them with a comma", "subnets")


def _checked(options: FleetOptions, price: str | None, clients: Clients) -> tuple[FleetSpec, PriceQuote]:
    """What to create and the price of a host, with everything checked that would make the hosts fail.

    Raises:
        UserError: a check failed. Nothing was created.
    """
    check_endpoint(options.endpoint, clients)
    check_registry(options.image, clients)
    check = check_image_exists(options.image, clients, "the URI")
    if check and check.level == "stop":
        raise UserError(check.finding, check.remedy, "image")
    hardware, network = find_hardware(options.instance_type, clients), find_network(options, clients)
    given = read_prices([price] if price else []).quote(options.instance_type)
    quote = given if given.usd_per_hour is not None else host_quote(options.instance_type, clients)
    if quote.usd_per_hour is None:
        raise UserError(
            f"the price of {options.instance_type} in {clients.region} is not known ({quote.source})",
            "give the dollars per hour, so that the cost is known before it starts",
            "price",
        )
    now = time.time()
    spec = FleetSpec(
        run_id=f"fleet-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(2)}",
        region=clients.region,
        owner=machine_owner(),
        process=str(this_process()),
        options=options,
        network=network,
        hardware=hardware,
        usd_per_hour=quote.usd_per_hour,
        created_at=now,
    )
    return spec, quote


def _reporter(spec: FleetSpec) -> OnProgress:
    """Print each new state for people, and every look for programs."""
    show = deploy_reporter(f"fleet {spec.name}", _REMINDER_S)

    def report(progress: Progress) -> None:
        show(progress)
        emit("resource", **progress.as_data())

    return report


def _master_command(spec: FleetSpec) -> str:
    """The command of the master. It reads the token where the hosts read it, so the token is not shown."""
    options = spec.options
    read = (
        f"aws secretsmanager get-secret-value --region {spec.region} --secret-id {spec.secret_name} "
        "--query SecretString --output text"
    )
    return (
        f"AWS_REGION={spec.region} {TOKEN_VARIABLE}=$({read}) make master ENDPOINT={options.endpoint} "
        f"WORKERS={spec.workers} BIND={options.master_host} PORT={options.master_port}"
    )


COMMANDS = {"fleet": fleet}
