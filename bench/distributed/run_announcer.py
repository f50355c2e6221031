"""The master's word to workers on other hosts: how the run stands, from its first deploy to its end.

Locust's master sends its workers home after every experiment, and a Locust worker gives up on a master that
first deploys for ten minutes. So the conductor holds a port of its own, the one after Locust's, for as long
as the run lasts. Whoever connects is told the state in one line of JSON: at once, at every change, and every
few seconds as a sign of life. A connection that ends without ``over`` had a master that is gone. Who connects
first says how many load generators it brings, so that nothing is deployed before they are there.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Literal, Self

from bench.terminal import say
from common.errors import UserError

SIGN_OF_LIFE_S = 5.0
RETURN_S = 120.0
"""For a host whose link went down to come back."""
REFUSAL = {"refused": "token"}
_DIFFERENT = (
    "TOKEN= is not the token of the master there: copy the command that `make master` prints, or give both "
    "the same"
)
_MOST = 10_000
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

    def line(self, token: str, nonce: str) -> bytes:
        """The state as it is sent to the host that said ``nonce``."""
        state = json.dumps(asdict(self))
        return json.dumps({"state": state, "proof": proof(token, nonce, state)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, token: str, nonce: str) -> Self:
        """Read a line.

        Raises:
            UserError: it is none of ours, or its master has another token.
        """
        try:
            message = json.loads(line)
            if message == REFUSAL:
                raise UserError(_DIFFERENT)
            if not hmac.compare_digest(str(message["proof"]), proof(token, nonce, message["state"])):
                raise UserError(_DIFFERENT)
            return cls(**json.loads(message["state"]))
        except (ValueError, TypeError, KeyError):
            raise UserError(
                "what answers there is no master of this version: use the same code on all hosts, "
                "and the port of `make master`"
            ) from None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker host says first."""

    generators: int
    """Load generators that it brings."""
    nonce: str
    """What the master's proofs to this host are about."""
    proof: str
    """That it has the run's token, which itself is never sent."""

    @classmethod
    def of(cls, generators: int, token: str) -> Self:
        """A hello with a fresh nonce."""
        nonce = secrets.token_hex(16)
        return cls(generators, nonce, proof(token, nonce, f"hello {generators}"))

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Read a line; None where it is none of ours."""
        try:
            hello = cls(**json.loads(line))
        except (ValueError, TypeError):
            return None
        kinds = (hello.generators, int), (hello.nonce, str), (hello.proof, str)
        sound = all(isinstance(value, kind) for value, kind in kinds) and 0 < hello.generators <= _MOST
        return hello if sound else None

    def is_proved(self, token: str) -> bool:
        """Whether whoever said it has the token."""
        return hmac.compare_digest(self.proof, proof(token, self.nonce, f"hello {self.generators}"))


def proof(token: str, nonce: str, text: str) -> str:
    """What only somebody with the token can say of ``text``, in answer to ``nonce``."""
    return hmac.new(token.encode(), f"{nonce} {text}".encode(), hashlib.sha256).hexdigest()


class Beacon:
    """Tells the state of a run to all who connect, for the length of a ``with`` block.

    Args:
        run: name of the run.
        address: interface and port; None where there are no workers to tell.
        code: gives the run's exit code when the block ends; one that ends by an exception is never 0.
        token: what workers must prove to have, and are proved.
        wanted: load generators of other hosts that a load needs.
    """

    def __init__(
        self,
        run: str,
        address: tuple[str, int] | None,
        code: Callable[[], int],
        *,
        token: str = "",
        wanted: int = 0,
    ) -> None:
        self._state = RunState(run)
        self.token = token
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

    def too_few(self, patience_s: float = RETURN_S) -> str | None:
        """Why no load can be made any more; None when all load generators are there.

        A host whose link went down comes back by itself: it is waited for.
        """
        deadline, told = time.monotonic() + patience_s, None
        while (there := sum(self._connected)) < self._wanted and time.monotonic() < deadline:
            if told != there:
                told = there
                say(f"{there} of {self._wanted} workers are left; waiting {patience_s:.0f} s for the others")
            time.sleep(_LOOK_S)
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
            hello = Hello.from_line(self.rfile.readline(1024))
            if hello is None:
                return
            beacon = self.server.beacon
            if not hello.is_proved(beacon.token):
                say(f"a worker at {self.client_address[0]} has another token and was sent home")
                self.wfile.write(json.dumps(REFUSAL).encode() + b"\n")
                return
            with beacon.connection(hello.generators):
                for state in beacon.states():
                    self.wfile.write(state.line(beacon.token, hello.nonce))
