"""The command of a worker host. It imports only what the worker image has."""

import click

from bench.distributed.run_announcer import RECONNECT_S
from bench.distributed.worker_host import serve
from bench.options import NonEmptyText, WholeNumber
from bench.terminal import print_status
from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from deploy.lifecycle.signals import Interrupted, orderly_exit

port_option = click.option(
    "--port",
    type=WholeNumber(1, 65_534),
    default=5557,
    show_default=True,
    help="Port of the master; the next one is used too.",
)


@click.command()
@click.option("--master", "host", type=NonEmptyText(), required=True, help="Host of the master.")
@port_option
@click.option("--processes", type=WholeNumber(1), help="Locust worker processes on this machine.")
@click.option(
    "--reconnect",
    type=WholeNumber(1),
    default=int(RECONNECT_S),
    show_default=True,
    help="Seconds to try again after the connection to the master was lost.",
)
@click.option("--token", envvar=TOKEN_VARIABLE, help="Token of the master's run, which `make master` prints.")
def worker(host: str, port: int, processes: int | None, reconnect: int, token: str | None) -> int:
    """Join a master as a load worker until its run ends. Needs its own AWS credentials."""
    if "/" in host or host.count(":") == 1:
        raise UserError(
            f"{host!r} is not a host name",
            "give the host alone, and its port separately",
            "master host",
        )
    if not token:
        raise UserError(
            "the token of the run is missing",
            "copy the command that `make master` prints, or give both your own token",
            "token",
        )
    try:
        with orderly_exit():
            return serve(host, port, token, processes, reconnect)
    except Interrupted as stop:
        print_status(f"interrupted by {stop}")
        return stop.exit_code


COMMANDS = {"worker": worker}
