"""What is told to the user in one sentence, without a traceback."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class UserError(Exception):
    """A mistake that the user can mend: one clear sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with ``exit_code``.
    """

    exit_code: ClassVar[int] = 2
    """Nothing was started."""


class StartedError(UserError):
    """What went wrong after something was started: told in the same way, but no mistake in the plan."""

    exit_code = 1


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A file that cannot be written is told in one sentence: the disk is full, more often than not.

    Raises:
        UserError: instead of an ``OSError`` of the block.
    """
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise UserError(
            f"{path} cannot be written: {what}. What is there is kept; make room, or name another folder "
            "with RESULTS="
        ) from None
