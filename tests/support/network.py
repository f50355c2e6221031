"""Several hosts on this machine: network namespaces on one switch, made without names or files.

The namespaces end with their last process, so a test that is killed leaves nothing behind. Where a namespace
needs root, a user namespace gives it; `unavailable` says why it does not.

    with Network("master", "one") as network:
        process = subprocess.Popen([*network["one"].enter, "llm-bench", "worker", …])
        network["one"].cut()
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PROGRAMS = ("ip", "nsenter", "unshare")
_SUBNET = "10.77.0"
_WAIT_S = 20.0


@functools.cache
def unavailable() -> str | None:
    """Why this machine cannot make hosts; None if it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces need Linux"
    if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"network namespaces need {', '.join(missing)}"
    try:
        with Network("probe"):
            return None
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        return f"this machine allows no network namespaces: {output.strip()}"


@dataclass(frozen=True)
class Host:
    """One host of a `Network`."""

    name: str
    address: str
    port: str
    """Its port at the switch."""
    enter: tuple[str, ...]
    """Begins the command line of a process on this host."""
    _switch: tuple[str, ...]

    def cut(self) -> None:
        """Pull its cable: packets are dropped, and connections stay open."""
        _run(*self._switch, "ip", "link", "set", self.port, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _run(*self._switch, "ip", "link", "set", self.port, "up")

    def reaches(self, other: "Host", within_s: float) -> bool:
        """Whether packets reach another host within this time; they are sent at least once."""
        end = time.monotonic() + within_s
        command = [*self.enter, sys.executable, "-S", "-c", _PROBE, other.address]
        while subprocess.run(command, check=False).returncode != 0:
            if time.monotonic() > end:
                return False
        return True


class Network:
    """Hosts for the length of a ``with`` block. Their processes must have ended when it ends."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._keepers: list[subprocess.Popen[bytes]] = []
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        """Make the hosts.

        Raises:
            OSError, subprocess.SubprocessError: this machine does not allow it.
        """
        try:
            switch = self._namespace(())
            _run(*switch, "ip", "link", "add", "switch", "type", "bridge")
            _run(*switch, "ip", "link", "set", "switch", "up")
            for number, name in enumerate(self._names, 1):
                self._hosts[name] = self._host(name, number, switch)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def _host(self, name: str, number: int, switch: tuple[str, ...]) -> Host:
        enter = self._namespace(switch)
        port, address = f"port{number}", f"{_SUBNET}.{number}"
        pid = str(self._keepers[-1].pid)
        _run(*switch, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
        _run(*switch, "ip", "link", "set", port, "master", "switch", "up")
        _run(*enter, "ip", "link", "set", "lo", "up")
        _run(*enter, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        _run(*enter, "ip", "link", "set", "eth0", "up")
        return Host(name, address, port, enter, switch)

    def _namespace(self, inside: tuple[str, ...]) -> tuple[str, ...]:
        """A new namespace, held by a process; the command prefix that enters it."""
        as_root = os.geteuid() == 0
        new = ["unshare", "--net"] if as_root or inside else ["unshare", "--map-root-user", "--net"]
        keeper = subprocess.Popen(
            [*inside, *new, sys.executable, "-c", _KEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._keepers.append(keeper)
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"ready\n":
            _, refused = keeper.communicate(timeout=_WAIT_S)
            raise subprocess.SubprocessError(refused.decode(errors="replace").strip())
        user = [] if as_root else ["--user", "--preserve-credentials"]
        return ("nsenter", *user, "--net", "--target", str(keeper.pid))

    def _end(self) -> None:
        for keeper in self._keepers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                keeper.communicate(timeout=_WAIT_S)


_PROBE = """
import socket, sys
probe = socket.socket()
probe.settimeout(0.5)
try:
    probe.connect((sys.argv[1], 9))
except ConnectionRefusedError:
    sys.exit(0)  # nobody listens on that port: the host itself has answered
except OSError:
    sys.exit(1)
"""
_KEEP = """
import sys
print("ready", flush=True)
sys.stdin.read()  # ends with the process that made it
"""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_WAIT_S)
