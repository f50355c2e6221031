"""Commands about this machine's load generator."""

import click

COMMANDS: tuple[click.Command, ...] = ()
