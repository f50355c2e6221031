"""Checks that ask the account: who we are, what the role allows, what is left of the quota, what is taken."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from configs.plan import Plan
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import meaning, message
from deploy.aws.resources import KINDS, LARGE_PAGES, KindName
from deploy.preflight.plan_checks import CLOCK_LIMIT_S, Check, Level
from deploy.spec.endpoint_spec import Target
from deploy.spec.images import ecr_image
from runfolder.manifest import PriceQuote

_ACROSS_ENDPOINTS = re.compile(r"number of instances .*across active endpoints", re.IGNORECASE)
_MANIFESTS = [
    f"application/vnd.{kind}+json"
    for kind in (
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "oci.image.index.v1",
    )
]
"""What ECR may answer with: a form that is not asked for it would have to convert, which can fail."""
_NOT_THERE = frozenset(
    {"ImageNotFound", "InvalidImageTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest"}
)


def account(clients: Clients) -> Check:
    """Whose credentials these are. Raises UserError when there are none that work."""
    identity = clients.identity
    return Check("credentials", "ok", f"account {identity.account} as {identity.arn.split(':', 5)[-1]}")


def lasting(plan: Plan, clients: Clients, longest_s: float, now: float | None = None) -> Check | None:
    """Whether the credentials outlast the longest course; None where they last or are renewed.

    Args:
        plan: the plan.
        clients: with the credentials.
        longest_s: seconds from now to the end of the deletion.
        now: epoch seconds; None: this moment.
    """
    temporary, safe = clients.temporary, plan.endpoint.scheduler_role is not None
    if temporary is None or plan.endpoint.name:
        return None
    name, run = "session", f"the run takes up to {longest_s / 60:.0f} min"
    remedy = "take longer ones" + (
        "" if safe else ", or set endpoint.scheduler_role: it deletes without them"
    )
    if temporary.expires_at is None:
        said = f"nothing says when these credentials end; {run}"
        if safe:
            return Check(name, "ok", f"{said}, and the schedule deletes without them")
        return Check(name, "warning", f"{said}, and without them nothing deletes the endpoint", remedy)
    left = temporary.expires_at - (time.time() if now is None else now)
    said = f"the credentials end in {max(0.0, left) / 60:.0f} min, {run}"
    return Check(name, "ok", said) if left > longest_s else Check(name, "stop", said, remedy)


def clock(clients: Clients) -> Check:
    """This machine's clock against AWS's, which refuses signatures more than five minutes off."""
    skew = clients.identity.clock_skew_s
    if skew is None:
        return Check("clock", "warning", "the answer bore no date to compare with")
    finding = (
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS"
        if abs(skew) >= 1.5
        else "agrees with AWS"
    )
    if abs(skew) > CLOCK_LIMIT_S / 5:
        level: Level = "stop" if abs(skew) > CLOCK_LIMIT_S * 0.8 else "warning"
        return Check("clock", level, finding, "set the clock (NTP): signatures fail when it is 5 minutes off")
    return Check("clock", "ok", finding)


def role(name: str, arn: str, service: str, clients: Clients) -> Check:
    """Whether a role exists and ``service`` may assume it.

    Args:
        name: what the plan needs it for: ``execution role`` or ``scheduler role``.
        arn: the role's.
        service: ``sagemaker.amazonaws.com`` or ``scheduler.amazonaws.com``.
        clients: of the role's account.
    """
    called = arn.rsplit("/", 1)[-1]
    try:
        found = clients.client("iam").get_role(RoleName=called)["Role"]
    except (ClientError, BotoCoreError) as error:
        if meaning(error) == "missing":
            return Check(name, "stop", f"there is no role {called}", "create it, or name another in the plan")
        said = f"{called} could not be looked at ({message(error)})"
        return Check(name, "warning", said, "allow iam:GetRole to have it checked (docs/iam.md)")
    policy = found.get("AssumeRolePolicyDocument", {})
    if not trusts(json.loads(policy) if isinstance(policy, str) else policy, service):
        remedy = f"add {service} to the role's trust policy"
        return Check(name, "stop", f"{called} does not let {service} assume it", remedy)
    return Check(name, "ok", f"{called}, which {service} may assume")


def trusts(policy: dict[str, Any], service: str) -> bool:
    """Whether a trust policy lets ``service`` assume the role."""
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else principal
        named = [services] if isinstance(services, str) else services
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if (
            statement.get("Effect") == "Allow"
            and (service in named or "*" in named)
            and ({"sts:AssumeRole", "sts:*", "*"} & set(actions))
        ):
            return True
    return False


def quotas(targets: Sequence[Target], clients: Clients) -> list[Check]:
    """Instances of each type, and of all types together where that is limited, that may still be started."""
    try:
        limits = limits_by_name(clients, "list_service_quotas")
        if any(_of_type(target) not in limits for target in targets):
            # Without an applied value a quota is not listed; its default holds.
            limits = limits_by_name(clients, "list_aws_default_service_quotas") | limits
        used = instances_in_use(clients)
    except (ClientError, BotoCoreError) as error:
        said = f"could not be asked ({message(error)})"
        remedy = "look it up in Service Quotas, or allow the calls in docs/iam.md"
        return [Check("quota", "warning", said, remedy)]
    across = [limit for quota, limit in limits.items() if _ACROSS_ENDPOINTS.search(quota)]
    found: list[Check] = []
    for target in targets:
        kind, wanted = target.instance_type, target.instance_count
        if (limit := limits.get(_of_type(target))) is None:
            remedy = "request it in Service Quotas (Amazon SageMaker, endpoint usage)"
            said = "the account has no quota for it in this region"
            found.append(Check(f"quota {kind}", "stop", said, remedy))
            continue
        found.append(_within(f"quota {kind}", limit, used[kind], wanted))
        found += [_within("quota of all endpoints", limit, used.total(), wanted) for limit in across]
    return found


def _of_type(target: Target) -> str:
    return f"{target.instance_type} for endpoint usage"


def _within(name: str, limit: float, in_use: int, wanted: int) -> Check:
    finding = f"{limit:g} allowed, {in_use} in use, {wanted} wanted"
    if in_use + wanted > limit:
        remedy = f"request {in_use + wanted} in Service Quotas, or `make endpoints` to see what is in use"
        return Check(name, "stop", finding, remedy)
    return Check(name, "ok", finding)


def limits_by_name(clients: Clients, operation: str) -> dict[str, float]:
    """SageMaker's quotas by their names, applied or default; their codes are written down nowhere."""
    paginator = clients.client("service-quotas").get_paginator(operation)
    pages = paginator.paginate(ServiceCode="sagemaker", PaginationConfig=LARGE_PAGES)
    return {
        entry["QuotaName"]: float(entry["Value"])
        for page in pages
        for entry in page["Quotas"]
        if entry.get("Value") is not None
    }


def instances_in_use(clients: Clients) -> Counter[str]:
    """Instances that the account's endpoints have now, by type. Raises what botocore raises."""
    used: Counter[str] = Counter()
    pages = clients.sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig=LARGE_PAGES)
    for page in pages:
        for summary in page["Endpoints"]:
            used += _instances_of(summary["EndpointName"], clients)
    return used


def _instances_of(endpoint_name: str, clients: Clients) -> Counter[str]:
    used: Counter[str] = Counter()
    endpoint = resources.describe(clients, KINDS["endpoint"], endpoint_name)
    if endpoint is None:
        return used
    config = resources.describe(clients, KINDS["endpoint-config"], endpoint["EndpointConfigName"]) or {}
    counts = {
        variant["VariantName"]: variant.get("DesiredInstanceCount") or variant.get("CurrentInstanceCount")
        for variant in endpoint.get("ProductionVariants", [])
    }
    for variant in config.get("ProductionVariants", []):
        if kind := variant.get("InstanceType"):
            used[kind] += counts.get(variant["VariantName"]) or variant.get("InitialInstanceCount", 1)
    return used


def image_there(uri: str, clients: Clients) -> Check | None:
    """Whether Amazon ECR has the image, asked as SageMaker will; None where it is no image of ECR."""
    found = ecr_image(uri)
    if found is None:
        return None
    wanted = {"imageDigest": found.digest} if found.digest else {"imageTag": found.tag or "latest"}
    place = f"repository {found.repository} of account {found.registry} in {found.region}"
    remedy = "correct model.image; `aws ecr list-images` shows what is there"
    try:
        answer = clients.client("ecr", found.region).batch_get_image(
            registryId=found.registry,
            repositoryName=found.repository,
            imageIds=[wanted],
            acceptedMediaTypes=_MANIFESTS,
        )
    except (ClientError, BotoCoreError) as error:
        if meaning(error) == "missing":
            return Check("image in ECR", "stop", f"there is no {place}", remedy)
        said = f"could not be asked ({message(error)})"
        return Check("image in ECR", "warning", said, "allow ecr:BatchGetImage on it (docs/iam.md)")
    named = found.digest or found.tag
    if not answer.get("images"):
        failure: dict[str, Any] = next(iter(answer.get("failures", [])), {})
        reason = f" ({failure['failureReason']})" if failure.get("failureReason") else ""
        if failure.get("failureCode", "ImageNotFound") not in _NOT_THERE:
            return Check("image in ECR", "warning", f"{named} could not be looked at in {place}{reason}")
        return Check("image in ECR", "stop", f"{named} is not in {place}{reason}", remedy)
    return Check("image in ECR", "ok", f"{named} is in {place}")


def price(instance_type: str, found: PriceQuote) -> Check:
    """Whether the type is offered in the region, by its price."""
    name = f"price {instance_type}"
    if found.usd_per_hour is None:
        return Check(
            name, "warning", found.source, "the run goes on without cost; price.usd_per_hour sets one"
        )
    assumed = "an assumption: " if found.assumption else ""
    dated = f", {found.as_of}" if found.as_of else ""
    finding = f"{assumed}{dollars(found.usd_per_hour)} per instance-hour ({found.source}{dated})"
    if "shipped table" in found.source:
        return Check(name, "warning", finding, "check it, and set price.usd_per_hour")
    return Check(name, "ok", finding)


def dollars(usd: float) -> str:
    """An hourly price with its cents and no digit less than it has: ``$1.4084``, ``$0.10``."""
    text = f"{usd:.4f}"
    return f"${text[:-2]}{text[-2:].rstrip('0')}"


def names_free(target: Target, clients: Clients) -> Check:
    """Whether the names that will be created are free."""
    parts: tuple[KindName, ...] = ("endpoint", "endpoint-config")
    try:
        taken = [kind for kind in parts if resources.describe(clients, KINDS[kind], target.name)]
    except (ClientError, BotoCoreError) as error:
        return Check("names", "warning", f"{target.name} could not be looked up ({message(error)})")
    if taken:
        return Check("names", "stop", f"{target.name} exists already", "`make endpoints` shows whose it is")
    return Check("names", "ok", f"{target.name} is free")
