"""Everything that can be known before a dollar is spent, as a list of checks, and what the plan comes to."""

import os
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import UserError
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.aws.errors import meaning
from deploy.lifecycle.ledger import Ledger
from deploy.preflight import account_checks, plan_checks
from deploy.preflight.estimate import Estimate, estimate
from deploy.preflight.plan_checks import Check, MachineFacts, PayloadFacts
from deploy.preflight.prices import quote
from deploy.spec.endpoint_spec import Target
from deploy.spec.resolve import Standing, as_it_stands, targets
from runfolder.manifest import PriceQuote

T = TypeVar("T")


@dataclass(frozen=True)
class Preflight:
    """The checks, in the order of a run, and the foreseen course."""

    plan: Plan
    """As it stands: an endpoint that exists has the instances that it has, whatever the plan says."""
    notice: str | None
    """What a reader of the report must be told of that endpoint."""
    checks: tuple[Check, ...]
    targets: tuple[Target, ...]
    quotes: Mapping[str, PriceQuote]
    estimate: Estimate

    @property
    def stops(self) -> tuple[Check, ...]:
        """The checks that must be mended before anything may start."""
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
) -> Preflight:
    """Check a plan against the account and this machine. Creates nothing and changes nothing.

    Args:
        plan: the plan.
        connect: makes the clients; what it raises becomes the first line.
        ledger: of this machine, for the usual time to InService.
        payloads: facts of the plan's payload files.
        results: where the run folder will be.
        run_id: of the run to be.
        assumption: the plan's price is a figure that nobody charges.
        boot_s: seconds to InService where the ledger knows none; None for what is usual on AWS.
    """
    found: list[Check] = []
    clients = _attempt("credentials", connect, found)
    if clients and (refused := _identified(clients, plan)):
        found.append(refused)
        clients = clients if refused.level == "warning" else None
    resolved: tuple[Target, ...] = ()
    notice: str | None = None
    if clients:
        if not refused:
            found += [account_checks.account(clients), account_checks.clock(clients)]
        found.append(Check("region", "ok", clients.region))
        if plan.endpoint.name and (
            standing := _attempt("endpoint", lambda: as_it_stands(plan, clients), found)
        ):
            plan = standing.plan
            notice = " ".join(text for text in (standing.instances, standing.schema) if text) or None
            found += _existing(standing)
        resolved = _attempt("plan", lambda: targets(plan, run_id, clients), found) or ()
    region = clients.region if clients else plan.endpoint.region or "us-east-1"
    quotes = {
        kind: quote(kind, region, plan.price, clients, assumption=assumption)
        for kind in plan.endpoint.instance_type
    }
    if clients:
        found += _account(resolved, clients)
        for target in resolved:
            found += _target(plan, target, clients)
    found += [account_checks.price(kind, quotes[kind]) for kind in quotes]
    boots = {kind: _usual(clients, ledger, kind) or boot_s for kind in plan.endpoint.instance_type}
    foreseen = estimate(plan, quotes, boots)
    if clients and (end := account_checks.lasting(plan, clients, foreseen.longest_s)):
        found.append(end)
    found += plan_checks.plan_checks(plan, payloads, machine_facts(results), foreseen)
    return Preflight(plan, notice, tuple(_once(found)), resolved, quotes, foreseen)


def machine_facts(results: Path) -> MachineFacts:
    """Limits of this machine."""
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


def _identified(clients: Clients, plan: Plan) -> Check | None:
    """Why nobody knows whose the credentials are; None where that is known.

    An endpoint that exists needs nothing but the runtime endpoint, which a private subnet may have alone.
    """
    try:
        clients.identity  # noqa: B018 - asked now, so that refused credentials are the first line
    except UserError as error:
        finding, remedy = finding_and_remedy(str(error))
        if plan.endpoint.name and _unreachable(error):
            return Check("credentials", "warning", finding, "the load needs only the runtime endpoint")
        return Check("credentials", "stop", finding, remedy)
    return None


def _unreachable(error: UserError) -> bool:
    cause = error.__cause__
    return isinstance(cause, Exception) and meaning(cause) in ("connection", "denied", "service", "throttled")


def _account(targets: Sequence[Target], clients: Clients) -> list[Check]:
    """What all targets of a run share: roles and quotas."""
    ours = [target for target in targets if not target.existing]
    if not ours:
        return []
    roles = (
        ("execution role", ours[0].role_arn, "sagemaker.amazonaws.com"),
        ("scheduler role", ours[0].scheduler_role_arn, "scheduler.amazonaws.com"),
    )
    asked = [account_checks.role(name, arn, service, clients) for name, arn, service in roles if arn]
    return [*asked, *account_checks.quotas(ours, clients)]


def _target(plan: Plan, target: Target, clients: Clients) -> list[Check]:
    if target.existing:
        return []
    return [
        *plan_checks.target_checks(plan, target),
        *_images(target, clients),
        account_checks.names_free(target, clients),
    ]


def _images(target: Target, clients: Clients) -> list[Check]:
    """Which of the target's images are where it says: only those that SageMaker would ask for at all."""
    sound = [
        m.container.image
        for m in target.models
        if plan_checks.image(m.container.image, target).level != "stop"
    ]
    found = (account_checks.image_there(uri, clients) for uri in sound)
    return [check for check in found if check]


def _existing(standing: Standing) -> list[Check]:
    """What could be seen of an endpoint that is not ours."""
    endpoint = standing.plan.endpoint
    if standing.instances:
        results = [Check("endpoint", "warning", standing.instances, "it can be benched all the same")]
    else:
        instances = f"{endpoint.instance_count} × {endpoint.instance_type[0]}"
        said = f"{endpoint.name} is in service on {instances}; it is never changed or deleted"
        results = [Check("endpoint", "ok", said)]
    if standing.schema:
        results.append(Check("request schema", "warning", standing.schema, "it can be benched all the same"))
    return results


def _attempt(name: str, what: Callable[[], T], found: list[Check]) -> T | None:
    try:
        return what()
    except UserError as error:
        finding, remedy = finding_and_remedy(str(error))
        found.append(Check(name, "stop", finding, remedy))
        return None


def finding_and_remedy(said: str) -> tuple[str, str]:
    """The two halves of a sentence that tells a mistake: ``what is wrong; remedy`` or ``what: remedy``."""
    finding, semicolon, remedy = said.rpartition("; ")
    if semicolon:
        return finding, remedy
    finding, _, remedy = said.partition(": ")
    return (said, "") if finding.endswith(" failed") else (finding, remedy)


def _usual(clients: Clients | None, ledger: Ledger, instance_type: str) -> float | None:
    return ledger.usual_boot_s(clients.api, instance_type) if clients else None


def _once(found: Sequence[Check]) -> list[Check]:
    return list(dict.fromkeys(found))
