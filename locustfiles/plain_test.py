"""A plain Locust test: its options, and what happens in each process before its users start."""

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner
from locust.user import User

import logging
import sys
from pathlib import Path
from typing import Any

import gevent

from common.errors import UserError
from common.exit_codes import ExitCode
from locustfiles.master.run_recorder import RunRecording
from locustfiles.messages import READY
from locustfiles.shapes import offer_shapes
from locustfiles.worker.plain_user import PlainUser
from locustfiles.worker.user_process import UserProcess, region_of

logger = logging.getLogger(__name__)

_SEND_S = 0.1
"""Until a message has left."""


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the options of every test with a `PlainUser`."""
    parser.add_argument("--endpoint", default="", metavar="NAME", help="SageMaker endpoint to invoke")
    parser.add_argument("--region", default="", metavar="REGION", help="AWS region; default: the profile's")
    parser.add_argument(
        "--tokenizer", default="", metavar="FILE", include_in_web_ui=False,
        help="the model's tokenizer.json, to count the tokens of answers that state no count",
    )  # fmt: skip
    parser.add_argument(
        "--run-folder", default="", metavar="FOLDER", include_in_web_ui=False,
        help="write every invocation to this new folder; `make report RUN=FOLDER` makes a report of it",
    )  # fmt: skip


class PlainTest:
    """The tests that a process plays, one after the other: a web page may start several.

    Args:
        environment: Locust's.
        runner: Locust's, of this process.
    """

    def __init__(self, environment: Environment, runner: Any) -> None:
        self._environment = environment
        self._runner = runner
        self._options: Any = environment.parsed_options
        self._recording = (
            RunRecording(environment, runner) if isinstance(runner, LocalRunner | MasterRunner) else None
        )
        if isinstance(runner, LocalRunner | WorkerRunner):
            PlainUser._process = UserProcess(environment, runner)

    def prepare_early(self) -> None:
        """Prepare before the test where its options are known: a worker that prepares later starts late.

        Ends the process if the test cannot start.
        """
        options = self._options
        if options is None or not (options.headless or options.autostart or options.endpoint):
            return
        try:
            self._prepare()
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            self._tell_refusal(error)
            sys.exit(ExitCode.BAD_INPUT)

    def begin(self, **_: object) -> None:
        """Locust's event for the start of a test."""
        try:
            self._begin()
        except UserError as error:
            logger.error("%s", error)  # noqa: TRY400 - for a person
            self._environment.process_exit_code = ExitCode.BAD_INPUT
            self._tell_refusal(error)
            headless = isinstance(self._runner, WorkerRunner) or (
                self._options is not None and self._options.headless
            )
            gevent.spawn(self._runner.quit if headless else self._runner.stop)

    def _tell_refusal(self, error: UserError) -> None:
        """Let a worker tell the master why it cannot take part."""
        if isinstance(self._runner, WorkerRunner):
            refusal = {"client_id": self._runner.client_id, "error": str(error), "proxy": None}
            self._runner.send_message(READY, refusal)
            gevent.sleep(_SEND_S)

    def _classes(self) -> list[type[PlainUser]]:
        return [each for each in self._environment.user_classes if issubclass(each, PlainUser)]

    def _prepare(self) -> None:
        """Read the options, and make what the users of this process need.

        Raises:
            UserError: the test cannot start.
        """
        options, given = self._options, PlainUser._given
        given.endpoint = getattr(options, "endpoint", "")
        given.tokenizer = getattr(options, "tokenizer", "")
        classes = self._classes()
        for each in classes:
            if not each._endpoint_name():
                raise UserError(
                    f"no endpoint is named for {each.__name__}",
                    f"pass --endpoint, or set {each.__name__}.endpoint",
                )
            if each.region is None:
                given.region = region_of(getattr(options, "region", None))
        for each in classes:
            each.prepare(options)
            if not isinstance(self._runner, MasterRunner):
                each._prepare_target()

    def _begin(self) -> None:
        self._prepare()
        folder = getattr(self._options, "run_folder", "")
        if not isinstance(self._runner, MasterRunner):
            PlainUser._process.begin(recording=bool(folder))
        if self._recording is not None and folder:
            alone = len(self._environment.user_classes) == 1 and all(
                each.wait_time is User.wait_time for each in self._classes()
            )
            self._recording.begin(Path(folder), users_in_flight=alone)


def on_init(environment: Environment, runner: Any, **_: object) -> None:
    """Set up a process."""
    offer_shapes(environment)
    test = PlainTest(environment, runner)
    test.prepare_early()
    hooks: Any = environment.events  # Locust's hooks carry no types
    hooks.test_start.add_listener(test.begin)
    # The seconds of all imports and of this preparation would otherwise count for --run-time: gevent's timers
    # begin at the time of the loop's last round.
    gevent.get_hub().loop.update_now()
