"""Announces the state of a run to workers on other hosts, from its first deploy to its end.

Locust's master dismisses its workers after every experiment, and a Locust worker gives up on a master that
deploys for ten minutes first. So `bench` listens on a port of its own, the one after Locust's, for as long as
the run lasts. Every host that connects receives the state as one line of JSON: at once, at every change, and
every few seconds as a sign of life. If a connection ends without ``over``, the master is gone. A host first
says how many load generators it has, so that nothing is deployed before enough are connected.
"""

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from bench.distributed.handshake import OTHER_VERSION, WRONG_TOKEN, AnnouncedState, Hello
from bench.terminal import print_status
from common.code_version import code_version, named_version
from common.errors import UserError

SIGN_OF_LIFE_S = 5.0
RECONNECT_S = 120.0
"""How long a host may take to reconnect after its connection was lost."""
_WAIT_FOR_WORKERS_S = 600.0
_POLL_S = 0.2
_MAX_STRANGERS = 100
"""Connections that have not proved themselves; one more, and the oldest is closed."""
_MAX_REFUSALS_SHOWN = 20
_MAX_HELLO_BYTES = 1024


class RunAnnouncer:
    """Announces the state of a run to all hosts that connect, for the length of a ``with`` block.

    Args:
        run: name of the run.
        address: interface and port; None if there are no workers on other hosts.
        exit_code: returns the run's exit code when the block ends; a block that raises never announces 0.
        token: workers must prove that they have it, and so does the announcer.
        expected_workers: load generators on other hosts that a load needs.
    """

    def __init__(
        self,
        run: str,
        address: tuple[str, int] | None,
        exit_code: Callable[[], int],
        *,
        token: str = "",
        expected_workers: int = 0,
    ) -> None:
        self._state = AnnouncedState(run)
        self.token = token
        self._changed = threading.Condition()
        self._expected = expected_workers
        self._generators: list[int] = []
        """Load generators of each connected host."""
        self._nonces: set[str] = set()
        """Of the hosts that have proved themselves."""
        self._server = None if address is None else _Server(address, self)
        self._exit_code = exit_code

    def __enter__(self) -> Self:
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Announce that the run is over; when this returns, every connected host knows."""
        code = self._exit_code() or (0 if kind is None else 1)
        self._announce(replace(self._state, phase="over", code=code))
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def announce_load(self) -> Iterator[None]:
        """The block plays one experiment: worker hosts start their load generators."""
        self._announce(replace(self._state, phase="load", load=self._state.load + 1))
        try:
            yield
        finally:
            self._announce(replace(self._state, phase="wait"))

    def _announce(self, state: AnnouncedState) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    @property
    def connected_workers(self) -> int:
        """Load generators of all connected hosts."""
        return sum(self._generators)

    def wait_for_workers(self, command: str) -> None:
        """Wait until enough load generators are connected. Nothing is deployed, so nothing billed, before.

        Args:
            command: starts one on a host; shown to the user.

        Raises:
            UserError: they did not connect in time.
        """
        if not self._expected:
            return
        print_status(f"on each host, if it is not running yet: {command}")
        deadline, printed = time.monotonic() + _WAIT_FOR_WORKERS_S, None
        # Polled: a signal that ends the waiting must not strike while a lock is held.
        while (connected := self.connected_workers) < self._expected:
            if printed != connected:
                printed = connected
                print_status(f"{connected} of {self._expected} workers are connected")
            if time.monotonic() > deadline:
                raise UserError(
                    f"only {connected} of {self._expected} workers connected within "
                    f"{_WAIT_FOR_WORKERS_S / 60:.0f} minutes, so nothing was deployed",
                    f"run {command} on each host, or expect fewer workers",
                    "workers",
                )
            time.sleep(_POLL_S)

    def shortage(self, wait_s: float = RECONNECT_S) -> str | None:
        """Why no load can be generated any more; None while enough load generators are connected.

        Args:
            wait_s: how long a host whose connection was lost may take to reconnect.
        """
        deadline, printed = time.monotonic() + wait_s, None
        while (connected := self.connected_workers) < self._expected and time.monotonic() < deadline:
            if printed != connected:
                printed = connected
                print_status(
                    f"only {connected} of {self._expected} workers are connected; "
                    f"waiting {wait_s:.0f} s for the others"
                )
            time.sleep(_POLL_S)
        missing = connected < self._expected
        return f"only {connected} of {self._expected} workers are connected" if missing else None

    def is_first(self, nonce: str) -> bool:
        """Whether no proof with this nonce was accepted before; a second one is a recording."""
        with self._changed:
            known = nonce in self._nonces
            self._nonces.add(nonce)
            return not known

    @contextmanager
    def connection(self, generators: int) -> Iterator[None]:
        """The block has a connection to a host with this many load generators."""
        with self._changed:
            self._generators.append(generators)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._generators.remove(generators)
                self._changed.notify_all()

    def states(self) -> Iterator[AnnouncedState]:
        """The state now, then at every change and sign of life, up to the end."""
        state = self._state
        yield state
        while state.phase != "over":
            with self._changed:
                if self._state is state:
                    self._changed.wait(SIGN_OF_LIFE_S)
                state = self._state
            yield state


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = True  # the last state reaches every host

    def __init__(self, address: tuple[str, int], announcer: RunAnnouncer) -> None:
        self.announcer = announcer
        self._strangers: OrderedDict[socket.socket, None] = OrderedDict()
        """Connections that have not proved themselves, the oldest first."""
        self._changing = threading.Lock()
        self._shown: set[tuple[str, str]] = set()
        super().__init__(address, _StateHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread; those of strangers are few, whoever connects."""
        with self._changing:
            self._strangers[request] = None
            oldest = next(iter(self._strangers)) if len(self._strangers) > _MAX_STRANGERS else None
        if oldest is not None:
            self.forget(oldest)
            _hang_up(oldest)
        super().process_request(request, client_address)

    def forget(self, connection: socket.socket) -> None:
        """Do not count a connection among the strangers: it has proved itself, or it ends."""
        with self._changing:
            self._strangers.pop(connection, None)

    def show_refusal(self, address: str, reason: str) -> None:
        """Tell the user of a refused worker: once for each address and reason, and not without end."""
        with self._changing:
            new = (address, reason) not in self._shown and len(self._shown) < _MAX_REFUSALS_SHOWN
            self._shown |= {(address, reason)} if new else set()
        if new:
            print_status(f"refused a worker at {address}: {reason}")

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.forget(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """End: hosts receive the last state first, strangers are not waited for."""
        with self._changing:
            strangers = list(self._strangers)
        for stranger in strangers:
            _hang_up(stranger)
        super().server_close()


def _hang_up(connection: socket.socket) -> None:
    """Let the thread that serves a connection see its end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _StateHandler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = SIGN_OF_LIFE_S  # a host that does not read must not hold up the end

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            line = self.rfile.readline(_MAX_HELLO_BYTES)
            hello = Hello.from_line(line)
            announcer = self.server.announcer
            if hello is None:
                if b'"generators"' in line and b'"proof"' in line:  # the hello of another version
                    self._refuse_version(None)
                return
            if not hello.is_proved(announcer.token):
                self._refuse("it has another token", WRONG_TOKEN)
                return
            if not announcer.is_first(hello.nonce):
                self._refuse("it repeats what another worker has sent", WRONG_TOKEN)
                return
            if hello.version != code_version():
                self._refuse_version(hello.version)
                return
            self.server.forget(self.request)
            with announcer.connection(hello.generators):
                for state in announcer.states():
                    self.wfile.write(state.line(announcer.token, hello.nonce))

    def _refuse_version(self, version: str | None) -> None:
        reason = f"it runs {named_version(version)}, and this master version {code_version()}"
        self._refuse(reason, OTHER_VERSION | {"version": code_version()})

    def _refuse(self, reason: str, answer: dict[str, str]) -> None:
        self.server.show_refusal(self.client_address[0], reason)
        self.wfile.write(json.dumps(answer).encode() + b"\n")
