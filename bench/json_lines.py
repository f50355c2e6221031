"""Output for programs: a JSON object per line on stdout, the last one with the result. The rest: stderr."""

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import click

from bench.terminal import result_console
from common.errors import UserError
from common.exit_codes import ExitCode
from common.text import printable

Event = Literal[
    "run_started",
    "resource",
    "load_started",
    "progress",
    "step_ended",
    "search",
    "load_ended",
    "result",
]

_state: dict[str, Any] = {}
"""Of this process: ``result``, what the last line will hold, while this output is on."""


def is_on() -> bool:
    """Whether programs read stdout."""
    return "result" in _state


@contextmanager
def json_lines(command: str) -> Iterator[None]:
    """Turn the output on inside the block. Tables and sentences then go to stderr.

    Args:
        command: that makes the output.
    """
    _state["result"] = {"command": command}
    result_console.stderr = True
    try:
        yield
    finally:
        result_console.stderr = False
        _state.clear()


def say(text: str) -> None:
    """Print a result for people: on stderr while this output is on."""
    click.echo(printable(text), err=is_on())


def emit(event: Event, **values: Any) -> None:
    """Print an event, if this output is on.

    A reader that does not read must not hold up a run whose endpoint costs money: an event that stdout cannot
    take at once is dropped.
    """
    if is_on() and _is_writable():
        _print(event, values)


def add_to_result(**values: Any) -> None:
    """Keep values for the last line."""
    if is_on():
        _state["result"] |= values


def add_error(text: str | None) -> None:
    """Keep why the command fails, if it does."""
    if text is not None:
        add_to_result(error=_error(text))


def conclude(code: int, error: UserError | str | None = None, **values: Any) -> None:
    """Print the last line: what was kept for it, the exit code, and the error. Only the first call counts.

    Args:
        code: the exit code of the command.
        error: why it failed.
        values: more of the result.
    """
    if not is_on() or _state["result"] is None:
        return
    result, _state["result"] = _state["result"], None
    name = ExitCode(code).name.lower() if code in list(ExitCode) else None
    why = _error(error) or result.get("error")
    _print("result", {**result, **values, "exit_code": code, "exit_name": name, "error": why})


def _error(error: UserError | str | None) -> dict[str, Any] | None:
    if error is None:
        return None
    if isinstance(error, str):
        return {"finding": error, "remedy": None, "setting": None}
    return {"finding": error.finding, "remedy": error.remedy or None, "setting": error.setting}


def _print(event: Event, values: dict[str, Any]) -> None:
    line = json.dumps({"event": event, "time": time.time(), **values}, ensure_ascii=False, default=str)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _is_writable() -> bool:
    """Whether stdout takes a line now. A pipe that does has room for 4,096 bytes."""
    try:
        return os.name != "posix" or bool(select.select([], [sys.stdout], [], 0)[1])
    except (OSError, ValueError):  # not a file of the system
        return True


def _turn_on(context: click.Context, _option: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's order
    if asked and not is_on():
        context.with_resource(json_lines(context.info_name or ""))


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_turn_on,
    help="Print JSON lines for programs on stdout, everything else on stderr.",
)
"""The option of every command with an answer."""
