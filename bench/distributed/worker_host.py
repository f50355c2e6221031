"""A worker host: connects to a master, generates load for every experiment of its run, and ends with it."""

import contextlib
import select
import socket
import subprocess
import time
from collections.abc import Iterator

from bench.distributed.handshake import AnnouncedState, Hello
from bench.distributed.run_announcer import RECONNECT_S, SIGN_OF_LIFE_S
from bench.locust_process import stop_child
from bench.terminal import print_status
from common.code_version import code_version
from common.errors import UserError
from common.exit_codes import ExitCode
from common.formatting import plural
from common.parent_process import TOKEN_VARIABLE
from locustfiles.launch import locust_command, locust_environment

_GIVE_UP_S = 3600.0
_REMINDER_S = 30.0
_RETRY_S = 1.0
_CONNECT_S = 5.0
_POLL_S = 0.25
_REFUSED_S = 10.0
"""A host that refuses connections for this long has no master any more."""
_SILENCE_S = 6 * SIGN_OF_LIFE_S
_STOP_S = 20.0
"""How long a load generator may take to end after its master."""
_MAX_LINE_BYTES = 10_000
_MAX_RESTARTS = 3
"""Of the load generator in one load."""


def serve(
    host: str, port: int, token: str, processes: int | None = None, reconnect_s: float = RECONNECT_S
) -> int:
    """Generate load for a master's run until that run is over.

    Args:
        host: the master's host.
        port: Locust's port there; the run's state is announced on the next one.
        token: the run's token, as `make master` prints it.
        processes: load generators on this machine.
        reconnect_s: how long to try again after the connection was lost, in seconds.

    Returns:
        0 when the run came to its end and this host did its part, 1 when the master was lost or a load
        generator failed.

    Raises:
        UserError: no such host, no master there within an hour, one of another version, or another token.
    """
    generator = _Generator(
        locust_command(None, None, mode="worker", master_host=host, master_port=port, processes=processes),
        token,
    )
    run = None
    try:
        for state in _states_until_lost(host, port, token, processes or 1, reconnect_s):
            if run is None:
                run = state.run
                print_status(f"connected to the master of {run}")
            if state.run != run:
                break  # another run on the same host: this one ended while the connection was down
            generator.sync_to(state)
            if state.phase == "over":
                print_status(f"the run is over (the master's exit code is {state.code}); {generator.summary}")
                return generator.code
    finally:
        generator.stop()
    print_status(f"the master at {host} disappeared before its run was over; {generator.summary}")
    return 1


def _states_until_lost(
    host: str, port: int, token: str, generators: int, reconnect_s: float
) -> Iterator[AnnouncedState]:
    """The master's state, over as many connections as it takes; ends when the master is lost for good.

    The load generator continues meanwhile: Locust reconnects to its master by itself.
    """
    connection: socket.socket | None = _connect(host, port)
    answered_at = time.monotonic()
    while connection is not None:
        answered = False
        with connection:
            hello = Hello.of(generators, token)
            with contextlib.suppress(OSError):
                connection.sendall(hello.line())
            for state in _states(connection, token, hello.nonce):
                answered, answered_at = True, time.monotonic()
                yield state
        if answered:
            print_status(
                f"lost the connection to the master at {host}; retrying for up to {reconnect_s:.0f} s"
            )
        elif time.monotonic() - answered_at > reconnect_s:
            raise UserError(
                f"{host} accepted connections for {reconnect_s:.0f} s and closed each without an answer",
                "behind a tunnel no master may run yet, or it runs another version: "
                f"this host runs version {code_version()}",
            )
        else:
            time.sleep(_RETRY_S)
        connection = _reconnect(host, port, reconnect_s)
        if answered and connection is not None:
            print_status(f"reconnected to the master at {host}")


def _reconnect(host: str, port: int, reconnect_s: float) -> socket.socket | None:
    """Connect again; None if that does not succeed in time, or if the host has no master any more."""
    began = time.monotonic()
    refused_since: float | None = None
    while (now := time.monotonic()) - began < reconnect_s:
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


def _connect(host: str, port: int) -> socket.socket:
    """Connect to the master, however long its host takes to start one.

    Raises:
        UserError: there is no such host, or no master within an hour.
    """
    began = reminded = time.monotonic()
    print_status(f"connecting to the master at {host}, ports {port} and {port + 1} (Ctrl-C stops)")
    while True:
        try:
            return socket.create_connection((host, port + 1), _CONNECT_S)
        except socket.gaierror as error:
            if error.errno == socket.EAI_NONAME:
                raise UserError(
                    f"there is no host {host}", "give its name or address", "master host"
                ) from None
            reason = error.strerror
        except OSError as error:
            reason = error.strerror or str(error)
        now = time.monotonic()
        if now - began > _GIVE_UP_S:
            raise UserError(
                f"no answer from {host}, port {port + 1}, for {_GIVE_UP_S / 60:.0f} minutes ({reason})",
                f"start `make master` there, and open ports {port} and {port + 1} to this host",
                "master host",
            )
        if now - reminded > _REMINDER_S:
            reminded = now
            print_status(f"no master at {host} after {now - began:.0f} s ({reason}); still trying")
        time.sleep(_RETRY_S)


def _states(connection: socket.socket, token: str, nonce: str) -> Iterator[AnnouncedState]:
    """The master's state several times a second, new or not; ends when the connection is lost."""
    unread, heard_at, state = b"", time.monotonic(), None
    while time.monotonic() - heard_at < _SILENCE_S:
        if select.select([connection], [], [], _POLL_S)[0]:
            try:
                data = connection.recv(4096)
            except OSError:
                return
            if not data:
                return
            heard_at = time.monotonic()
            *lines, unread = (unread + data).split(b"\n")
            if lines or len(unread) > _MAX_LINE_BYTES:
                state = AnnouncedState.from_line(lines[-1] if lines else unread, token, nonce)
        if state is not None:
            yield state


class _Generator:
    """The Locust worker of this host: a new one for every load, and when it was killed or lost its master."""

    def __init__(self, command: list[str], token: str) -> None:
        self._command = command
        self._token = token
        self._child: subprocess.Popen[bytes] | None = None
        self._load = 0
        """Number of the last load that was started."""
        self._loads = 0
        self._restarts = 0
        self.code = 0

    @property
    def summary(self) -> str:
        """What was done so far, as part of a sentence."""
        return f"this worker served {plural(self._loads, 'load')}"

    def sync_to(self, state: AnnouncedState) -> None:
        """Start or stop the load generator, as the run's state requires."""
        current = state.load if state.phase == "load" else None
        child = self._child
        if child is not None and (current != self._load or child.poll() is not None):
            self._finish(child)
            # Its successor also delivers the rows that it has left on disk.
            ended_well = child.returncode in (ExitCode.OK, ExitCode.BAD_INPUT)
            if current == self._load and not ended_well and self._restarts < _MAX_RESTARTS:
                self._restarts += 1
                print_status(f"{state.run}: the load generator starts again")
                self._start()
        if current is not None and current != self._load:
            print_status(f"{state.run}: load {current} starts")
            self._load, self._restarts = current, 0
            self._start()

    def _start(self) -> None:
        # A session of its own: Ctrl-C reaches only this process, which stops the child in order.
        self._child = subprocess.Popen(
            self._command,
            env=locust_environment() | {TOKEN_VARIABLE: self._token},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _finish(self, child: "subprocess.Popen[bytes]") -> None:
        """Let the load generator end with its master, stop it if it does not, and count its load."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_S)
        self.stop()
        if child.returncode == 0:
            self._loads += 1
        else:
            self.code = 1
            print_status(
                f"the load generator of load {self._load} ended with code {child.returncode}; see above"
            )

    def stop(self) -> None:
        """Stop the load generator, if it runs, and every process that it started."""
        child, self._child = self._child, None
        if child is not None:
            stop_child(child, whole_group=True)
