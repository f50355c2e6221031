"""The requests we make of the control plane, as pure functions of a target."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.aws.resources import VARIANT
from deploy.spec.endpoint_spec import ComponentSpec, ModelSpec, Target
from deploy.spec.tags import tag_value

Request = dict[str, Any]
_RETRIES = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}
"""The API's own maxima: a deletion that is refused today may pass tomorrow."""


def create_model(target: Target, model: ModelSpec, token: str | None) -> Request:
    """CreateModel. ``token`` is the gated model's, put where each container looks for it."""
    container = model.container
    environment = dict(container.environment)
    if token:
        environment |= {"HF_TOKEN": token, "HUGGING_FACE_HUB_TOKEN": token}
    definition: Request = {"Image": container.image, "Environment": environment}
    if container.model_data:
        definition |= _model_data(container.model_data, accept_eula=container.accept_eula)
    request: Request = {
        "ModelName": model.name,
        "PrimaryContainer": definition,
        "Tags": tag_list(target.tags),
    }
    if target.role_arn:
        request["ExecutionRoleArn"] = target.role_arn
    return request


def create_endpoint_config(target: Target) -> Request:
    """CreateEndpointConfig: one production variant, with the model, or empty for inference components."""
    variant: Request = {
        "VariantName": VARIANT,
        "InstanceType": target.instance_type,
        "InitialInstanceCount": target.instance_count,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    request: Request = {"EndpointConfigName": target.name, "Tags": tag_list(target.tags)}
    if target.components:
        if target.role_arn:
            request["ExecutionRoleArn"] = target.role_arn
    else:
        variant |= {
            "ModelName": target.models[0].name,
            "InitialVariantWeight": 1.0,
            **_startup(target),
        }
    if target.inference_ami:
        variant["InferenceAmiVersion"] = target.inference_ami
    if target.volume_gb:
        variant["VolumeSizeInGB"] = target.volume_gb
    return request | {"ProductionVariants": [variant]}


def create_endpoint(target: Target) -> Request:
    """CreateEndpoint."""
    return {
        "EndpointName": target.name,
        "EndpointConfigName": target.name,
        "Tags": tag_list(target.tags),
    }


def create_component(target: Target, component: ComponentSpec) -> Request:
    """CreateInferenceComponent."""
    compute: Request = {"MinMemoryRequiredInMb": component.memory_mb}
    if component.accelerators:
        compute["NumberOfAcceleratorDevicesRequired"] = component.accelerators
    if component.cpus:
        compute["NumberOfCpuCoresRequired"] = component.cpus
    return {
        "InferenceComponentName": component.name,
        "EndpointName": target.name,
        "VariantName": VARIANT,
        "Specification": {
            "ModelName": component.model,
            "StartupParameters": _startup(target),
            "ComputeResourceRequirements": compute,
        },
        "RuntimeConfig": {"CopyCount": component.copies},
        "Tags": tag_list(target.tags),
    }


def create_schedules(target: Target, partition: str) -> list[Request]:
    """One CreateSchedule per thing that EventBridge Scheduler deletes at its expiry, whoever is gone by then.

    An endpoint cannot be deleted while it has inference components, so each of them has a schedule of its
    own, which comes first. A schedule bears the name of what it deletes.

    Raises:
        ValueError: the target has no scheduler role or no expiry.
    """
    if target.expires_at is None:
        raise ValueError("a schedule needs an expiry")
    early = target.expires_at if target.components_expire_at is None else target.components_expire_at
    names = [component.name for component in target.components]
    parts = [_schedule(target, "InferenceComponent", name, early, partition) for name in names]
    return [*parts, create_schedule(target, partition)]


def create_schedule(target: Target, partition: str) -> Request:
    """CreateSchedule of the endpoint's own deletion.

    Raises:
        ValueError: the target has no scheduler role or no expiry.
    """
    if target.expires_at is None:
        raise ValueError("a schedule needs an expiry")
    return _schedule(target, "Endpoint", target.name, target.expires_at, partition)


def _schedule(target: Target, noun: str, name: str, at: float, partition: str) -> Request:
    """CreateSchedule that deletes the ``noun`` called ``name`` at ``at``, in epoch seconds."""
    if target.scheduler_role_arn is None:
        raise ValueError("a schedule needs a role")
    return {
        "Name": name,
        "ScheduleExpression": f"at({datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Description": f"Deletes {name} of run {tag_value(target.run_id)}, should nobody else do it",
        "Target": {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sagemaker:delete{noun}",
            "RoleArn": target.scheduler_role_arn,
            "Input": json.dumps({f"{noun}Name": name}),
            "RetryPolicy": dict(_RETRIES),
        },
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the shape of the API."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _startup(target: Target) -> Request:
    return {
        "ModelDataDownloadTimeoutInSeconds": round(target.download_timeout),
        "ContainerStartupHealthCheckTimeoutInSeconds": round(target.startup_timeout),
    }


def _model_data(uri: str, *, accept_eula: bool) -> Request:
    if uri.endswith(".tar.gz") and not accept_eula:
        return {"ModelDataUrl": uri}
    prefix = uri.endswith("/")
    source: Request = {
        "S3Uri": uri,
        "S3DataType": "S3Prefix" if prefix else "S3Object",
        "CompressionType": "None" if prefix else "Gzip",
    }
    if accept_eula:
        source["ModelAccessConfig"] = {"AcceptEula": True}
    return {"ModelDataSource": {"S3DataSource": source}}
