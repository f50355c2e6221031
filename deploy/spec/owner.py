"""Who owns a resource: a user and host, and the process, which may still be running."""

import getpass
import os
import socket
from dataclasses import dataclass

import psutil

from deploy.spec.tags import tag_value

_SAME_START_S = 2.0
"""Two readings of one process's start time differ by less than this: the kernel counts from boot."""


@dataclass(frozen=True)
class Process:
    """One process of one host. Its start time is part of its identity, because process ids are reused."""

    host: str
    pid: int
    started_at: float
    """Epoch seconds."""

    def __str__(self) -> str:
        """The form in the ledger and the tag: ``host:pid:start``."""
        return f"{self.host}:{self.pid}:{self.started_at:.2f}"

    @classmethod
    def parse(cls, text: str | None) -> "Process | None":
        """The process in a ledger line or a tag; None where it does not name one."""
        try:
            host, pid, started_at = (text or "").rsplit(":", 2)
            return cls(host, int(pid), float(started_at))
        except ValueError:
            return None

    @property
    def is_local(self) -> bool:
        """Whether it is of this host, the only one where this program can tell if it is still running."""
        return self.host == this_host()

    @property
    def is_running(self) -> bool:
        """Whether it is another process of this host and has not ended."""
        if not self.is_local or self.pid == os.getpid():
            return False
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            return not ended and abs(process.create_time() - self.started_at) <= _SAME_START_S
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True  # it exists, but may not be inspected


def this_process() -> Process:
    """The current process."""
    return Process(this_host(), os.getpid(), psutil.Process().create_time())


def this_host() -> str:
    """This machine's name, in characters that a tag may have."""
    return tag_value(socket.gethostname())


def machine_owner() -> str:
    """The user and host, as ``user@host``. Teardown asks before it deletes what others created."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return tag_value(f"{user}@{this_host()}")
