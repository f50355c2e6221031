"""What every container process shares: its two options, its port, and its end.

Import only in a process whose first act was ``gevent.monkey.patch_all()``.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import click
import gevent

from common.errors import UserError
from emulator.http import App, make_server

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"


def container_options(function: Callable[..., None]) -> Callable[..., Any]:
    """Add the options that `emulator.hosting` passes: ``--image`` and ``--instance-type``."""
    function = click.option(
        "--instance-type", default="", metavar="TYPE", help="Instance type to stand in for."
    )(function)
    return click.option("--image", default="", metavar="URI", help="Image to stand in for.")(function)


def serve_container(app: App) -> None:
    """Serve ``app`` on the port that SageMaker assigned, until SIGTERM.

    Raises:
        UserError: the port is missing or not a port number.
    """
    text = os.environ.get(PORT_VARIABLE, "")
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        finding = f"{PORT_VARIABLE} is not a port number: {text!r}" if text else f"{PORT_VARIABLE} is not set"
        raise UserError(finding, "set it to the port to listen on")
    server = make_server(app, "127.0.0.1", int(text))
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
