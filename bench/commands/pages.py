"""Pages and exports beside a run: the live page, the metrics for Prometheus, and OpenTelemetry."""

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from bench.monitoring.otlp_environment import export_interval_s
from bench.options import NonEmptyText, WholeNumber
from bench.prepare import RunOptions
from bench.run import run_plan
from bench.terminal import print_status
from common.errors import Setting, UserError
from common.parent_process import TOKEN_VARIABLE
from configs.plan import Plan

if TYPE_CHECKING:
    from bench.live_page.server import Address

page_host_option = click.option(
    "--bind",
    type=NonEmptyText(),
    default="127.0.0.1",
    show_default=True,
    help="Interface of the page. On another one than this machine's loopback, a login is needed.",
)
page_password_option = click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    help="Password of the page where others can open it; generated if not given.",
)
metrics_option = click.option(
    "--metrics",
    type=WholeNumber(1, 65_535),
    help="Port of a page with metrics for Prometheus; none if not given.",
)


def metrics_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of a page with metrics."""
    return metrics_option(page_host_option(page_password_option(command)))


def play_plan(
    plan: Plan,
    options: RunOptions,
    metrics: int | None = None,
    host: str = "127.0.0.1",
    token: str | None = None,
) -> int:
    """Play a plan, and let other programs have its metrics.

    Args:
        plan: to play.
        options: how.
        metrics: port of a page with the metrics; None for none.
        host: its interface.
        token: its password where others can open it.

    Raises:
        UserError: as `run_plan`; or the metrics cannot be had as they are asked for.
    """
    if metrics is None:
        if host != "127.0.0.1":
            raise UserError(
                f"{host} is the interface of a page, and there is none",
                "give the page's port",
                "metrics port",
            )
        with _exporting(options):
            return run_plan(plan, options)
    from bench.live_page.server import METRICS, metrics_page  # noqa: PLC0415 - loads Flask

    address = address_of(metrics, host, token, "metrics port")
    with metrics_page(options.view, address), _exporting(options):
        print_status(f"metrics: {address.url(METRICS)}")
        _print_login(address, token)
        return run_plan(plan, options)


def _exporting(options: RunOptions) -> AbstractContextManager[None]:
    """Send the metrics where OpenTelemetry's environment variables say, if they say so.

    Raises:
        UserError: they ask for something that this program cannot do.
    """
    interval_s = export_interval_s(os.environ)
    if interval_s is None:
        return nullcontext()
    from bench.monitoring.otlp import exporting  # noqa: PLC0415 - loads OpenTelemetry

    return exporting(lambda: options.view.facts, interval_s)


def address_of(port: int, host: str, token: str | None, setting: Setting) -> "Address":
    """Where a page is served, with a password if others can open it: the token, or a new one."""
    from bench.live_page.server import LOOPBACK, Address  # noqa: PLC0415 - loads Flask

    password = None if host == LOOPBACK else token or secrets.token_urlsafe(16)
    return Address(port, host, password, setting)


def _print_login(address: "Address", token: str | None) -> None:
    from bench.live_page.server import USER  # noqa: PLC0415 - loads Flask

    if address.password is not None and token is None:
        print_status(f"log in there as {USER} with the password {address.password}")


def watched(
    plan: Plan, options: RunOptions, address: "Address", token: str | None, metrics: int | None = None
) -> int:
    """Play a plan with the live page, which stays after the run unless a signal has ended it."""
    from bench.live_page.server import live_page, stay_until_closed  # noqa: PLC0415 - loads Flask

    view = options.view
    with live_page(view, address):
        print_status(f"live page: {view.address}")
        _print_login(address, token)
        code = play_plan(plan, options, metrics)
        view.exit_code = code
        view.enter("ended")
        if view.stopped or not view.signaled:
            stay_until_closed(view)
    return code
