"""The master's word to workers on other hosts: how the run stands, from its first deploy to its end.

Locust's master sends its workers home after every experiment, and a Locust worker gives up on a master that
first deploys for ten minutes. So the conductor holds a port of its own, the one after Locust's, for as long
as the run lasts. Whoever connects is told the state in one line of JSON: at once, at every change, and every
few seconds as a sign of life. A connection that ends without ``over`` had a master that is gone. Who connects
first says how many load generators it brings, so that nothing is deployed before they are there.
"""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Literal, Self

from bench.screen import say
from configs.errors import UserError

SIGN_OF_LIFE_S = 5.0
_GATHER_S = 600.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands."""

    run: str
    phase: Literal["wait", "load", "over"] = "wait"
    load: int = 0
    """Loads begun so far, one per experiment."""
    code: int | None = None
    """The master's exit code, once the run is over."""

    def line(self) -> bytes:
        """The state as it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read a line.

        Raises:
            UserError: it is none of ours.
        """
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            raise UserError(
                "what answers there is no master of this version: use the same code on all hosts, "
                "and the port of `make master`"
            ) from None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker host says first."""

    generators: int
    """Load generators that it brings."""

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Beacon:
    """Tells the state of a run to all who connect, for the length of a ``with`` block.

    Args:
        run: name of the run.
        address: interface and port; None where there are no workers to tell.
        code: gives the run's exit code when the block ends; one that ends by an exception is never 0.
        wanted: load generators of other hosts that a load needs.
    """

    def __init__(
        self, run: str, address: tuple[str, int] | None, code: Callable[[], int], wanted: int = 0
    ) -> None:
        self._state = RunState(run)
        self._changed = threading.Condition()
        self._wanted = wanted
        self._connected: list[int] = []
        """Load generators of each host that is connected."""
        self._server = None if address is None else _Server(address, self)
        self._code = code

    def __enter__(self) -> Self:
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell that the run is over; when this returns, all have been told."""
        code = self._code() or (0 if kind is None else 1)
        self._tell(replace(self._state, phase="over", code=code))
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def load(self) -> Iterator[None]:
        """The block plays one experiment: workers are wanted."""
        self._tell(replace(self._state, phase="load", load=self._state.load + 1))
        try:
            yield
        finally:
            self._tell(replace(self._state, phase="wait"))

    def _tell(self, state: RunState) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def gather(self, call: str) -> None:
        """Wait for the load generators that are wanted: nothing is deployed, so nothing billed, before.

        Args:
            call: the command that brings one.

        Raises:
            UserError: they did not come.
        """
        if not self._wanted:
            return
        say(f"on each host, if it is not done yet: {call}")
        deadline, told = time.monotonic() + _GATHER_S, None
        # Looked at, not waited for: a signal that ends this must not strike inside a lock.
        while (there := sum(self._connected)) < self._wanted:
            if told != there:
                told = there
                say(f"{there} of {self._wanted} workers are there")
            if time.monotonic() > deadline:
                raise UserError(
                    f"WORKERS={self._wanted}: {there} came within {_GATHER_S / 60:.0f} minutes; start {call} "
                    "on each host, or ask for fewer; nothing was deployed"
                )
            time.sleep(_LOOK_S)

    def too_few(self) -> str | None:
        """Why no load can be made any more; None when all load generators are there."""
        there = sum(self._connected)
        return f"{there} of {self._wanted} workers are left" if there < self._wanted else None

    @contextmanager
    def connection(self, generators: int) -> Iterator[None]:
        """The block has a connection to a host with so many load generators."""
        with self._changed:
            self._connected.append(generators)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._connected.remove(generators)
                self._changed.notify_all()

    def states(self) -> Iterator[RunState]:
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
    block_on_close = True  # the last word reaches all

    def __init__(self, address: tuple[str, int], beacon: Beacon) -> None:
        super().__init__(address, _Teller)
        self.beacon = beacon


class _Teller(socketserver.StreamRequestHandler):
    server: _Server
    timeout = SIGN_OF_LIFE_S  # who does not read is not waited for

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            try:
                hello = Hello(**json.loads(self.rfile.readline(1024)))
            except (ValueError, TypeError):
                return  # none of ours
            with self.server.beacon.connection(hello.generators):
                for state in self.server.beacon.states():
                    self.wfile.write(state.line())
