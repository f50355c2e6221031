"""Commands about endpoints: what a plan would do and cost, what of ours is there, and its removal."""

import click

COMMANDS: tuple[click.Command, ...] = ()
