"""The master's word to workers on other hosts: how the run stands, from its first deploy to its end.

Locust's master sends its workers home after every experiment, and a Locust worker gives up on a master that
first deploys for ten minutes. So the conductor holds a port of its own, the one after Locust's, for as long
as the run lasts. Whoever connects is told the state in one line of JSON: at once, at every change, and every
few seconds as a sign of life. A connection that ends without ``over`` had a master that is gone.
"""

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Literal, Self

from configs.errors import UserError

SIGN_OF_LIFE_S = 5.0


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


class Beacon:
    """Tells the state of a run to all who connect, for the length of a ``with`` block.

    Args:
        run: name of the run.
        address: interface and port; None where there are no workers to tell.
        code: gives the run's exit code when the block ends; one that ends by an exception is never 0.
    """

    def __init__(self, run: str, address: tuple[str, int] | None, code: Callable[[], int]) -> None:
        self._state = RunState(run)
        self._changed = threading.Condition()
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
            for state in self.server.beacon.states():
                self.wfile.write(state.line())
