"""Commands that play a plan: run, rehearse, ui, master; and worker, which helps a master."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from bench.conductor import RunOptions, play
from bench.load import LoadOptions
from bench.screen import say
from bench.worker import serve
from configs.errors import UserError
from configs.loading import load_plan
from configs.plan import Plan
from deploy.signals import Interrupted, orderly_exit

CONFIGS = Path(__file__).parents[2] / "configs"
LOCAL_PLAN = CONFIGS / "local.yml"
AWS_PLAN = CONFIGS / "llama2-7b-g5.yml"


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
        click.option("--plan", type=click.Path(path_type=Path), help="The plan, a YAML file."),
        click.option("--instance", help="Instance type; several with commas. Without a plan: the AWS plan."),
        click.option("--endpoint", help="An endpoint that exists: used, never changed or deleted."),
        click.option(
            "--results",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("results"),
            show_default=True,
        ),
        click.option("--processes", type=click.IntRange(1), help="Worker processes on this machine."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_plan(choice: PlanChoice, default: Path = LOCAL_PLAN) -> tuple[Plan, Path]:
    """The plan that the options mean, with their overrides, and its file."""
    named = choice["instance"] or choice["endpoint"]
    path = choice["plan"] or (AWS_PLAN if named else default)
    overrides: dict[str, Any] = {}
    if choice["instance"]:
        overrides["endpoint.instance_type"] = [part.strip() for part in choice["instance"].split(",")]
    if choice["endpoint"]:
        overrides["endpoint.name"] = choice["endpoint"]
    return load_plan(path, overrides), path


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
@click.option("--port", type=click.IntRange(1, 65535), default=8089, show_default=True)
def ui(*, port: int, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan live in Locust's web UI."""
    plan, path = chosen_plan(choice)
    say(f"Locust's web UI: http://127.0.0.1:{port} (it ends with the sweep, and so does the endpoint)")
    load = LoadOptions("ui", processes=choice["processes"], web_port=port)
    return play(plan, RunOptions(choice["results"], load, path))


@click.command()
@plan_options
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Wait for this many.")
@click.option("--port", type=click.IntRange(1, 65534), default=5557, show_default=True)
@click.option("--bind", default="0.0.0.0", show_default=True, help="Interface on which workers reach it.")  # noqa: S104 - workers are on other hosts
def master(*, workers: int, port: int, bind: str, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan with load from several hosts."""
    plan, path = chosen_plan(choice)
    if choice["processes"]:
        raise UserError("PROCESSES is a worker's: give it to `make worker`, the master makes no load")
    load = LoadOptions("master", expect_workers=workers, master_port=port, master_host=bind)
    return play(plan, RunOptions(choice["results"], load, path))


@click.command()
@click.option("--master", "host", required=True, help="Host of the master.")
@click.option("--port", type=click.IntRange(1, 65534), default=5557, show_default=True)
@click.option("--processes", type=click.IntRange(1), help="Worker processes on this machine.")
def worker(host: str, port: int, processes: int | None) -> int:
    """Make load for a master, whenever it comes, until its run is over; needs AWS credentials of its own."""
    try:
        with orderly_exit():
            return serve(host, port, processes)
    except Interrupted as stop:
        say(f"interrupted by {stop}")
        return stop.exit_code


COMMANDS = {command.name: command for command in (run, rehearse, ui, master, worker)}
