"""A process that deploys and deletes, stopped at a chosen control-plane call and sent a signal there."""

import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.session import Session

from common.errors import UserError
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.inventory import inventory
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.lifecycle.teardown import teardown
from deploy.spec.owner import machine_owner
from deploy.spec.resolve import endpoint_specs
from tests.deploy.fault_matrix import matrix_plan
from tests.deploy.harness import QUICK, fresh_clients, here

RUNNING = "the run itself"
FEW_LOOKS = replace(QUICK, first_pause_s=0.05, growth=3.0, longest_pause_s=1.0)
"""Each look is a case of its own."""


@dataclass(frozen=True)
class Stop:
    """A place in the run: the ``nth`` answer of a call (or, with ``before``, just before it is sent)."""

    call: str
    nth: int = 1
    before: bool = False

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'}-{self.call}-{self.nth}".replace(" ", "-")


@dataclass(frozen=True)
class Interruption:
    """A run that gets ``signal`` at each of its stops."""

    stops: tuple[Stop, ...]
    signal: signal.Signals

    def __str__(self) -> str:
        return f"{self.signal.name}-{'-and-'.join(map(str, self.stops))}"


@dataclass(frozen=True)
class Ending:
    """How a run ended, and what the account held then and after two teardowns."""

    reached: int
    status: int
    left: tuple[str, ...]
    left_after_teardown: tuple[str, ...]
    open_in_ledger: int


class Breakpoints:
    """Stops the process at chosen calls, says so to its parent, and waits for its word."""

    def __init__(self, stops: Sequence[Stop], said: int, heard: int) -> None:
        self.stops = stops
        self.said = said
        self.heard = heard
        self.counts: dict[tuple[str, bool], int] = {}

    def attach(self, session: Session) -> None:
        session.register("before-call.*.*", self._before)
        session.register("after-call.*.*", self._after)

    def at(self, call: str, *, before: bool = False) -> None:
        nth = self.counts[call, before] = self.counts.get((call, before), 0) + 1
        if Stop(call, nth, before) in self.stops:
            os.write(self.said, b"!")
            os.read(self.heard, 1)

    def _before(self, **event: Any) -> None:
        self.at(event["model"].name, before=True)

    def _after(self, **event: Any) -> None:
        self.at(event["model"].name)


def play(case: Interruption) -> Ending:
    """Play one run in a child process, signal it where it stops, and clean up as a user would."""
    fresh_clients()  # the child inherits the service models that this loads
    account = here()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        reached, status = _signalled(case, ledger)
        left = tuple(account.left())
        for _ in range(2):  # the second finds nothing to do and does nothing
            clients = fresh_clients()
            found = inventory(clients, ledger, machine_owner())
            teardown(found, clients, ledger, confirm=lambda _asked: False, polling=QUICK)
        return Ending(
            reached=reached,
            status=status,
            left=left,
            left_after_teardown=tuple(account.left()),
            open_in_ledger=len(ledger.open_items()),
        )


def _signalled(case: Interruption, ledger: Ledger) -> tuple[int, int]:
    """How many of its stops the child came to, and how it ended."""
    said_out, said_in = os.pipe()
    heard_out, heard_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(case, ledger, said_in, heard_out)
    os.close(said_in)
    os.close(heard_out)
    reached = 0
    while os.read(said_out, 1):
        reached += 1
        os.kill(pid, case.signal)
        if case.signal != signal.SIGKILL:
            os.write(heard_in, b"!")
    _, status = os.waitpid(pid, 0)
    os.close(said_out)
    os.close(heard_in)
    return reached, os.waitstatus_to_exitcode(status)


def _child(case: Interruption, ledger: Ledger, said: int, heard: int) -> None:
    code = 70
    try:
        with orderly_exit():
            code = _run(Breakpoints(case.stops, said, heard), ledger, str(case))
    except Interrupted as stop:
        code = stop.exit_code
    except UserError:
        code = 2
    finally:
        os._exit(code)


def _run(breakpoints: Breakpoints, ledger: Ledger, run_id: str) -> int:
    clients = fresh_clients()
    breakpoints.attach(clients.session)
    spec = endpoint_specs(matrix_plan(), run_id, clients)[0]
    with deployed(spec, clients, ledger, polling=FEW_LOOKS):
        breakpoints.at(RUNNING)
    return 0
