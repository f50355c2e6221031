"""Several hosts on this machine: network namespaces on one switch, made without names or files.

The namespaces end with their last process, so a test that is killed leaves nothing behind. Where a namespace
needs root, a user namespace gives it; `unavailable` says why it does not.

    with Network("master", "one") as network:
        process = subprocess.Popen([*network["one"].enter, "llm-bench", "worker", …])
        network["one"].cut()

A host may have a link with delay and loss (`Link`), which a process of its own provides (`lossy_link`).
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

_PROGRAMS = ("ip", "nsenter", "unshare")
_SUBNET = "10.77.0"
_WAIT_S = 20.0
_LOSSY_LINK = Path(__file__).with_name("lossy_link.py")


@functools.cache
def unavailable(*, links: bool = False) -> str | None:
    """Why this machine cannot make hosts, with ``links`` of their own; None if it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces need Linux"
    if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"network namespaces need {', '.join(missing)}"
    try:
        with Network("probe", links={"probe": Link(0.0, 0.0)} if links else _PERFECT):
            return None
    except (OSError, subprocess.SubprocessError) as error:
        output = (getattr(error, "stderr", None) or str(error)).strip()
        what = "links with delay" if links else "network namespaces"
        return f"this machine allows no {what}: {output.splitlines()[-1] if output else error!r}"


@dataclass(frozen=True)
class Link:
    """What happens to packets between a host and the switch."""

    delay_s: float
    """Of each packet, in both directions: a round trip takes at least twice as long."""
    loss: float
    """Probability that a packet is lost, in each direction."""
    seed: int = 1


_PERFECT: Mapping[str, Link] = MappingProxyType({})


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
    """Hosts for the length of a ``with`` block. Their processes must have ended when it ends.

    Args:
        names: of the hosts.
        links: by name, for those whose link is not perfect.
    """

    def __init__(self, *names: str, links: Mapping[str, Link] = _PERFECT) -> None:
        self._names = names
        self._links = links
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
        if name in self._links:
            self._lossy_link(self._links[name], port, pid, switch)
            _run(*enter, "ip", "link", "set", f"{port}far", "name", "eth0")
        else:
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
        keeper = self._keep([*inside, *new, sys.executable, "-c", _KEEP])
        user = [] if as_root else ["--user", "--preserve-credentials"]
        return ("nsenter", *user, "--net", "--target", str(keeper.pid))

    def _lossy_link(self, link: Link, port: str, pid: str, switch: tuple[str, ...]) -> None:
        """Make two devices that a process connects: ``port``, and another one in the namespace of a host."""
        far = f"{port}far"
        options = (port, far, str(link.delay_s), str(link.loss), str(link.seed))
        self._keep([*switch, sys.executable, "-S", str(_LOSSY_LINK), *options])
        _run(*switch, "ip", "link", "set", far, "netns", pid)

    def _keep(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start a process that ends with this network, once it is ready."""
        keeper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._keepers.append(keeper)
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"ready\n":
            _, refused = keeper.communicate(timeout=_WAIT_S)
            raise subprocess.SubprocessError(refused.decode(errors="replace").strip())
        return keeper

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
