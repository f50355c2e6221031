"""What every container process shares: its port, its errors, and its end.

Import only in a process whose first act was ``gevent.monkey.patch_all()``.
"""

import os
import signal
import sys
from collections.abc import Callable

import gevent

from common.errors import UserError
from common.exit_codes import ExitCode
from common.parent_process import tie_to_parent
from common.streams import survive_lost_streams
from emulator.http import App, make_server

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"


def run_container(make_app: Callable[[], App], label: str) -> int:
    """Serve until SIGTERM or the parent's death; a mistake in the environment is one sentence on stderr.

    Args:
        make_app: reads the environment and prepares the container. Raises UserError.
        label: the start of an error message, as the emulator's processes share its stderr.

    Returns:
        The exit code.
    """
    survive_lost_streams()
    tie_to_parent(signal.SIGKILL)
    try:
        _serve(make_app())
    except UserError as error:
        print(f"{label}: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


def _serve(app: App) -> None:
    text = os.environ.get(PORT_VARIABLE, "")
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        finding = f"{PORT_VARIABLE} is not a port number: {text!r}" if text else f"{PORT_VARIABLE} is not set"
        raise UserError(finding, "set it to the port to listen on")
    server = make_server(app, "127.0.0.1", int(text))
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
