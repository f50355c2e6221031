"""Checks that query the account: credentials, clock, roles, quotas, images, prices and names."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common.formatting import duration, hourly_price
from configs.plan import Plan
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import aws_message, classify
from deploy.aws.resources import KINDS, LARGE_PAGES, KindName
from deploy.preflight.plan_checks import CLOCK_LIMIT_S, Check, Level
from deploy.spec.endpoint_spec import EndpointSpec
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
"""Every form that ECR may store: it would have to convert an image of another form, which can fail."""
_NO_IMAGE = frozenset(
    {"ImageNotFound", "InvalidImageTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest"}
)


def check_account(clients: Clients) -> Check:
    """Whose credentials these are. Raises UserError when AWS rejects them."""
    identity = clients.identity
    return Check("credentials", "ok", f"account {identity.account} as {identity.arn.split(':', 5)[-1]}")


def check_credential_lifetime(
    plan: Plan, clients: Clients, longest_s: float, now: float | None = None
) -> Check | None:
    """Whether the credentials last until the end of the run; None where they do not expire or are renewed.

    Args:
        plan: the plan.
        clients: with the credentials.
        longest_s: seconds from now to the end of the deletion, at most.
        now: epoch seconds; None: the current time.
    """
    temporary, has_schedule = clients.temporary, plan.endpoint.scheduler_role is not None
    if temporary is None or plan.endpoint.name:
        return None
    name, run = "session", f"the run takes up to {duration(longest_s)}"
    remedy = "use credentials that last longer"
    if not has_schedule:
        remedy += ", or set endpoint.scheduler_role: its schedule deletes the endpoint without them"
    if temporary.expires_at is None:
        finding = f"these credentials are temporary and their expiry is not known; {run}"
        if has_schedule:
            return Check(name, "ok", f"{finding}, and the schedule deletes the endpoint without them")
        return Check(name, "warning", f"{finding}, and nothing deletes the endpoint once they expire", remedy)
    left_s = temporary.expires_at - (time.time() if now is None else now)
    finding = f"the credentials expire in {duration(max(0.0, left_s))}, {run}"
    return Check(name, "ok", finding) if left_s > longest_s else Check(name, "stop", finding, remedy)


def check_clock(clients: Clients) -> Check:
    """This machine's clock against AWS's, which rejects signatures more than five minutes off."""
    skew_s = clients.identity.clock_skew_s
    if skew_s is None:
        return Check("clock", "warning", "AWS's response had no Date header to compare with")
    finding = (
        f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} AWS"
        if abs(skew_s) >= 1.5
        else "agrees with AWS"
    )
    if abs(skew_s) > CLOCK_LIMIT_S / 5:
        level: Level = "stop" if abs(skew_s) > CLOCK_LIMIT_S * 0.8 else "warning"
        return Check("clock", level, finding, "set the clock (NTP): AWS rejects signatures 5 minutes off")
    return Check("clock", "ok", finding)


def check_role(name: str, arn: str, service: str, clients: Clients) -> Check:
    """Whether a role exists and ``service`` may assume it.

    Args:
        name: of the check: ``execution role`` or ``scheduler role``.
        arn: the role's.
        service: ``sagemaker.amazonaws.com`` or ``scheduler.amazonaws.com``.
        clients: of the role's account.
    """
    role_name = arn.rsplit("/", 1)[-1]
    try:
        role = clients.client("iam").get_role(RoleName=role_name)["Role"]
    except (ClientError, BotoCoreError) as error:
        if classify(error) == "missing":
            remedy = "create it, or name another one in the plan"
            return Check(name, "stop", f"the role {role_name} does not exist", remedy)
        finding = f"{role_name} could not be checked ({aws_message(error)})"
        return Check(name, "warning", finding, "allow iam:GetRole (docs/iam.md)")
    policy = role.get("AssumeRolePolicyDocument", {})
    if not may_assume(service, json.loads(policy) if isinstance(policy, str) else policy):
        remedy = f"add {service} to the role's trust policy"
        return Check(name, "stop", f"{role_name} does not let {service} assume it", remedy)
    return Check(name, "ok", f"{role_name}, which {service} may assume")


def may_assume(service: str, trust_policy: dict[str, Any]) -> bool:
    """Whether a role's trust policy lets ``service`` assume the role."""
    statements = trust_policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else principal
        services = [services] if isinstance(services, str) else services
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if (
            statement.get("Effect") == "Allow"
            and (service in services or "*" in services)
            and ({"sts:AssumeRole", "sts:*", "*"} & set(actions))
        ):
            return True
    return False


def check_quotas(specs: Sequence[EndpointSpec], clients: Clients) -> list[Check]:
    """Whether the quotas of each instance type, and of all types together, allow the run."""
    try:
        limits = limits_by_name(clients, "list_service_quotas")
        if any(_quota_name(spec) not in limits for spec in specs):
            # A quota without an applied value is not listed; its default applies.
            limits = limits_by_name(clients, "list_aws_default_service_quotas") | limits
        used = instances_in_use(clients)
    except (ClientError, BotoCoreError) as error:
        finding = f"could not be checked ({aws_message(error)})"
        remedy = "look it up in Service Quotas, or allow the calls in docs/iam.md"
        return [Check("quota", "warning", finding, remedy)]
    across_endpoints = [limit for quota, limit in limits.items() if _ACROSS_ENDPOINTS.search(quota)]
    checks: list[Check] = []
    for spec in specs:
        instance_type, needed = spec.instance_type, spec.instance_count
        name = f"quota {instance_type}"
        if (limit := limits.get(_quota_name(spec))) is None:
            remedy = "request one in Service Quotas (Amazon SageMaker, endpoint usage)"
            checks.append(Check(name, "stop", "the account has no quota for it in this region", remedy))
            continue
        checks.append(_check_quota(name, limit, used[instance_type], needed))
        checks += [
            _check_quota("quota of all endpoints", limit, used.total(), needed) for limit in across_endpoints
        ]
    return checks


def _quota_name(spec: EndpointSpec) -> str:
    return f"{spec.instance_type} for endpoint usage"


def _check_quota(name: str, limit: float, in_use: int, needed: int) -> Check:
    finding = f"{limit:g} allowed, {in_use} in use, {needed} needed"
    if in_use + needed > limit:
        remedy = f"request {in_use + needed} in Service Quotas, or delete an endpoint that is not needed"
        return Check(name, "stop", finding, remedy)
    return Check(name, "ok", finding)


def limits_by_name(clients: Clients, operation: str) -> dict[str, float]:
    """SageMaker's quotas by name, applied or default. AWS documents names, but no codes."""
    paginator = clients.client("service-quotas").get_paginator(operation)
    pages = paginator.paginate(ServiceCode="sagemaker", PaginationConfig=LARGE_PAGES)
    return {
        entry["QuotaName"]: float(entry["Value"])
        for page in pages
        for entry in page["Quotas"]
        if entry.get("Value") is not None
    }


def instances_in_use(clients: Clients) -> Counter[str]:
    """The instances of the account's endpoints, by type. Raises botocore's errors."""
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
        if instance_type := variant.get("InstanceType"):
            used[instance_type] += counts.get(variant["VariantName"]) or variant.get(
                "InitialInstanceCount", 1
            )
    return used


def check_image_exists(uri: str, clients: Clients, setting: str = "model.image") -> Check | None:
    """Whether Amazon ECR has the image, with the call that SageMaker makes; None for other registries.

    Args:
        uri: of the image.
        clients: with the credentials.
        setting: that names the image, for the remedy.
    """
    image = ecr_image(uri)
    if image is None:
        return None
    image_id = {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag or "latest"}
    place = f"repository {image.repository} of account {image.registry} in {image.region}"
    remedy = f"correct {setting}; `aws ecr list-images` lists the images"
    name = "image in ECR"
    try:
        answer = clients.client("ecr", image.region).batch_get_image(
            registryId=image.registry,
            repositoryName=image.repository,
            imageIds=[image_id],
            acceptedMediaTypes=_MANIFESTS,
        )
    except (ClientError, BotoCoreError) as error:
        if classify(error) == "missing":
            return Check(name, "stop", f"there is no {place}", remedy)
        finding = f"could not be checked ({aws_message(error)})"
        return Check(name, "warning", finding, "allow ecr:BatchGetImage on it (docs/iam.md)")
    label = image.digest or image.tag
    if not answer.get("images"):
        failure: dict[str, Any] = next(iter(answer.get("failures", [])), {})
        reason = f" ({failure['failureReason']})" if failure.get("failureReason") else ""
        if failure.get("failureCode", "ImageNotFound") not in _NO_IMAGE:
            return Check(name, "warning", f"{label} could not be checked in {place}{reason}")
        return Check(name, "stop", f"{label} is not in {place}{reason}", remedy)
    return Check(name, "ok", f"{label} is in {place}")


def check_price(instance_type: str, quote: PriceQuote) -> Check:
    """Whether there is a price for the type, and how reliable its source is."""
    name = f"price {instance_type}"
    if quote.usd_per_hour is None:
        remedy = "the run has no cost figures; set price.usd_per_hour to get them"
        return Check(name, "warning", quote.source, remedy)
    assumed = "an assumption: " if quote.assumption else ""
    dated = f", {quote.as_of}" if quote.as_of else ""
    finding = f"{assumed}{hourly_price(quote.usd_per_hour)} per instance-hour ({quote.source}{dated})"
    if quote.kind == "table":
        return Check(name, "warning", finding, "check it, and set price.usd_per_hour")
    return Check(name, "ok", finding)


def check_names_free(spec: EndpointSpec, clients: Clients) -> Check:
    """Whether the names of the endpoint and its configuration are unused."""
    kinds: tuple[KindName, ...] = ("endpoint", "endpoint-config")
    try:
        taken = [kind for kind in kinds if resources.describe(clients, KINDS[kind], spec.name)]
    except (ClientError, BotoCoreError) as error:
        return Check("names", "warning", f"{spec.name} could not be looked up ({aws_message(error)})")
    if taken:
        return Check("names", "stop", f"{spec.name} exists already", "start again: each run uses new names")
    return Check("names", "ok", f"{spec.name} is free")
