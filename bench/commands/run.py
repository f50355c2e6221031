"""Commands that play a plan: run, rehearse, ui, master; and worker, which helps a master."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from bench.distributed.worker_host import serve
from bench.locust_process import LoadOptions
from bench.options import Filled, FilledPath, WholeNumber
from bench.run import RunOptions, play
from bench.terminal import say
from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from configs.loading import load_plan
from configs.plan import Plan
from deploy.lifecycle.signals import Interrupted, orderly_exit

CONFIGS = Path(__file__).parents[2] / "configs"
LOCAL_PLAN = CONFIGS / "local.yml"
AWS_PLAN = CONFIGS / "llama2-7b-g5.yml"
ENDPOINT_PLAN = CONFIGS / "endpoint.yml"


class PlanChoice(TypedDict):
    """The options that choose a plan and where its results go."""

    plan: Path | None
    instance: str | None
    endpoint: str | None
    results: Path
    processes: int | None


def plan_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every playing command has."""
    options = [
        click.option("--plan", type=FilledPath(), help="The plan, a YAML file."),
        click.option("--instance", type=Filled(), help="Instance type; several with commas."),
        click.option(
            "--endpoint", type=Filled(), help="An endpoint that exists: used, never changed or deleted."
        ),
        click.option(
            "--results",
            type=FilledPath(),
            default="results",
            show_default=True,
            help="Folder of the run folders.",
        ),
        click.option("--processes", type=WholeNumber(1), help="Worker processes on this machine."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_plan(choice: PlanChoice, default: Path = LOCAL_PLAN) -> tuple[Plan, Path]:
    """The plan that the options mean, with their overrides, and its file."""
    if choice["plan"]:
        path = choice["plan"]
    elif choice["endpoint"]:
        path = ENDPOINT_PLAN
    else:
        path = AWS_PLAN if choice["instance"] else default
    overrides: dict[str, Any] = {}
    if choice["instance"]:
        overrides["endpoint.instance_type"] = _instance_types(choice["instance"])
    if choice["endpoint"]:
        overrides["endpoint.name"] = choice["endpoint"]
    return load_plan(path, overrides), path


def _instance_types(text: str) -> list[str]:
    """Instance types with commas between them.

    Raises:
        UserError: one of them is empty, or there is a space in it.
    """
    types = [part.strip() for part in text.split(",")]
    if wrong := next((kind for kind in types if " " in kind), None):
        raise UserError(f"INSTANCE={text}: {wrong!r} is not one type; separate types with commas")
    if "" in types:
        raise UserError(f"INSTANCE={text}: a type is missing beside a comma; leave the comma out")
    return types


@click.command()
@plan_options
def run(**choice: Unpack[PlanChoice]) -> int:
    """Play a plan: deploy, sweep, report, delete."""
    plan, path = chosen_plan(choice)
    load = LoadOptions(processes=choice["processes"])
    return play(plan, RunOptions(choice["results"], load, path))


@click.command()
@plan_options
@click.option("--full", is_flag=True, help="Keep the plan's windows instead of shortening them.")
def rehearse(*, full: bool, **choice: Unpack[PlanChoice]) -> int:
    """Play a SageMaker plan on this machine with a simulated container, before money is spent."""
    plan, path = chosen_plan(choice, AWS_PLAN)
    if plan.model.source == "local":
        raise UserError(
            f"{path}: model.source is local, there is nothing to rehearse; `make bench` plays it here"
        )
    if plan.endpoint.name:
        raise UserError("endpoint.name: an endpoint that exists cannot be rehearsed; leave ENDPOINT out")
    load = LoadOptions(processes=choice["processes"])
    return play(plan, RunOptions(choice["results"], load, path, rehearse=True, full_windows=full))


@click.command()
@plan_options
@click.option("--port", type=WholeNumber(1, 65_535), default=8089, show_default=True)
def ui(*, port: int, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan live in Locust's web UI."""
    plan, path = chosen_plan(choice)
    say(f"Locust's web UI: http://127.0.0.1:{port} (it ends with the sweep, and so does the endpoint)")
    load = LoadOptions("ui", processes=choice["processes"], web_port=port)
    return play(plan, RunOptions(choice["results"], load, path))


@click.command()
@plan_options
@click.option("--workers", type=WholeNumber(1), default=2, show_default=True, help="Wait for this many.")
@click.option("--port", type=WholeNumber(1, 65_534), default=5557, show_default=True)
@click.option(
    "--bind",
    type=Filled(),
    default=LoadOptions.master_host,
    show_default=True,
    help="Interface on which workers reach it.",
)
@click.option("--token", envvar=TOKEN_VARIABLE, help="What workers must have; made up when not given.")
def master(*, workers: int, port: int, bind: str, token: str | None, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan with load from several hosts."""
    plan, path = chosen_plan(choice)
    if choice["processes"]:
        raise UserError("PROCESSES is a worker's: give it to `make worker`, the master makes no load")
    load = LoadOptions("master", expect_workers=workers, master_port=port, master_host=bind)
    load = replace(load, token=token) if token else load
    return play(plan, RunOptions(choice["results"], load, path))


@click.command()
@click.option("--master", "host", type=Filled(), required=True, help="Host of the master.")
@click.option("--port", type=WholeNumber(1, 65_534), default=5557, show_default=True)
@click.option("--processes", type=WholeNumber(1), help="Worker processes on this machine.")
@click.option("--token", envvar=TOKEN_VARIABLE, help="The token of the master's run.")
def worker(host: str, port: int, processes: int | None, token: str | None) -> int:
    """Make load for a master, whenever it comes, until its run is over; needs AWS credentials of its own."""
    if "/" in host or host.count(":") == 1:
        raise UserError(f"MASTER={host}: give the host alone; its port goes into PORT=")
    if not token:
        raise UserError(
            "TOKEN= is missing: copy the command that `make master` prints, or give both a token of your own"
        )
    try:
        with orderly_exit():
            return serve(host, port, token, processes)
    except Interrupted as stop:
        say(f"interrupted by {stop}")
        return stop.exit_code


COMMANDS = {command.name: command for command in (run, rehearse, ui, master, worker)}
