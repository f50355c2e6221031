"""The command line. A user's mistake is reported in one sentence; a traceback is a bug in this program."""

import sys
from importlib import import_module

import click

from bench.json_lines import conclude, json_lines
from bench.options import usage_sentence
from common.errors import Setting, UserError
from common.exit_codes import ExitCode
from common.imports import without_collection
from common.streams import survive_lost_streams
from common.text import printable

COMMANDS = {
    "run": ("run", "quick", "rehearse", "ui", "master"),
    "worker": ("worker",),
    "report": ("report", "compare", "collect"),
    "mlflow": ("mlflow",),
    "trace": ("trace",),
    "deploy": ("plan", "endpoints", "teardown"),
    "fleet": ("fleet",),
    "calibrate": ("calibrate",),
}
"""Module of `bench.commands` → the commands in it."""

SETTINGS: dict[Setting, str] = {
    "results folder": "results",
    "plan": "plan",
    "instance type": "instance",
    "endpoint": "endpoint",
    "worker processes": "processes",
    "workers": "workers",
    "port": "port",
    "page port": "page",
    "metrics port": "metrics",
    "interface": "bind",
    "token": "token",
    "master host": "master",
    "region": "region",
    "price": "price",
    "spool": "spool",
    "image": "image",
    "subnets": "subnets",
}
"""A setting as the packages below name it → its option, which is a variable of make in capitals."""

HINTS: dict[Setting, str] = {
    "AWS credentials": (
        "or stay on this machine: `make bench` measures a local model, `make rehearse` plays a plan for AWS"
    ),
    "built payloads": "for example with `make setup`",
}
"""A setting that is not an option → what else the user can do here."""


class Commands(click.Group):
    """Imports a module only for its own commands: importing pandas would delay every error message."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of that name; None when there is none."""
        for module, names in COMMANDS.items():
            if name in names:
                return _commands(module, name)[name]
        return None


def _commands(module: str, name: str) -> dict[str, click.Command]:
    """The commands of a module of `bench.commands`; ``name`` is the one that was asked for.

    Raises:
        UserError: a package that they need is not installed, as in the image of worker hosts.
    """
    try:
        with without_collection():
            commands: dict[str, click.Command] = import_module(f"bench.commands.{module}").COMMANDS
    except ModuleNotFoundError as error:
        raise UserError(
            f"`llm-bench {name}` needs the Python package {error.name}, which is not installed",
            "install requirements.lock, or use the master's image: a worker's has only what a worker needs",
        ) from None
    return commands


def _print_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's order
    if asked:
        from bench.provenance import SUITE, suite_version  # noqa: PLC0415 - costs a start of git

        click.echo(f"{SUITE} {suite_version()}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Load-test LLMs on Amazon SageMaker: latency, cost, and one recommendation."""


def _with_setting(error: UserError) -> str:
    """The error's message, with the option that sets its setting or another hint."""
    if error.setting in HINTS:
        return f"{error}, {HINTS[error.setting]}"
    option = SETTINGS.get(error.setting) if error.setting else None
    return f"{error} ({option.upper()}= of make, --{option} of llm-bench)" if option else str(error)


def main() -> None:
    """Run the command line; ends the process."""
    survive_lost_streams()
    if "--json" not in sys.argv:
        sys.exit(_run())
    # Before the options are read: mistakes in them are a program's result, too.
    with json_lines(next((word for word in sys.argv[1:] if not word.startswith("-")), "")):
        code = _run()
        conclude(code)
    sys.exit(code)


def _run() -> int:
    """Run the command. Returns its exit code; says what is wrong where it is not 0."""
    try:
        code = cli.main(standalone_mode=False)
    except UserError as error:
        conclude(error.exit_code, error)
        click.echo(f"error: {printable(_with_setting(error))}", err=True)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.BAD_INPUT
    except click.UsageError as error:
        conclude(ExitCode.BAD_INPUT, sentence := usage_sentence(error))
        click.echo(f"error: {sentence}", err=True)
        return ExitCode.BAD_INPUT
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    return code if isinstance(code, int) else ExitCode.OK
