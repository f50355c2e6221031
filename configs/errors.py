"""The one exception that stands for a user's mistake."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can mend: one clear sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """


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
