"""Where a plan is played: the user's AWS account, or a SageMaker on this machine.

This is the one place that chooses. A local SageMaker is reached by the standard ``AWS_ENDPOINT_URL``
settings, so no other package knows the difference.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.monitoring.otlp_environment import HEADERS as OTLP_HEADERS
from common.paths import local_ledger_folder
from configs.dwell import MeasureUntil, WarmUpUntil
from configs.plan import Plan
from emulator.process import LocalSageMaker
from runfolder.manifest import Notice

SHORTENED_NOTICE = Notice(
    kind="shortened_rehearsal",
    text="The plan's windows were shortened to rehearse its course; FULL=1 keeps them.",
)
_SHORT_MEASURE_S = 20.0
_SHORT_WARM_UP_S = 5.0
_SHORT_TRACE_S = 40.0
_SHORT_SEARCH_S = 300.0
_SHORT_REQUESTS = 40
_LOCAL_ROLE = "local-sagemaker"
_LOCAL_BOOT_S = 5.0
_FAKE_TOKEN = "a-token-that-opens-nothing"  # noqa: S105 - it opens nothing


@dataclass(frozen=True)
class Backend:
    """What a run on this backend needs to know."""

    plan: Plan
    notices: tuple[Notice, ...] = ()
    label: str | None = None
    """Name of the instance in the report where its type alone would mislead; ``{}`` stands for the type."""
    assumed_price: bool = False
    boot_s: float | None = None
    """Expected seconds to InService; None for what is usual on AWS."""
    ledger_folder: Path | None = None
    """Where what the run creates is recorded; None for the ledger of the AWS accounts."""
    worker_keys: str = ""
    """What the command of a worker must start with: URL and keys of a local SageMaker."""

    def instance_label(self, instance_type: str) -> str | None:
        """Name of the instance in the report; None for its plain type."""
        return self.label.format(instance_type) if self.label else None


@contextmanager
def backend_for(plan: Plan, *, rehearse: bool, full_windows: bool = False) -> Iterator[Backend]:
    """The backend of a plan, started and stopped with the block.

    Args:
        plan: as validated.
        rehearse: play a plan for AWS on a local SageMaker with a simulated container.
        full_windows: a rehearsal keeps the plan's windows; otherwise they are shortened.

    Raises:
        UserError: the local SageMaker does not start.
    """
    if plan.model.source != "local" and not rehearse:
        yield Backend(plan)
        return
    region, withheld = plan.endpoint.region or "us-east-1", plan.token_variables | OTLP_HEADERS
    with LocalSageMaker(region=region, withheld=withheld) as local, _environment(local):
        _seed_account(local, plan)
        if rehearse:
            shown = plan if full_windows else _short(plan)
            notices = () if shown == plan else (SHORTENED_NOTICE,)
            yield Backend(
                shown,
                notices,
                label="{} (rehearsal)",
                boot_s=_LOCAL_BOOT_S,
                ledger_folder=local_ledger_folder(),
                worker_keys=_keys(local),
            )
        else:
            yield Backend(
                plan,
                label="this machine (as {})",
                assumed_price=True,
                boot_s=_LOCAL_BOOT_S,
                ledger_folder=local_ledger_folder(),
                worker_keys=_keys(local),
            )


def _seed_account(local: LocalSageMaker, plan: Plan) -> None:
    """Give the local account what the plan expects: roles, instance quotas and the token's secret."""
    endpoint = plan.endpoint
    roles: dict[str, list[str]] = {}
    for role, service in ((endpoint.role, "sagemaker"), (endpoint.scheduler_role, "scheduler")):
        for name in {role, role.rsplit("/", 1)[-1]} if role else ():
            roles.setdefault(name, []).append(f"{service}.amazonaws.com")
    local.configure("roles", roles)
    local.configure("quotas", dict.fromkeys(endpoint.instance_type, endpoint.instance_count))
    local.configure("secrets", {m.hub_token_secret: _FAKE_TOKEN for m in plan.models if m.hub_token_secret})


@contextmanager
def _environment(local: LocalSageMaker) -> Iterator[None]:
    """Send every AWS call of this process and its children to ``local``, and none anywhere else."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(local.environment, SAGEMAKER_ROLE=_LOCAL_ROLE)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy cannot reach this machine's loopback
        others = before.get(name)
        os.environ[name] = f"127.0.0.1,localhost,{others}" if others else "127.0.0.1,localhost"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _keys(local: LocalSageMaker) -> str:
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return "".join(f"{name}={local.environment[name]} " for name in names)


def _short(plan: Plan) -> Plan:
    """The plan with windows so short that a rehearsal takes minutes, not hours."""
    load = plan.load
    changes: dict[str, Any] = {"warm_up": _at_most(load.warm_up, _SHORT_WARM_UP_S)}
    if load.trace is None and load.shape is None:
        changes["measure"] = _at_most(load.measure, _SHORT_MEASURE_S)
    if load.trace is not None:
        limit = _SHORT_TRACE_S * max(load.trace.speed)
        changes["trace"] = load.trace.model_copy(update={"limit": min(load.trace.limit or limit, limit)})
    elif load.shape is not None:
        shorter = [{"seconds": min(piece.seconds, _SHORT_MEASURE_S)} for piece in load.shape]
        pieces = zip(load.shape, shorter, strict=True)
        changes["shape"] = tuple(piece.model_copy(update=change) for piece, change in pieces)
    elif load.search is not None:
        at_most = min(load.search.at_most, _SHORT_SEARCH_S)
        changes["search"] = load.search.model_copy(update={"at_most": at_most})
    elif load.measure_until is None:
        changes["min_requests"] = min(load.min_requests or _SHORT_REQUESTS, _SHORT_REQUESTS)
    return plan.model_copy(update={"load": load.model_copy(update=changes)})


def _at_most(
    length: float | MeasureUntil | WarmUpUntil, seconds: float
) -> float | MeasureUntil | WarmUpUntil:
    """The length of a phase, bounded."""
    if isinstance(length, float):
        return min(length, seconds)
    least = 0.0 if length.at_least == "mlperf" else length.at_least
    least = None if least is None else min(least, seconds)
    return length.model_copy(update={"at_least": least, "at_most": min(length.at_most, seconds)})
