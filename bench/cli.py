"""The command line. A user's mistake is one sentence and exit code 2; a traceback is a bug of ours."""

import sys

import click

from bench.commands import deploy, load, report, run
from configs.errors import UserError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Load tests for LLMs on Amazon SageMaker endpoints: true latency, true cost, one answer."""


for command in (*run.COMMANDS, *report.COMMANDS, *deploy.COMMANDS, *load.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Run the command line; ends the process."""
    try:
        code = cli.main(standalone_mode=False)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
