"""Who owns a resource: the user and host, and the process, which may still go on."""

import getpass
import os
import socket
from dataclasses import dataclass

import psutil

from deploy.spec.tags import tag_value

_SAME_START_S = 2.0
"""Two readings of one process's start differ by less: the kernel counts it from the boot."""


@dataclass(frozen=True)
class Process:
    """One process of one host. Ids are used again, so its start belongs to it."""

    host: str
    pid: int
    started_at: float
    """Epoch seconds."""

    def __str__(self) -> str:
        """As the ledger and the tag hold it: ``host:pid:start``."""
        return f"{self.host}:{self.pid}:{self.started_at:.2f}"

    @classmethod
    def parse(cls, text: str | None) -> "Process | None":
        """The process of a ledger's line or a tag; None where it names none."""
        try:
            host, pid, started_at = (text or "").rsplit(":", 2)
            return cls(host, int(pid), float(started_at))
        except ValueError:
            return None

    @property
    def is_here(self) -> bool:
        """Whether it ran on this host: only there can be seen whether it still does."""
        return self.host == this_host()

    @property
    def goes_on(self) -> bool:
        """Whether it is another process of this host that has not ended."""
        if not self.is_here or self.pid == os.getpid():
            return False
        try:
            found = psutil.Process(self.pid)
            ended = found.status() == psutil.STATUS_ZOMBIE
            return not ended and abs(found.create_time() - self.started_at) <= _SAME_START_S
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True  # it is there, and more of it may not be seen


def this_process() -> Process:
    """The process that asks."""
    return Process(this_host(), os.getpid(), psutil.Process().create_time())


def this_host() -> str:
    """This machine's name, in the characters of a tag."""
    return tag_value(socket.gethostname())


def machine_owner() -> str:
    """Who runs this, and where: ``user@host``. Teardown asks before it touches another's."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return tag_value(f"{user}@{this_host()}")
