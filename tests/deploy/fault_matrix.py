"""The table that issue and docs ask for: every control-plane call × every fault → outcome and leftovers.

`python -m tests.deploy.fault_matrix` prints it as Markdown; `test_faults.py` holds every row to the promise.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import UserError
from configs.plan import Plan
from deploy.lifecycle.endpoint import deployed
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.removal import LeftBehindError, Leftover
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import (
    IMPATIENT,
    IMPATIENT_DELETION,
    QUICK,
    fresh_clients,
    here,
    in_parallel,
    plan,
    renew_server,
)
from tests.support.emulator_admin import KIND_IN_STATE

CREATES = (
    "CreateModel",
    "CreateEndpointConfig",
    "CreateSchedule",
    "CreateEndpoint",
    "CreateInferenceComponent",
)
DESCRIBES = ("DescribeEndpoint", "DescribeInferenceComponent")
DELETES = (
    "DeleteInferenceComponent",
    "DeleteEndpoint",
    "DeleteEndpointConfig",
    "DeleteModel",
    "DeleteSchedule",
)
DEPLOY_FAILED = 1
"""What `bench.run.play` makes of an error while it deploys or deletes."""
PASSING = {
    "throttle",
    "5xx",
    "drop_connection",
    "drop_connection (answer)",
    "not_yet_visible",
    "delete_refused",
}
"""Faults that, met once, must not even be noticed."""


@dataclass(frozen=True)
class Case:
    """One fault of one call: once, or every time."""

    call: str
    fault: str
    always: bool = False

    @property
    def rule(self) -> dict[str, Any]:
        """As the local SageMaker takes it."""
        name, _, answer = self.fault.partition(" ")
        rule = {"call": self.call, "fault": name, "nth": 0 if self.always else 1}
        return rule | ({"when": "after"} if answer else {})

    @property
    def hopeless(self) -> bool:
        """Whether waiting is in vain; a denial is final at once, and all else needs its time."""
        return (self.always and self.fault != "access_denied") or self.fault == "stuck_creating"

    @property
    def times(self) -> str:
        return "always" if self.always else "once"

    def __str__(self) -> str:
        return f"{self.call}-{self.fault}-{self.times}".replace(" ", "-")


@dataclass(frozen=True)
class Outcome:
    """What became of a run that met a fault."""

    served: bool
    error: str | None
    named: tuple[str, ...]
    """Leftovers that the error names, as ``kind/name``."""
    commands: tuple[str, ...]
    left: tuple[str, ...]
    """What the account still holds."""


def cases() -> Iterator[Case]:
    """Every row of the table."""
    for call in CREATES:
        for fault in ("throttle", "5xx", "drop_connection", "drop_connection (answer)"):
            yield Case(call, fault)
        for fault in ("throttle", "access_denied", "resource_limit", "name_taken"):
            yield Case(call, fault, always=True)
    yield Case("CreateEndpointConfig", "not_yet_visible")
    yield Case("CreateEndpoint", "not_yet_visible")
    yield Case("CreateEndpoint", "not_yet_visible", always=True)
    for fault in ("insufficient_capacity", "failed", "stuck_creating"):
        yield Case("CreateEndpoint", fault)
    for call in DESCRIBES:
        for fault in ("throttle", "5xx", "not_yet_visible", "drop_connection"):
            yield Case(call, fault)
        yield Case(call, "access_denied")
        yield Case(call, "access_denied", always=True)
    for call in DELETES:
        for fault in ("throttle", "5xx", "delete_refused", "drop_connection", "drop_connection (answer)"):
            yield Case(call, fault)
        for fault in ("access_denied", "delete_refused"):
            yield Case(call, fault, always=True)


def matrix_plan() -> Plan:
    """A plan that makes every kind of thing: model, configuration, schedule, endpoint, component."""
    return plan(
        endpoint={
            "instance_type": "ml.g5.xlarge",
            "scheduler_role": "local-scheduler",
            "components": [{"name": "main", "copies": 1, "accelerators": 1}],
            "startup_timeout": 60,
            "download_timeout": 60,
        }
    )


def play(case: Case) -> Outcome:
    """Deploy and delete once, with the fault set; then look what is left."""
    account = here()
    clients = fresh_clients()
    spec = endpoint_specs(matrix_plan(), f"run {case}", clients)[0]
    served, error = False, None
    leftovers: tuple[Leftover, ...] = ()
    account.faults([case.rule])
    polling = QUICK
    if case.hopeless:
        # A busy machine may need its time to create and delete what has no fault.
        polling = IMPATIENT_DELETION if case.call in DELETES else IMPATIENT
    with tempfile.TemporaryDirectory() as folder:
        try:
            with deployed(spec, clients, Ledger(Path(folder)), polling=polling):
                served = True
        except LeftBehindError as left:
            error, leftovers = str(left), left.leftovers
        except UserError as failure:
            error = str(failure)
    account.faults([])
    outcome = Outcome(
        served=served,
        error=error,
        named=tuple(sorted(f"{KIND_IN_STATE[one.item.kind]}/{one.item.name}" for one in leftovers)),
        commands=tuple(one.command for one in leftovers),
        left=tuple(account.left()),
    )
    if case.fault == "stuck_creating":
        renew_server()  # nothing can delete it
    else:
        account.empty()
    return outcome


def table(outcomes: dict[Case, Outcome]) -> str:
    """The table, as Markdown."""
    lines = [
        "| call | fault | how often | the run | exit code | left in the account | named, with its command |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, outcome in outcomes.items():
        left = ", ".join(sorted({entry.split("/")[0] for entry in outcome.left})) or "nothing"
        named = ", ".join(sorted({entry.split("/")[0] for entry in outcome.named})) or "—"
        run = "served" if outcome.served else "not served"
        code = 0 if outcome.error is None else DEPLOY_FAILED
        lines.append(f"| {case.call} | {case.fault} | {case.times} | {run} | {code} | {left} | {named} |")
    return "\n".join(lines)


def outcomes() -> dict[Case, Outcome]:
    """Play every case, in several processes, each with a local SageMaker of its own."""
    every = list(cases())
    return dict(zip(every, in_parallel(play, every), strict=True))


if __name__ == "__main__":
    print(table(outcomes()))
