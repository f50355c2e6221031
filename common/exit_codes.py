"""The exit codes of the command line, of the load it starts, and of a worker (see `docs/run-folder.md`)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. A signal that ended it has 128 plus its number, by the shell's convention."""

    OK = 0
    """All steps are complete; every check passed."""
    FAILED = 1
    """A deploy, a load or a deletion failed, or a report could not be written. Of `compare`: a regression."""
    BAD_INPUT = 2
    """A mistake in the plan, the account or on this machine; nothing was started."""
    INCOMPLETE = 3
    """Some steps are incomplete."""
    REFUSED = 4
    """The endpoint refused the requests."""
    ALL_VOID = 5
    """All steps ran, but none has figures to rely on."""
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143
