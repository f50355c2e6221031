"""Errors that are reported to the user in one sentence, without a traceback."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from common.exit_codes import ExitCode

Setting = Literal[
    "results folder",
    "plan",
    "instance type",
    "endpoint",
    "worker processes",
    "workers",
    "port",
    "page port",
    "metrics port",
    "interface",
    "token",
    "master host",
    "region",
    "price",
    "AWS credentials",
    "built payloads",
    "spool",
    "image",
    "subnets",
]
"""A setting that a user changes to correct a mistake; the command line adds how to set it."""


class UserError(Exception):
    """A mistake that the user can correct.

    The command line prints ``finding; remedy`` without a traceback and exits with ``exit_code``.

    Args:
        finding: what is wrong; it names the thing.
        remedy: what to do about it; empty where the finding says it all.
        setting: the setting that the remedy changes, where it is one of the command line's.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BAD_INPUT
    """Nothing was started."""

    def __init__(self, finding: str, remedy: str = "", setting: Setting | None = None) -> None:
        super().__init__(finding, remedy)
        self.finding = finding
        self.remedy = remedy
        self.setting = setting

    def __str__(self) -> str:
        return f"{self.finding}; {self.remedy}" if self.remedy else self.finding


class StartedError(UserError):
    """A failure after something was started. It is reported in the same way; the plan may be correct."""

    exit_code = ExitCode.FAILED


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Report a file that cannot be written in one sentence. The usual cause is a full disk.

    Raises:
        UserError: instead of an ``OSError`` of the block.
    """
    try:
        yield
    except OSError as error:
        cause = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise UserError(
            f"{path} cannot be written: {cause}; what was written before is kept",
            "free disk space, or choose another results folder",
            "results folder",
        ) from None
