"""From a plan to its targets: the few look-ups that need the SDK's tables, the account or the hub."""

import os
import time
from dataclasses import replace
from typing import Any, NamedTuple

from common.errors import UserError
from configs.containers import family_of, served_model_id
from configs.experiment import wire_schema
from configs.plan import Model, Plan
from configs.secrets import is_secret
from deploy.aws.clients import Clients
from deploy.aws.read_only_endpoint import EndpointReader
from deploy.aws.secrets import HubToken
from deploy.spec.endpoint_description import served
from deploy.spec.endpoint_spec import Container, Host, Target, build_target, existing_target
from deploy.spec.images import LLAMA_CPP, families, gpu_count, image_uri
from deploy.spec.jumpstart import hub_model
from deploy.spec.owner import machine_owner, this_process

_ROLE_VARIABLE = "SAGEMAKER_ROLE"


def targets(
    plan: Plan, run_id: str, clients: Clients, *, owner: str | None = None, now: float | None = None
) -> tuple[Target, ...]:
    """One target per instance type of the plan, in its order; exactly one for an endpoint that exists.

    Raises:
        UserError: an image, a role, a JumpStart model or a registry cannot be found; or the plan holds a
            secret, or a tag of ours.
    """
    endpoint = plan.endpoint
    _refuse_secrets(plan)
    if endpoint.name:
        return (existing_target(endpoint, endpoint.instance_type[0], run_id, clients.region),)
    role = role_arn(endpoint.role or os.environ.get(_ROLE_VARIABLE), clients)
    scheduler = role_arn(endpoint.scheduler_role, clients) if endpoint.scheduler_role else None
    return tuple(
        build_target(
            plan,
            instance_type,
            run_id,
            region=clients.region,
            owner=owner or machine_owner(),
            process=str(this_process()),
            now=now or time.time(),
            role_arn=role,
            containers=_containers(plan, instance_type, clients),
            scheduler_role_arn=scheduler,
        )
        for instance_type in endpoint.instance_type
    )


def _refuse_secrets(plan: Plan) -> None:
    """Refuse a plan with a secret in it: the plan is kept with the results."""
    for model in plan.models:
        if secret := next((name for name, value in model.env.items() if is_secret(name, value)), None):
            raise UserError(
                f"model.env.{secret}: a plan is written into the run folder, so it may hold no secret; "
                "export it and name the variable in model.hub_token_env, or use model.hub_token_secret"
            )


UNSEEN = "unknown"
"""The instance type of an endpoint that nobody described: no price list has it, so no cost is claimed."""


class Standing(NamedTuple):
    """A plan for an endpoint that exists, and what a reader must know of that endpoint."""

    plan: Plan
    instances: str | None = None
    """About its instances; None where they are one group that was seen."""
    schema: str | None = None
    """About the request schema; None where the container is known."""


def as_it_stands(plan: Plan, clients: Clients) -> Standing:
    """A plan for an endpoint that exists, with the instances of its (first) variant and what it serves.

    Raises:
        UserError: there is no such endpoint, or it is not in service.
    """
    name = plan.endpoint.name
    if name is None:
        return Standing(plan)
    seen = EndpointReader(clients).describe(name)
    plan, schema = _with_its_model(plan, name, seen)
    plan, instances = _with_its_instances(plan, name, seen)
    return Standing(plan, instances, schema)


def _with_its_model(plan: Plan, name: str, seen: dict[str, Any]) -> tuple[Plan, str | None]:
    component = plan.endpoint.components[0].name if plan.endpoint.components else None
    there = served(seen, component)
    named = served_model_id(there.environment)
    model = plan.model.model_copy(
        update={
            "name": named or plan.model.name or there.model or name,
            "image": there.image or plan.model.image,
            "context_length": there.context_length or plan.model.context_length,
        }
    )
    known = there.family or family_of(plan.model.image or "", plan.model.env)
    schema = wire_schema(plan.workload, known)
    guessed = plan.workload.request_schema == "auto" and plan.workload.route != "openai" and known is None
    notice = (
        f"What serves endpoint {name} is not known, so requests have the {schema} schema; workload.schema "
        "sets another."
        if guessed
        else None
    )
    return plan.model_copy(update={"model": model}), notice


def _with_its_instances(plan: Plan, name: str, seen: dict[str, Any]) -> tuple[Plan, str | None]:
    variants: list[dict[str, Any]] = seen.get("endpoint_config", {}).get("ProductionVariants", [])
    variant = next(iter(variants), {})
    running: dict[str, Any] = next(iter(seen.get("endpoint", {}).get("ProductionVariants", [])), {})
    if "InstanceType" not in variant:
        if "instance_type" in plan.endpoint.model_fields_set:
            kind = plan.endpoint.instance_type[0]
            stated = f"{kind} and its price are the plan's word."
            return plan, f"The instances of endpoint {name} could not be seen: {stated}"
        endpoint = plan.endpoint.model_copy(update={"instance_type": (UNSEEN,)})
        return (
            plan.model_copy(update={"endpoint": endpoint}),
            f"The instances of endpoint {name} could not be seen: no cost is known (INSTANCE= names them).",
        )
    count = running.get("CurrentInstanceCount") or variant.get("InitialInstanceCount") or 1
    update = {"instance_type": (str(variant["InstanceType"]),), "instance_count": int(count)}
    standing = plan.model_copy(update={"endpoint": plan.endpoint.model_copy(update=update)})
    if len(variants) > 1:
        others = ", ".join(str(other.get("InstanceType")) for other in variants[1:])
        return standing, (
            f"Endpoint {name} splits its traffic over {len(variants)} variants: figures are of all of them, "
            f"the price is of the first one's {variant['InstanceType']} alone (the others: {others})."
        )
    return standing, None


def role_arn(role: str | None, clients: Clients) -> str:
    """The ARN of a role given by ARN or by name (with its path, if it has one: ``service-role/Name``).

    Raises:
        UserError: none is given, or nobody is signed in.
    """
    if not role:
        raise UserError(
            f"no execution role: set endpoint.role in the plan, or {_ROLE_VARIABLE}, to the name or ARN of a "
            "role that sagemaker.amazonaws.com may assume (docs/iam.md)"
        )
    if role.startswith("arn:"):
        return role
    identity = clients.identity
    return f"arn:{identity.partition}:iam::{identity.account}:role/{role}"


def _containers(plan: Plan, instance_type: str, clients: Clients) -> dict[str | None, Container]:
    parts = plan.endpoint.components
    containers: dict[str | None, Container] = {
        part.name: container_for(part.model, instance_type, clients) for part in parts if part.model
    }
    if not parts or any(part.model is None for part in parts):
        return {None: container_for(plan.model, instance_type, clients), **containers}
    return containers


def container_for(model: Model, instance_type: str, clients: Clients) -> Container:
    """Image, environment and data of a model on an instance type.

    Raises:
        UserError: it cannot be found out.
    """
    token = HubToken(env=model.hub_token_env, secret=model.hub_token_secret)
    image, data, environment, host = model.image, model.model_data, dict(model.env), Host()
    if model.source == "jumpstart" and not (image and data):
        hub = hub_model(model, instance_type, clients)
        image, data = image or hub.image, data or hub.model_data
        environment = {**hub.environment, **environment}
        # The hub's host goes with the hub's image: another may need another driver.
        host = hub.host if model.image is None else replace(hub.host, inference_ami=None)
    if model.source == "huggingface":
        image = image or "vllm"
    uri = image_uri(image or LLAMA_CPP, clients.region, instance_type)
    if model.source == "huggingface":
        environment = {**_hugging_face(model, uri, instance_type, clients.region), **environment}
    return Container(uri, environment, data, model.accept_eula, token, host)


def _hugging_face(model: Model, uri: str, instance_type: str, region: str) -> dict[str, str]:
    family = families().get(family_of(uri) or "")
    if family is None:
        return {"HF_MODEL_ID": model.id or ""}
    environment = {family.model: model.id or ""}
    if model.context_length:
        environment[family.context] = str(model.context_length)
    gpus = gpu_count(instance_type, region) if family.gpus else None
    if family.gpus and gpus:
        environment[family.gpus] = str(gpus)
    return environment
