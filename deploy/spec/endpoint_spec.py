"""What a plan comes to on one instance type: every name, image, number and tag, and no secret."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from configs.plan import Component, Endpoint, Plan
from deploy.aws.secrets import HubToken
from deploy.spec.tags import TAG_EXPIRES, expiry_tag, our_tags, own_tags

STARTUP_S = 900.0
DOWNLOAD_S = 1200.0
"""Time-outs where neither the plan nor the model says any: SageMaker's own 240 s are too short for LLMs."""
_NAME_LIMIT = 63
_READABLE = 30
_COMPONENT_LEAD_S = 600.0
_OURS = re.compile(r"^(?P<group>.+-[0-9a-f]{10})(?:-.+)?$")
_CUDA_13_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
_CUDA_12_9_AMI = "al2-ami-sagemaker-inference-gpu-3-1"
_AMI_BY_CUDA = {"cu130": _CUDA_13_AMI, "cu129": _CUDA_12_9_AMI}
"""A container of these CUDA versions does not start on the default image of the host: too old a driver."""


@dataclass(frozen=True)
class Host:
    """What a model asks of the instance that serves it; None where it asks for nothing."""

    startup_timeout: float | None = None
    download_timeout: float | None = None
    inference_ami: str | None = None
    volume_gb: int | None = None


@dataclass(frozen=True)
class Container:
    """What a model is made of."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    model_data: str | None = None
    accept_eula: bool = False
    hub_token: HubToken = field(default_factory=HubToken)
    host: Host = field(default_factory=Host)


@dataclass(frozen=True)
class ModelSpec:
    """One CreateModel."""

    name: str
    container: Container


@dataclass(frozen=True)
class ComponentSpec:
    """One CreateInferenceComponent: copies of a model on the endpoint."""

    name: str
    model: str
    copies: int
    accelerators: float | None
    cpus: float | None
    memory_mb: int


@dataclass(frozen=True)
class Target:
    """One endpoint to be, or, with ``existing``, one that is there and is never changed."""

    name: str
    run_id: str
    region: str
    instance_type: str
    instance_count: int = 1
    existing: bool = False
    owner: str = ""
    process: str = ""
    """`owner.Process` that makes it, as text."""
    role_arn: str | None = None
    models: tuple[ModelSpec, ...] = ()
    components: tuple[ComponentSpec, ...] = ()
    component: str | None = None
    """The inference component that the load goes to."""
    startup_timeout: float = STARTUP_S
    download_timeout: float = DOWNLOAD_S
    inference_ami: str | None = None
    volume_gb: int | None = None
    max_lifetime: float | None = None
    """Seconds from its creation to its expiry."""
    expires_at: float | None = None
    """Epoch seconds."""
    components_expire_at: float | None = None
    """Epoch seconds: before the endpoint, which cannot be deleted while it has components."""
    scheduler_role_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def starting_at(self, now: float) -> "Target":
        """The same with its expiry counted from ``now``: another target of the run may have gone before."""
        if self.max_lifetime is None:
            return self
        expires_at = now + self.max_lifetime
        parts = expires_at - component_lead(self.max_lifetime) if self.components else None
        tags = {**self.tags, TAG_EXPIRES: expiry_tag(expires_at)}
        return replace(self, expires_at=expires_at, components_expire_at=parts, tags=tags)


def build_target(
    plan: Plan,
    instance_type: str,
    run_id: str,
    *,
    region: str,
    owner: str,
    process: str,
    now: float,
    role_arn: str | None,
    containers: Mapping[str | None, Container],
    scheduler_role_arn: str | None = None,
) -> Target:
    """Lay out one endpoint.

    Args:
        plan: the plan.
        instance_type: the one of the plan's instance types that this endpoint has.
        run_id: names and tags carry it.
        region: of every call.
        owner: `owner.machine_owner()`.
        process: `owner.this_process()` as text.
        now: epoch seconds; the expiry counts from it.
        role_arn: the execution role.
        containers: by component name; the plan's own model under None.
        scheduler_role_arn: role of the one-time delete; None for no schedule.

    Raises:
        UserError: a tag of the plan is one that AWS refuses, or bears a key of ours.
    """
    endpoint = plan.endpoint
    name = resource_name(plan.name, instance_type, run_id, owner)
    own = {c.name: child_name(name, c.name) for c in endpoint.components if c.name in containers}
    models = [ModelSpec(own.get(key or "", name), container) for key, container in containers.items()]
    components = tuple(_component(name, part, own.get(part.name, name)) for part in endpoint.components)
    expires_at = now + endpoint.max_lifetime
    host = _host(endpoint, containers.values())
    return Target(
        name=name,
        run_id=run_id,
        region=region,
        instance_type=instance_type,
        instance_count=endpoint.instance_count,
        owner=owner,
        process=process,
        role_arn=role_arn,
        models=tuple(models),
        components=components,
        component=components[0].name if components else None,
        startup_timeout=host.startup_timeout or STARTUP_S,
        download_timeout=host.download_timeout or DOWNLOAD_S,
        inference_ami=host.inference_ami,
        volume_gb=host.volume_gb,
        max_lifetime=endpoint.max_lifetime,
        expires_at=expires_at,
        components_expire_at=expires_at - component_lead(endpoint.max_lifetime) if components else None,
        scheduler_role_arn=scheduler_role_arn,
        tags={**own_tags(endpoint.tags), **our_tags(run_id, owner, process, expires_at)},
    )


def existing_target(endpoint: Endpoint, instance_type: str, run_id: str, region: str) -> Target:
    """Bring your own: only looked at, so it has neither tags nor parts of ours."""
    return Target(
        name=endpoint.name or "",
        run_id=run_id,
        region=region,
        instance_type=instance_type,
        instance_count=endpoint.instance_count,
        existing=True,
        component=endpoint.components[0].name if endpoint.components else None,
    )


def resource_name(plan_name: str, instance_type: str, run_id: str, owner: str) -> str:
    """Name of endpoint, configuration and model: readable, and unique per run, type and machine."""
    digest = hashlib.sha256(f"{run_id}|{instance_type}|{owner}".encode()).hexdigest()[:10]
    readable = slug(f"{plan_name}-{instance_type.removeprefix('ml.')}", _READABLE)
    return f"{readable}-{digest}"


def child_name(name: str, part: str) -> str:
    """Name of a component or of its model under the endpoint's name; shortened, it stays unique."""
    full = slug(f"{name}-{part}", len(name) + len(part) + 1)
    if len(full) <= _NAME_LIMIT:
        return full
    return f"{slug(full, _NAME_LIMIT - 7)}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def group_of(name: str) -> str | None:
    """The endpoint's name inside a name of ours; None for a name that we cannot have given."""
    match = _OURS.match(name)
    return match["group"] if match else None


def component_lead(max_lifetime: float) -> float:
    """Seconds by which a schedule deletes the inference components before their endpoint."""
    return min(_COMPONENT_LEAD_S, max_lifetime / 4)


def slug(text: str, limit: int) -> str:
    """``text`` in the characters that SageMaker's names have."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:limit].strip("-")


def _host(endpoint: Endpoint, containers: Iterable[Container]) -> Host:
    """The plan's word, else the models' (the largest of several), else what the images need."""
    every = list(containers)
    asked = [container.host for container in every]
    amis = [host.inference_ami for host in asked if host.inference_ami]
    return Host(
        startup_timeout=endpoint.startup_timeout
        or max((host.startup_timeout or 0.0 for host in asked), default=0.0),
        download_timeout=endpoint.download_timeout
        or max((host.download_timeout or 0.0 for host in asked), default=0.0),
        inference_ami=endpoint.inference_ami or next(iter(amis), None) or default_ami(every),
        volume_gb=endpoint.volume_gb or max((host.volume_gb or 0 for host in asked), default=0) or None,
    )


def default_ami(containers: Iterable[Container]) -> str | None:
    """The host image whose driver the containers' CUDA needs; None where SageMaker's default does."""
    images = " ".join(container.image for container in containers)
    return next((ami for mark, ami in _AMI_BY_CUDA.items() if mark in images), None)


def _component(name: str, part: Component, model: str) -> ComponentSpec:
    return ComponentSpec(
        name=child_name(name, part.name),
        model=model,
        copies=part.copies,
        accelerators=part.accelerators,
        cpus=part.cpus,
        memory_mb=part.memory_mb,
    )
