"""One endpoint as it will be created: every name, image, number and tag, but no secret."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from configs.plan import Component, Endpoint, Plan
from deploy.aws.secrets import HubToken
from deploy.spec.tags import TAG_EXPIRES, check_plan_tags, expiry_tag, suite_tags

STARTUP_S = 900.0
DOWNLOAD_S = 1200.0
"""Defaults where neither the plan nor the model sets them: SageMaker's 240 s are too short for LLMs."""
_NAME_LIMIT = 63
_READABLE = 30
_COMPONENTS_EARLIER_S = 600.0
_SUITE_NAME = re.compile(r"^(?P<group>.+-[0-9a-f]{10})(?:-.+)?$")
_CUDA_13_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
_CUDA_12_9_AMI = "al2-ami-sagemaker-inference-gpu-3-1"
_AMI_BY_CUDA = {"cu130": _CUDA_13_AMI, "cu129": _CUDA_12_9_AMI}
"""Containers with these CUDA versions do not start on the default host image: its driver is too old."""


@dataclass(frozen=True)
class Host:
    """What a model needs from its instance; None where it does not say."""

    startup_timeout: float | None = None
    download_timeout: float | None = None
    inference_ami: str | None = None
    volume_gb: int | None = None


@dataclass(frozen=True)
class Container:
    """The container that serves a model."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    model_data: str | None = None
    accept_eula: bool = False
    hub_token: HubToken = field(default_factory=HubToken)
    host: Host = field(default_factory=Host)
    instance_types: tuple[str, ...] = ()
    """The types that the model supports, by SageMaker's hub; empty where that is not known."""


@dataclass(frozen=True)
class ModelSpec:
    """One CreateModel request."""

    name: str
    container: Container


@dataclass(frozen=True)
class ComponentSpec:
    """One CreateInferenceComponent request: copies of a model on the endpoint."""

    name: str
    model: str
    copies: int
    accelerators: float | None
    cpus: float | None
    memory_mb: int


@dataclass(frozen=True)
class EndpointSpec:
    """One endpoint to create, or, with ``existing``, one that exists and is never changed."""

    name: str
    run_id: str
    region: str
    instance_type: str
    instance_count: int = 1
    existing: bool = False
    owner: str = ""
    process: str = ""
    """The `owner.Process` that creates it, as text."""
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
    """Seconds from creation to expiry."""
    expires_at: float | None = None
    """Epoch seconds."""
    components_expire_at: float | None = None
    """Epoch seconds; before ``expires_at``, as an endpoint with components cannot be deleted."""
    scheduler_role_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def starting_at(self, now: float) -> "EndpointSpec":
        """The same with the expiry counted from ``now``: the run may have used other endpoints before."""
        if self.max_lifetime is None:
            return self
        expires_at = now + self.max_lifetime
        components_expire_at = (
            expires_at - components_expire_earlier_s(self.max_lifetime) if self.components else None
        )
        tags = {**self.tags, TAG_EXPIRES: expiry_tag(expires_at)}
        return replace(self, expires_at=expires_at, components_expire_at=components_expire_at, tags=tags)


def build_endpoint_spec(
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
) -> EndpointSpec:
    """Build the spec of one endpoint.

    Args:
        plan: the plan.
        instance_type: of this endpoint; one of the plan's.
        run_id: becomes part of names and tags.
        region: of every call.
        owner: `owner.machine_owner()`.
        process: `owner.this_process()` as text.
        now: epoch seconds; the expiry counts from it.
        role_arn: the execution role.
        containers: by component name; that of the plan's own model under None.
        scheduler_role_arn: the role of the scheduled deletion; None for no schedule.

    Raises:
        UserError: a tag of the plan is invalid or has a reserved key.
    """
    endpoint = plan.endpoint
    name = resource_name(plan.name, instance_type, run_id, owner)
    own_models = {c.name: child_name(name, c.name) for c in endpoint.components if c.name in containers}
    models = [ModelSpec(own_models.get(key or "", name), container) for key, container in containers.items()]
    components = tuple(_component(name, c, own_models.get(c.name, name)) for c in endpoint.components)
    expires_at = now + endpoint.max_lifetime
    components_expire_at = expires_at - components_expire_earlier_s(endpoint.max_lifetime)
    host = _host(endpoint, containers.values())
    return EndpointSpec(
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
        components_expire_at=components_expire_at if components else None,
        scheduler_role_arn=scheduler_role_arn,
        tags={**check_plan_tags(endpoint.tags), **suite_tags(run_id, owner, process, expires_at)},
    )


def existing_endpoint_spec(endpoint: Endpoint, instance_type: str, run_id: str, region: str) -> EndpointSpec:
    """The spec of an endpoint that exists: it is only described, so it has no tags, models or components."""
    return EndpointSpec(
        name=endpoint.name or "",
        run_id=run_id,
        region=region,
        instance_type=instance_type,
        instance_count=endpoint.instance_count,
        existing=True,
        component=endpoint.components[0].name if endpoint.components else None,
    )


def resource_name(plan_name: str, instance_type: str, run_id: str, owner: str) -> str:
    """The name of endpoint, configuration and model: readable, and unique per run, type and machine."""
    digest = hashlib.sha256(f"{run_id}|{instance_type}|{owner}".encode()).hexdigest()[:10]
    readable = slug(f"{plan_name}-{instance_type.removeprefix('ml.')}", _READABLE)
    return f"{readable}-{digest}"


def child_name(name: str, part: str) -> str:
    """The name of a component or its model: starts with the endpoint's name; unique even if shortened."""
    full = slug(f"{name}-{part}", len(name) + len(part) + 1)
    if len(full) <= _NAME_LIMIT:
        return full
    return f"{slug(full, _NAME_LIMIT - 7)}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def group_of(name: str) -> str | None:
    """The endpoint's name inside a resource's name; None for a name that this suite does not give."""
    match = _SUITE_NAME.match(name)
    return match["group"] if match else None


def components_expire_earlier_s(max_lifetime: float) -> float:
    """How many seconds before their endpoint the inference components are deleted by schedule."""
    return min(_COMPONENTS_EARLIER_S, max_lifetime / 4)


def slug(text: str, limit: int) -> str:
    """``text`` in characters that SageMaker allows in names, at most ``limit`` of them."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:limit].strip("-")


def _host(endpoint: Endpoint, containers: Iterable[Container]) -> Host:
    """The plan's values, else the models' (the largest of several), else what the images need."""
    every = list(containers)
    hosts = [container.host for container in every]
    amis = [host.inference_ami for host in hosts if host.inference_ami]
    return Host(
        startup_timeout=endpoint.startup_timeout
        or max((host.startup_timeout or 0.0 for host in hosts), default=0.0),
        download_timeout=endpoint.download_timeout
        or max((host.download_timeout or 0.0 for host in hosts), default=0.0),
        inference_ami=endpoint.inference_ami or next(iter(amis), None) or default_ami(every),
        volume_gb=endpoint.volume_gb or max((host.volume_gb or 0 for host in hosts), default=0) or None,
    )


def default_ami(containers: Iterable[Container]) -> str | None:
    """The host image with the driver that the containers' CUDA needs; None for SageMaker's default."""
    images = " ".join(container.image for container in containers)
    return next((ami for cuda, ami in _AMI_BY_CUDA.items() if cuda in images), None)


def _component(name: str, part: Component, model: str) -> ComponentSpec:
    return ComponentSpec(
        name=child_name(name, part.name),
        model=model,
        copies=part.copies,
        accelerators=part.accelerators,
        cpus=part.cpus,
        memory_mb=part.memory_mb,
    )
