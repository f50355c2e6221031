"""A command of `bench`, played in this process."""

from dataclasses import dataclass

import click
from click.testing import CliRunner

from bench.cli import cli
from common.errors import UserError


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    error: str


def bench(*arguments: str) -> Done:
    """Run a command in this process, where and as whom the test has put it."""
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli, arguments, standalone_mode=False)
    if result.exception is None:
        return Done(result.return_value or 0, result.stdout, "")
    if isinstance(result.exception, UserError):
        return Done(result.exception.exit_code, result.stdout, str(result.exception))
    if isinstance(result.exception, click.Abort):
        return Done(130, result.stdout, "")
    raise result.exception
