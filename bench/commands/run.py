"""Commands that play a plan: run, quick, rehearse, ui, master."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from bench.commands.pages import (
    address_of,
    metrics_option,
    metrics_options,
    page_host_option,
    page_password_option,
    play_plan,
    watched,
)
from bench.commands.worker import port_option
from bench.json_lines import json_option
from bench.locust_process import LoadOptions
from bench.options import NonEmptyPath, NonEmptyText, WholeNumber
from bench.prepare import RunOptions
from bench.quick import ENDPOINT_PLAN, LOCAL_PLAN, quick_plan
from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from configs.plan import Plan
from configs.reading import read_plan

CONFIGS = Path(__file__).parents[2] / "configs"
AWS_PLAN = CONFIGS / "llama2-7b-g5.yml"
SEARCH_PLAN = CONFIGS / "search.yml"


class PlanChoice(TypedDict):
    """The options that choose a plan and the folder of its results."""

    plan: Path | None
    instance: str | None
    endpoint: str | None
    results: Path
    processes: int | None
    search: bool


def plan_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every command with a plan has."""
    options = [
        click.option("--plan", type=NonEmptyPath(), help="Plan file (YAML)."),
        click.option(
            "--instance", type=NonEmptyText(), help="Instance type, or several separated by commas."
        ),
        click.option(
            "--endpoint",
            type=NonEmptyText(),
            help="Existing endpoint to use. It is never changed or deleted.",
        ),
        click.option(
            "--results",
            type=NonEmptyPath(),
            default="results",
            show_default=True,
            help="Folder for the run folders.",
        ),
        click.option("--processes", type=WholeNumber(1), help="Locust worker processes on this machine."),
        click.option(
            "--search",
            is_flag=True,
            help="Search for the highest load under the SLO, between the plan's lowest and highest level.",
        ),
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_plan(choice: PlanChoice, default: Path = LOCAL_PLAN) -> tuple[Plan, Path]:
    """The plan that the options choose, with their overrides, and its file."""
    if choice["plan"]:
        path = choice["plan"]
    elif choice["endpoint"]:
        path = ENDPOINT_PLAN
    else:
        path = AWS_PLAN if choice["instance"] else SEARCH_PLAN if choice["search"] else default
    overrides: dict[str, Any] = {}
    if choice["instance"]:
        overrides["endpoint.instance_type"] = _instance_types(choice["instance"])
    if choice["endpoint"]:
        overrides["endpoint.name"] = choice["endpoint"]
    return read_plan(path, overrides, search=choice["search"]), path


def _instance_types(text: str) -> list[str]:
    """Split instance types at their commas.

    Raises:
        UserError: one of them is empty, or there is a space in it.
    """
    types = [part.strip() for part in text.split(",")]
    if wrong := next((kind for kind in types if " " in kind), None):
        raise UserError(
            f"{wrong!r} is not an instance type", "separate several types with commas", "instance type"
        )
    if "" in types:
        raise UserError(
            f"an instance type is missing before or after a comma in {text!r}",
            "remove the comma",
            "instance type",
        )
    return types


@click.command()
@plan_options
@metrics_options
def run(*, metrics: int | None, bind: str, token: str | None, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan: deploy, sweep, report, delete."""
    plan, path = chosen_plan(choice)
    load = LoadOptions(processes=choice["processes"])
    return play_plan(plan, RunOptions(choice["results"], load, path), metrics, bind, token)


@click.command()
@click.option(
    "--endpoint",
    type=NonEmptyText(),
    help="Existing endpoint to check. It is never changed or deleted. Default: the model on this machine.",
)
@click.option("--component", type=NonEmptyText(), help="Inference component on the endpoint.")
@click.option(
    "--results",
    type=NonEmptyPath(),
    default="results",
    show_default=True,
    help="Folder for the run folder.",
)
@json_option
def quick(*, endpoint: str | None, component: str | None, results: Path) -> int:
    """Check one endpoint in a minute: does it work, and how fast?"""
    if component and not endpoint:
        raise UserError("a component is part of an endpoint", "name its endpoint too", "endpoint")
    return play_plan(quick_plan(endpoint, component), RunOptions(results, LoadOptions(), quick=True))


@click.command()
@plan_options
@click.option("--full", is_flag=True, help="Keep the plan's windows instead of shortening them.")
@metrics_options
def rehearse(
    *, full: bool, metrics: int | None, bind: str, token: str | None, **choice: Unpack[PlanChoice]
) -> int:
    """Rehearse a SageMaker plan on this machine, at no cost.

    A simulated container answers, and the windows are shortened.
    """
    plan, path = chosen_plan(choice, AWS_PLAN)
    if plan.model.source == "local":
        raise UserError(
            f"{path}: model.source is local, so there is nothing to rehearse",
            "run `make bench`, which plays it on this machine",
        )
    if plan.endpoint.name:
        raise UserError("an existing endpoint cannot be rehearsed", "leave the endpoint out", "endpoint")
    load = LoadOptions(processes=choice["processes"])
    options = RunOptions(choice["results"], load, path, rehearse=True, full_windows=full)
    return play_plan(plan, options, metrics, bind, token)


@click.command()
@plan_options
@click.option(
    "--port", type=WholeNumber(1, 65_535), default=8089, show_default=True, help="Port of the live page."
)
@page_host_option
@page_password_option
def ui(*, port: int, bind: str, token: str | None, **choice: Unpack[PlanChoice]) -> int:
    """Play a plan, with a live page in the browser."""
    plan, path = chosen_plan(choice)
    load = LoadOptions(processes=choice["processes"])
    options = RunOptions(choice["results"], load, path)
    return watched(plan, options, address_of(port, bind, token, "port"), token)


@click.command()
@plan_options
@click.option(
    "--workers",
    type=WholeNumber(1),
    default=2,
    show_default=True,
    help="Workers to wait for before deploying.",
)
@port_option
@click.option(
    "--bind",
    type=NonEmptyText(),
    default=LoadOptions.master_host,
    show_default=True,
    help="Interface to which workers connect.",
)
@click.option(
    "--token", envvar=TOKEN_VARIABLE, help="Secret shared with the workers; generated if not given."
)
@click.option(
    "--page", type=WholeNumber(1, 65_535), help="Port of the live page on this machine; none if not given."
)
@metrics_option
def master(
    *,
    workers: int,
    port: int,
    bind: str,
    token: str | None,
    page: int | None,
    metrics: int | None,
    **choice: Unpack[PlanChoice],
) -> int:
    """Play a plan with load from several hosts."""
    plan, path = chosen_plan(choice)
    if choice["processes"]:
        raise UserError(
            "the master generates no load, so it has no worker processes",
            "give their number to `make worker`",
            "worker processes",
        )
    load = LoadOptions("master", expect_workers=workers, master_port=port, master_host=bind)
    load = replace(load, token=token) if token else load
    options = RunOptions(choice["results"], load, path)
    if page is None:
        return play_plan(plan, options, metrics)
    return watched(plan, options, address_of(page, "127.0.0.1", None, "page port"), None, metrics)


COMMANDS = {command.name: command for command in (run, quick, rehearse, ui, master)}
