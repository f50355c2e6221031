"""Types of the command line's values, and usage errors in one sentence each."""

import difflib
from pathlib import Path
from typing import Any

import click


class WholeNumber(click.ParamType[Any]):
    """A whole number within bounds."""

    name = "number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises click.BadParameter with the bounds."""
        try:
            number = int(value)
        except ValueError:
            number = self._least - 1
        if number < self._least or (self._most is not None and number > self._most):
            bounds = (
                f"of at least {self._least}" if self._most is None else f"from {self._least} to {self._most}"
            )
            self.fail(f"write a whole number {bounds}, not {value!r}", param, ctx)
        return number


class NonEmptyText(click.ParamType[Any]):
    """Text that is not empty: an empty ``--endpoint`` would deploy a new one."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without surrounding spaces. Raises click.BadParameter if nothing is left."""
        text = str(value).strip()
        if not text:
            self.fail("is empty; give it a value or leave it out", param, ctx)
        if not text.isprintable():
            self.fail("contains a line break or another control character", param, ctx)
        return text


class NonEmptyPath(click.ParamType[Any]):
    """A path that is not empty: an empty one would mean the current folder."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises click.BadParameter if it is empty."""
        text = str(value)
        if not text.strip():
            self.fail("is empty; give it a value or leave it out", param, ctx)
        if not text.isprintable():
            self.fail("contains a line break or another control character", param, ctx)
        return Path(text)


def usage_sentence(error: click.UsageError) -> str:
    """A usage error in one sentence that names the option and its make variable."""
    if isinstance(error, click.MissingParameter) and error.param:
        return f"{_option_name(error.param)} is missing; {_description(error.param)}"
    if isinstance(error, click.BadParameter) and error.param:
        return f"{_option_name(error.param)}: {error.message}"
    text = error.format_message().rstrip(".")
    command = error.ctx.command if error.ctx else None
    if isinstance(command, click.Group) and error.ctx and text.startswith("No such command"):
        given = next(iter(error.ctx.args), text.split("'")[1])
        close = difflib.get_close_matches(given, command.list_commands(error.ctx), n=1)
        return f"there is no command {given!r}" + (f"; did you mean {close[0]}?" if close else "")
    where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
    return f"{text[0].lower()}{text[1:]}{where}"


def _option_name(param: click.Parameter) -> str:
    if not isinstance(param, click.Option):
        return param.human_readable_name
    option = max(param.opts, key=len)
    return f"{option.removeprefix('--').upper()} ({option})"


def _description(param: click.Parameter) -> str:
    text = param.help if isinstance(param, click.Option) else None
    return f"it is the {text[0].lower()}{text[1:].rstrip('.')}" if text else "give it a value"
