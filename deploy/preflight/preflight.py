"""All checks before a run, and its estimate. Creates nothing."""

import os
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import UserError
from configs.load import TraceSize
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.aws.errors import classify
from deploy.lifecycle.ledger import Ledger
from deploy.preflight import account_checks, plan_checks
from deploy.preflight.estimate import Estimate, estimate
from deploy.preflight.plan_checks import Check, MachineFacts, PayloadFacts
from deploy.preflight.prices import quote
from deploy.spec.endpoint_spec import EndpointSpec
from deploy.spec.resolve import ActualPlan, endpoint_specs, with_actual_endpoint
from runfolder.manifest import PriceQuote

T = TypeVar("T")

_STILL_POSSIBLE = "you can still benchmark it"


@dataclass(frozen=True)
class Preflight:
    """The checks, in the order of a run, and the estimate."""

    plan: Plan
    """The plan; for an existing endpoint, with its actual instances and model."""
    notice: str | None
    """What the report must mention about an existing endpoint."""
    checks: tuple[Check, ...]
    specs: tuple[EndpointSpec, ...]
    quotes: Mapping[str, PriceQuote]
    estimate: Estimate

    @property
    def stops(self) -> tuple[Check, ...]:
        """The checks that prevent the run."""
        return tuple(check for check in self.checks if check.level == "stop")


def preflight(
    plan: Plan,
    connect: Callable[[], Clients],
    ledger: Ledger,
    *,
    payloads: Sequence[PayloadFacts] = (),
    results: Path = Path("results"),
    run_id: str = "preflight",
    assumption: bool = False,
    boot_s: float | None = None,
    trace: TraceSize | None = None,
) -> Preflight:
    """Check a plan against the account and this machine. Changes nothing.

    Args:
        plan: the plan.
        connect: creates the clients; a `UserError` of it becomes the first check.
        ledger: of this machine, for the usual time to InService.
        payloads: facts of the plan's payload files.
        results: the folder in which the run folder will be.
        run_id: of the run.
        assumption: mark the plan's price as a figure that nobody charges.
        boot_s: seconds to InService if the ledger has none; None: the usual time on AWS.
        trace: what the plan replays.
    """
    checks: list[Check] = []
    clients = _attempt("credentials", connect, checks)
    if clients and (refused := _check_identity(clients, plan)):
        checks.append(refused)
        clients = clients if refused.level == "warning" else None
    resolved: tuple[EndpointSpec, ...] = ()
    notice: str | None = None
    if clients:
        if not refused:
            checks += [account_checks.check_account(clients), account_checks.check_clock(clients)]
        checks.append(Check("region", "ok", clients.region))
        if plan.endpoint.name and (
            actual := _attempt("endpoint", lambda: with_actual_endpoint(plan, clients), checks)
        ):
            plan = actual.plan
            notices = (actual.instances_notice, actual.schema_notice)
            notice = " ".join(text for text in notices if text) or None
            checks += _check_existing(actual)
        resolved = _attempt("plan", lambda: endpoint_specs(plan, run_id, clients), checks) or ()
    region = clients.region if clients else plan.endpoint.region or "us-east-1"
    quotes = {
        kind: quote(kind, region, plan.price, clients, assumption=assumption)
        for kind in plan.endpoint.instance_type
    }
    if clients:
        checks += _check_roles_and_quotas(resolved, clients)
        for spec in resolved:
            checks += _check_spec(plan, spec, clients)
    checks += [account_checks.check_price(kind, quotes[kind]) for kind in quotes]
    boots = {kind: _usual_boot_s(clients, ledger, kind) or boot_s for kind in plan.endpoint.instance_type}
    estimated = estimate(plan, quotes, boots, trace)
    if clients and (session := account_checks.check_credential_lifetime(plan, clients, estimated.longest_s)):
        checks.append(session)
    checks += plan_checks.check_plan_and_machine(plan, payloads, machine_facts(results), estimated)
    return Preflight(plan, notice, tuple(dict.fromkeys(checks)), resolved, quotes, estimated)


def machine_facts(results: Path) -> MachineFacts:
    """The limits of this machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    existing = next(
        (path for path in (results.absolute(), *results.absolute().parents) if path.exists()), None
    )
    return MachineFacts(
        open_files=None if hard == resource.RLIM_INFINITY else hard,
        disk_free_bytes=shutil.disk_usage(existing).free
        if existing and os.access(existing, os.R_OK)
        else None,
    )


def _check_identity(clients: Clients, plan: Plan) -> Check | None:
    """Why the account of the credentials is not known; None where it is.

    A load on an existing endpoint needs only the runtime API, which may be all that a private subnet reaches.
    """
    try:
        clients.identity  # noqa: B018 - requested now: refused credentials are the first check
    except UserError as error:
        if plan.endpoint.name and _unreachable(error):
            unchecked = "account and clock are not checked; the load needs only the runtime API"
            return Check("credentials", "warning", error.finding, unchecked)
        return Check("credentials", "stop", error.finding, error.remedy, error.setting)
    return None


def _unreachable(error: UserError) -> bool:
    cause = error.__cause__
    return isinstance(cause, Exception) and classify(cause) in (
        "connection",
        "denied",
        "service",
        "throttled",
    )


def _check_roles_and_quotas(specs: Sequence[EndpointSpec], clients: Clients) -> list[Check]:
    """What all endpoints of a run share."""
    to_create = [spec for spec in specs if not spec.existing]
    if not to_create:
        return []
    roles = (
        ("execution role", to_create[0].role_arn, "sagemaker.amazonaws.com"),
        ("scheduler role", to_create[0].scheduler_role_arn, "scheduler.amazonaws.com"),
    )
    checks = [account_checks.check_role(name, arn, service, clients) for name, arn, service in roles if arn]
    return [*checks, *account_checks.check_quotas(to_create, clients)]


def _check_spec(plan: Plan, spec: EndpointSpec, clients: Clients) -> list[Check]:
    if spec.existing:
        return []
    return [
        *plan_checks.check_spec(plan, spec),
        *_check_images(spec, clients),
        account_checks.check_names_free(spec, clients),
    ]


def _check_images(spec: EndpointSpec, clients: Clients) -> list[Check]:
    """Whether the images exist: only those that SageMaker would pull at all."""
    uris = [model.container.image for model in spec.models]
    pullable = [uri for uri in uris if plan_checks.check_image(uri, spec).level != "stop"]
    checks = (account_checks.check_image_exists(uri, clients) for uri in pullable)
    return [check for check in checks if check]


def _check_existing(actual: ActualPlan) -> list[Check]:
    """What could be determined about an existing endpoint."""
    endpoint = actual.plan.endpoint
    if actual.instances_notice:
        checks = [Check("endpoint", "warning", actual.instances_notice, _STILL_POSSIBLE)]
    else:
        instances = f"{endpoint.instance_count} × {endpoint.instance_type[0]}"
        finding = f"{endpoint.name} is in service on {instances}; it is never changed or deleted"
        checks = [Check("endpoint", "ok", finding)]
    if actual.schema_notice:
        checks.append(Check("request schema", "warning", actual.schema_notice, _STILL_POSSIBLE))
    return checks


def _attempt(name: str, action: Callable[[], T], checks: list[Check]) -> T | None:
    """The result of ``action``; a `UserError` becomes a check, and the result None."""
    try:
        return action()
    except UserError as error:
        checks.append(Check(name, "stop", error.finding, error.remedy, error.setting))
        return None


def _usual_boot_s(clients: Clients | None, ledger: Ledger, instance_type: str) -> float | None:
    return ledger.usual_boot_s(clients.api, instance_type) if clients else None
