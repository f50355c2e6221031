"""Turns a plan into endpoint specs, with look-ups in the SDK's tables, the account and the hub."""

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
from deploy.aws.read_only_endpoint import EndpointDescriber
from deploy.aws.secrets import HubToken
from deploy.spec.endpoint_description import running_container
from deploy.spec.endpoint_spec import (
    Container,
    EndpointSpec,
    Host,
    build_endpoint_spec,
    existing_endpoint_spec,
)
from deploy.spec.images import LLAMA_CPP, families, gpu_count, image_uri
from deploy.spec.jumpstart import hub_model
from deploy.spec.owner import machine_owner, this_process

_ROLE_VARIABLE = "SAGEMAKER_ROLE"


def endpoint_specs(
    plan: Plan, run_id: str, clients: Clients, *, owner: str | None = None, now: float | None = None
) -> tuple[EndpointSpec, ...]:
    """One spec per instance type of the plan, in order; exactly one for an existing endpoint.

    Raises:
        UserError: an image, a role, a JumpStart model or a registry cannot be found, the plan holds a
            secret, or one of its tags is reserved.
    """
    endpoint = plan.endpoint
    _check_no_secrets(plan)
    if endpoint.name:
        return (existing_endpoint_spec(endpoint, endpoint.instance_type[0], run_id, clients.region),)
    role = role_arn(endpoint.role or os.environ.get(_ROLE_VARIABLE), clients)
    scheduler = role_arn(endpoint.scheduler_role, clients) if endpoint.scheduler_role else None
    return tuple(
        build_endpoint_spec(
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


def _check_no_secrets(plan: Plan) -> None:
    """Refuse a plan that holds a secret: the plan is kept with the results."""
    for model in plan.models:
        if secret := next((name for name, value in model.env.items() if is_secret(name, value)), None):
            raise UserError(
                f"model.env.{secret} looks like a secret, and the plan is kept in the run folder",
                "export it and name the variable in model.hub_token_env, or use model.hub_token_secret",
            )


UNKNOWN_INSTANCE_TYPE = "unknown"
"""Stands for the instance type of an endpoint that could not be described: it has no price."""


class ActualPlan(NamedTuple):
    """A plan that describes an existing endpoint as it is, and what a report must mention about it."""

    plan: Plan
    instances_notice: str | None = None
    """None where the instances are known and of one variant."""
    schema_notice: str | None = None
    """None where the container is known."""


def with_actual_endpoint(plan: Plan, clients: Clients) -> ActualPlan:
    """A plan for an existing endpoint, with the instances of its (first) variant and the model it serves.

    Raises:
        UserError: the endpoint does not exist or is not in service.
    """
    name = plan.endpoint.name
    if name is None:
        return ActualPlan(plan)
    description = EndpointDescriber(clients).describe(name)
    plan, schema_notice = _with_actual_model(plan, name, description)
    plan, instances_notice = _with_actual_instances(plan, name, description)
    return ActualPlan(plan, instances_notice, schema_notice)


def _with_actual_model(plan: Plan, name: str, description: dict[str, Any]) -> tuple[Plan, str | None]:
    component = plan.endpoint.components[0].name if plan.endpoint.components else None
    container = running_container(description, component)
    model_id = served_model_id(container.environment)
    model = plan.model.model_copy(
        update={
            "name": model_id or plan.model.name or container.model or name,
            "image": container.image or plan.model.image,
            "context_length": container.context_length or plan.model.context_length,
        }
    )
    family = container.family or family_of(plan.model.image or "", plan.model.env)
    schema = wire_schema(plan.workload, family)
    guessed = plan.workload.request_schema == "auto" and plan.workload.route != "openai" and family is None
    notice = (
        f"The container behind endpoint {name} is not known, so requests use the {schema} schema; "
        "workload.schema sets another."
        if guessed
        else None
    )
    return plan.model_copy(update={"model": model}), notice


def _with_actual_instances(plan: Plan, name: str, description: dict[str, Any]) -> tuple[Plan, str | None]:
    variants: list[dict[str, Any]] = description.get("endpoint_config", {}).get("ProductionVariants", [])
    variant = next(iter(variants), {})
    running: dict[str, Any] = next(iter(description.get("endpoint", {}).get("ProductionVariants", [])), {})
    if "InstanceType" not in variant:
        if "instance_type" in plan.endpoint.model_fields_set:
            return plan, (
                f"The instances of endpoint {name} could not be described: {plan.endpoint.instance_type[0]} "
                "and its price come from the plan."
            )
        endpoint = plan.endpoint.model_copy(update={"instance_type": (UNKNOWN_INSTANCE_TYPE,)})
        return (
            plan.model_copy(update={"endpoint": endpoint}),
            (
                f"The instances of endpoint {name} could not be described, so no cost is known; "
                "endpoint.instance_type sets them."
            ),
        )
    count = running.get("CurrentInstanceCount") or variant.get("InitialInstanceCount") or 1
    update = {"instance_type": (str(variant["InstanceType"]),), "instance_count": int(count)}
    actual = plan.model_copy(update={"endpoint": plan.endpoint.model_copy(update=update)})
    if len(variants) > 1:
        others = ", ".join(str(other.get("InstanceType")) for other in variants[1:])
        return actual, (
            f"Endpoint {name} splits its traffic over {len(variants)} variants: the figures cover "
            f"all of them, the price only the first, {variant['InstanceType']} (the others: {others})."
        )
    return actual, None


def role_arn(role: str | None, clients: Clients) -> str:
    """The ARN of a role that is given by ARN or by name (with its path, if any: ``service-role/Name``).

    Raises:
        UserError: no role is given, or the credentials are refused.
    """
    if not role:
        raise UserError(
            "no execution role is set",
            f"set endpoint.role in the plan, or {_ROLE_VARIABLE}, to the name or ARN of a role that "
            "sagemaker.amazonaws.com may assume (docs/iam.md)",
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
        UserError: one of them cannot be determined.
    """
    token = HubToken(env=model.hub_token_env, secret=model.hub_token_secret)
    image, data, environment, host = model.image, model.model_data, dict(model.env), Host()
    instance_types: tuple[str, ...] = ()
    if model.source == "jumpstart" and not (image and data):
        hub = hub_model(model, instance_type, clients)
        image, data = image or hub.image, data or hub.model_data
        environment = {**hub.environment, **environment}
        instance_types = hub.instance_types
        # The hub's host image belongs to the hub's container image: another may need another driver.
        host = hub.host if model.image is None else replace(hub.host, inference_ami=None)
    if model.source == "huggingface":
        image = image or "vllm"
    uri = image_uri(image or LLAMA_CPP, clients.region, instance_type)
    if model.source == "huggingface":
        environment = {**_hugging_face(model, uri, instance_type, clients.region), **environment}
    return Container(uri, environment, data, model.accept_eula, token, host, instance_types)


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
