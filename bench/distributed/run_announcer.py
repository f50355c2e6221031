"""Announces the state of a run to workers on other hosts, from its first deploy to its end.

Locust's master dismisses its workers after every experiment, and a Locust worker gives up on a master that
deploys for ten minutes first. So `bench` listens on a port of its own, the one after Locust's, for as long as
the run lasts. Every host that connects receives the state as one line of JSON: at once, at every change, and
every few seconds as a sign of life. If a connection ends without ``over``, the master is gone. A host first
says how many load generators it has, so that nothing is deployed before enough are connected.
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

from bench.terminal import print_status
from common.code_version import check_master_version, code_version, named_version
from common.errors import UserError

SIGN_OF_LIFE_S = 5.0
RECONNECT_S = 120.0
"""How long a host may take to reconnect after its connection was lost."""
_WRONG_TOKEN = {"refused": "token"}
_OTHER_VERSION = {"refused": "version"}
_MAX_GENERATORS = 10_000
_WAIT_FOR_WORKERS_S = 600.0
_POLL_S = 0.2


def _different_token() -> UserError:
    return UserError(
        "this host and the master have different tokens",
        "copy the command that `make master` prints, or give both the same token",
        "token",
    )


@dataclass(frozen=True, slots=True)
class AnnouncedState:
    """The state of a run, as workers on other hosts receive it."""

    run: str
    phase: Literal["wait", "load", "over"] = "wait"
    load: int = 0
    """Loads started so far, one per experiment."""
    code: int | None = None
    """The master's exit code, once the run is over."""

    def line(self, token: str, nonce: str) -> bytes:
        """The state as it is sent to the host that chose ``nonce``."""
        state = json.dumps(asdict(self))
        return json.dumps({"state": state, "proof": proof(token, nonce, state)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, token: str, nonce: str) -> Self:
        """Read a line.

        Raises:
            UserError: the line has another format, or its master another token or another version.
        """
        try:
            message = json.loads(line)
            if message == _WRONG_TOKEN:
                raise _different_token()
            if message.items() >= _OTHER_VERSION.items():
                check_master_version(message.get("version"))
            if not hmac.compare_digest(str(message["proof"]), proof(token, nonce, message["state"])):
                raise _different_token()
            return cls(**json.loads(message["state"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserError(
                "the answer does not come from a master of this version",
                "install the same version on all hosts, and give the port of `make master`",
            ) from None


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a worker host."""

    generators: int
    """Load generators on the host."""
    version: str
    """The host's `code_version`."""
    nonce: str
    """Part of every proof that the master sends to this host."""
    proof: str
    """Proof that the host has the run's token; the token itself is never sent."""

    @classmethod
    def of(cls, generators: int, token: str) -> Self:
        """A hello with a fresh nonce."""
        nonce = secrets.token_hex(16)
        version = code_version()
        return cls(generators, version, nonce, proof(token, nonce, f"hello {generators} {version}"))

    def line(self) -> bytes:
        """The hello as it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Read a line; None if it has another format."""
        try:
            hello = cls(**json.loads(line))
        except (ValueError, TypeError):
            return None
        kinds = (
            (hello.generators, int),
            (hello.version, str),
            (hello.nonce, str),
            (hello.proof, str),
        )
        valid = all(isinstance(value, kind) for value, kind in kinds)
        return hello if valid and 0 < hello.generators <= _MAX_GENERATORS else None

    def is_proved(self, token: str) -> bool:
        """Whether the sender has the token."""
        text = f"hello {self.generators} {self.version}"
        return hmac.compare_digest(self.proof, proof(token, self.nonce, text))


def proof(token: str, nonce: str, text: str) -> str:
    """A MAC of ``nonce`` and ``text`` that only a holder of the token can compute (HMAC-SHA256, hex)."""
    return hmac.new(token.encode(), f"{nonce} {text}".encode(), hashlib.sha256).hexdigest()


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
    block_on_close = True  # the last state reaches every host

    def __init__(self, address: tuple[str, int], announcer: RunAnnouncer) -> None:
        super().__init__(address, _StateHandler)
        self.announcer = announcer


class _StateHandler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = SIGN_OF_LIFE_S  # a host that does not read must not hold up the end

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            line = self.rfile.readline(1024)
            hello = Hello.from_line(line)
            announcer = self.server.announcer
            if hello is None:
                if b'"generators"' in line and b'"proof"' in line:  # the hello of another version
                    self._refuse_version(None)
                return
            if not hello.is_proved(announcer.token):
                self._refuse("it has another token", _WRONG_TOKEN)
                return
            if hello.version != code_version():
                self._refuse_version(hello.version)
                return
            with announcer.connection(hello.generators):
                for state in announcer.states():
                    self.wfile.write(state.line(announcer.token, hello.nonce))

    def _refuse_version(self, version: str | None) -> None:
        reason = f"it runs {named_version(version)}, and this master version {code_version()}"
        self._refuse(reason, _OTHER_VERSION | {"version": code_version()})

    def _refuse(self, reason: str, answer: dict[str, str]) -> None:
        print_status(f"refused a worker at {self.client_address[0]}: {reason}")
        self.wfile.write(json.dumps(answer).encode() + b"\n")
