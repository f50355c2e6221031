"""The locustfile: ``locust -f locustfiles/experiment.py --experiment FILE`` (see `launch`).

A worker needs this code and its own AWS credentials. It receives everything else from the master.
"""

from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.rpc.zmqrpc import BaseSocket
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from common.errors import UserError
from common.exit_codes import ExitCode
from common.parent_process import LOAD_PARENT_VARIABLE, TOKEN_VARIABLE, tie_to_parent
from common.streams import survive_lost_streams
from configs.experiment import Experiment
from locustfiles.encrypted_sockets import encrypt_connections
from locustfiles.master.coordinator import MasterCoordinator
from locustfiles.worker.load_worker import Worker
from locustfiles.worker.user import ExperimentUser, on_arrival, on_unsent_turn

__all__ = ["ExperimentUser", "Steps"]

logger = logging.getLogger(__name__)

if LOAD_PARENT_VARIABLE in os.environ:  # the load must not outlive the process that supervises it
    tie_to_parent(signal.SIGINT, LOAD_PARENT_VARIABLE)
    survive_lost_streams()  # its log may be on a full disk

if token := os.environ.get(TOKEN_VARIABLE):
    try:
        encrypt_connections(BaseSocket, token)
    except UserError as missing:
        sys.stderr.write(f"{missing}\n")
        sys.exit(ExitCode.BAD_INPUT)


class Steps(LoadTestShape):
    """Locust's shape class: passes on what `locustfiles.master.step_sequence` yields."""

    coordinator: ClassVar[MasterCoordinator | None] = None

    def tick(self) -> tuple[int, float] | None:
        """Users and spawn rate, or None at the end."""
        return None if self.coordinator is None else self.coordinator.tick()


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add ``--experiment``, on the command line only: a web form cannot use a path on the server."""
    parser.add_argument(
        "--experiment", default="", metavar="FILE", include_in_web_ui=False, help="experiment as JSON"
    )


def on_init(environment: Environment, runner: Any, **_: object) -> None:
    """Set up each process as coordinator, worker, or both."""
    worker = None
    if isinstance(runner, LocalRunner | WorkerRunner):
        worker = ExperimentUser.worker = Worker(environment, runner)
        worker.on_arrival = partial(on_arrival, environment)
        worker.on_unsent_turn = partial(on_unsent_turn, environment)
    if isinstance(runner, LocalRunner | MasterRunner):
        try:
            experiment = read_experiment(getattr(environment.parsed_options, "experiment", ""))
            Steps.coordinator = MasterCoordinator(environment, runner, experiment)
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(ExitCode.BAD_INPUT)
        Steps.coordinator.start()
    if worker is not None:
        worker.start()


def read_experiment(name: str) -> Experiment:
    """Read the experiment file.

    Raises:
        UserError: no file was given, or it cannot be read or is not an experiment.
    """
    if not name:
        raise UserError("no experiment was given", "pass --experiment FILE; `bench` writes this file")
    try:
        return Experiment.model_validate_json(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the experiment {name} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise UserError(f"{name} is not an experiment ({error.errors()[0]['msg']})") from None


hooks: Any = events  # Locust's hooks carry no types
hooks.init_command_line_parser.add_listener(add_arguments)
hooks.init.add_listener(on_init)
