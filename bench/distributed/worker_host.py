"""A worker host: waits for a master, makes load for every experiment of its run, and ends with it."""

import contextlib
import select
import socket
import subprocess
import time
from collections.abc import Iterator

from bench.distributed.run_announcer import RETURN_S, SIGN_OF_LIFE_S, Hello, RunState
from bench.locust_process import end_child
from bench.terminal import say
from common.errors import UserError
from common.parent_process import TOKEN_VARIABLE
from locustfiles.launch import locust_command, locust_environment

_PATIENCE_S = 3600.0
_REMINDER_S = 30.0
_RETRY_S = 1.0
_CONNECT_S = 5.0
_POLL_S = 0.25
_REFUSED_S = 10.0
"""A master's port that refuses for so long has no master behind it any more."""
_SILENCE_S = 6 * SIGN_OF_LIFE_S
_GOODBYE_S = 20.0
"""For a load generator to end when its master has."""


def serve(host: str, port: int, token: str, processes: int | None = None) -> int:
    """Make load for the run of a master until that run is over.

    Args:
        host: the master's host.
        port: Locust's port there; how the run stands is told on the next one.
        token: of the run, as `make master` prints it.
        processes: load generators on this machine.

    Returns:
        0 when the run came to its end and this host did its part, 1 when the master was lost or a load
        generator failed.

    Raises:
        UserError: no such host, nobody there within an hour, no master of this version, or another token.
    """
    generator = _Generator(
        locust_command(None, None, mode="worker", master_host=host, master_port=port, processes=processes),
        token,
    )
    run = None
    try:
        for state in _states_across_links(host, port, token, processes or 1):
            if run is None:
                run = state.run
                say(f"found the master of {run}")
            if state.run != run:
                break  # another run, on the same host: ours ended while the link was down
            generator.follow(state)
            if state.phase == "over":
                say(f"the run is over (exit code {state.code} there): {generator.served}")
                return generator.code
    finally:
        generator.end()
    say(f"the master at {host} is gone before its run was over: {generator.served}")
    return 1


def _states_across_links(host: str, port: int, token: str, generators: int) -> Iterator[RunState]:
    """The master's state, over as many connections as it takes; ends when the master is gone for good.

    The load generator goes on meanwhile: Locust finds its master again by itself.
    """
    link: socket.socket | None = _reach(host, port)
    while link is not None:
        with link:
            hello = Hello.of(generators, token)
            with contextlib.suppress(OSError):
                link.sendall(hello.line())
            yield from _states(link, token, hello.nonce)
        say(f"the link to the master at {host} is down: trying again for up to {RETURN_S:.0f} s")
        link = _reach_again(host, port)
        if link is not None:
            say(f"the link to the master at {host} is back")


def _reach_again(host: str, port: int) -> socket.socket | None:
    """Connect once more; None when that does not succeed in time, or a host that is there has no master."""
    began = time.monotonic()
    refused_since: float | None = None
    while (now := time.monotonic()) - began < RETURN_S:
        try:
            return socket.create_connection((host, port + 1), _CONNECT_S)
        except ConnectionRefusedError:
            refused_since = now if refused_since is None else refused_since
            if now - refused_since > _REFUSED_S:
                return None
        except OSError:
            refused_since = None
        time.sleep(_RETRY_S)
    return None


def _reach(host: str, port: int) -> socket.socket:
    """Connect to the master's beacon, however long its host takes to start one."""
    began = reminded = time.monotonic()
    say(f"looking for a master at {host}, ports {port} and {port + 1} (Ctrl-C ends this)")
    while True:
        try:
            return socket.create_connection((host, port + 1), _CONNECT_S)
        except socket.gaierror as error:
            if error.errno == socket.EAI_NONAME:
                raise UserError(f"MASTER={host}: no such host; give the name or address of one") from None
            reason = error.strerror
        except OSError as error:
            reason = error.strerror or str(error)
        now = time.monotonic()
        if now - began > _PATIENCE_S:
            raise UserError(
                f"MASTER={host}: nobody answers on port {port + 1} since {_PATIENCE_S / 60:.0f} minutes "
                f"({reason}); start `make master` there and let ports {port} and {port + 1} through to it"
            )
        if now - reminded > _REMINDER_S:
            reminded = now
            say(f"no master at {host} yet, after {now - began:.0f} s ({reason}); still looking")
        time.sleep(_RETRY_S)


def _states(link: socket.socket, token: str, nonce: str) -> Iterator[RunState]:
    """The master's state several times a second, new or not; ends when the link is down."""
    unread, heard_at, state = b"", time.monotonic(), None
    while time.monotonic() - heard_at < _SILENCE_S:
        if select.select([link], [], [], _POLL_S)[0]:
            try:
                data = link.recv(4096)
            except OSError:
                return
            if not data:
                return
            heard_at = time.monotonic()
            *lines, unread = (unread + data).split(b"\n")
            state = RunState.from_line(lines[-1], token, nonce) if lines else state
        if state is not None:
            yield state


class _Generator:
    """The Locust worker of this host: a new one for every load."""

    def __init__(self, command: list[str], token: str) -> None:
        self._command = command
        self._token = token
        self._child: subprocess.Popen[bytes] | None = None
        self._load = 0
        """Number of the last load that was begun."""
        self._loads = 0
        self.code = 0

    @property
    def served(self) -> str:
        """What was done so far, in words."""
        return f"this worker served {self._loads} load{'' if self._loads == 1 else 's'}"

    def follow(self, state: RunState) -> None:
        """Bring the load generator to the state of the run."""
        wanted = state.load if state.phase == "load" else None
        if self._child is not None and (wanted != self._load or self._child.poll() is not None):
            self._see_off(self._child)
        if wanted is not None and wanted != self._load:
            say(f"{state.run}: load {wanted} begins")
            self._load = wanted
            # A session of its own: Ctrl-C reaches only us, and we end it in order.
            self._child = subprocess.Popen(
                self._command,
                env=locust_environment() | {TOKEN_VARIABLE: self._token},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _see_off(self, child: "subprocess.Popen[bytes]") -> None:
        """Locust's master sends its workers home; one that stays is ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GOODBYE_S)
        self.end()
        if child.returncode == 0:
            self._loads += 1
        else:
            self.code = 1
            say(f"the load generator of load {self._load} ended with code {child.returncode}; see above")

    def end(self) -> None:
        """End it if it is still there, with whatever it started."""
        child, self._child = self._child, None
        if child is not None:
            end_child(child, whole_group=True)
