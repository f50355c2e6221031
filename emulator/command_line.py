"""Run a command of the emulator: a mistake in its input is one sentence on stderr and exit code 2."""

import sys

import click

from common.errors import UserError
from common.exit_codes import ExitCode


def run_command(command: click.Command, program: str) -> int:
    """Run ``command`` on this process's arguments; the command returns nothing.

    Args:
        command: what to run.
        program: how a user calls it, for example ``python -m emulator``.

    Returns:
        The exit code: 0 on success and after ``--help``, 2 for a `UserError` or a mistake in the options.
    """
    try:
        command.main(prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        text = error.format_message().rstrip(".")
        print(f"{text[:1].lower()}{text[1:]}; see `{program} --help`", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.OK
