"""The requests to the control plane, as pure functions of an endpoint spec."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.aws.resources import VARIANT
from deploy.spec.endpoint_spec import ComponentSpec, EndpointSpec, ModelSpec
from deploy.spec.tags import tag_value

Request = dict[str, Any]
_RETRIES = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}
"""The API's maxima: a deletion that is refused now may succeed hours later."""


def create_model(spec: EndpointSpec, model: ModelSpec, token: str | None) -> Request:
    """CreateModel. ``token`` of a gated model goes into the variables that containers read it from."""
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
        "Tags": tag_list(spec.tags),
    }
    if spec.role_arn:
        request["ExecutionRoleArn"] = spec.role_arn
    return request


def create_endpoint_config(spec: EndpointSpec) -> Request:
    """CreateEndpointConfig: one production variant, with the model, or without for inference components."""
    variant: Request = {
        "VariantName": VARIANT,
        "InstanceType": spec.instance_type,
        "InitialInstanceCount": spec.instance_count,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    request: Request = {"EndpointConfigName": spec.name, "Tags": tag_list(spec.tags)}
    if spec.components:
        if spec.role_arn:
            request["ExecutionRoleArn"] = spec.role_arn
    else:
        variant |= {
            "ModelName": spec.models[0].name,
            "InitialVariantWeight": 1.0,
            **_startup(spec),
        }
    if spec.inference_ami:
        variant["InferenceAmiVersion"] = spec.inference_ami
    if spec.volume_gb:
        variant["VolumeSizeInGB"] = spec.volume_gb
    return request | {"ProductionVariants": [variant]}


def create_endpoint(spec: EndpointSpec) -> Request:
    """CreateEndpoint."""
    return {
        "EndpointName": spec.name,
        "EndpointConfigName": spec.name,
        "Tags": tag_list(spec.tags),
    }


def create_component(spec: EndpointSpec, component: ComponentSpec) -> Request:
    """CreateInferenceComponent."""
    compute: Request = {"MinMemoryRequiredInMb": component.memory_mb}
    if component.accelerators:
        compute["NumberOfAcceleratorDevicesRequired"] = component.accelerators
    if component.cpus:
        compute["NumberOfCpuCoresRequired"] = component.cpus
    return {
        "InferenceComponentName": component.name,
        "EndpointName": spec.name,
        "VariantName": VARIANT,
        "Specification": {
            "ModelName": component.model,
            "StartupParameters": _startup(spec),
            "ComputeResourceRequirements": compute,
        },
        "RuntimeConfig": {"CopyCount": component.copies},
        "Tags": tag_list(spec.tags),
    }


def create_schedules(spec: EndpointSpec, partition: str) -> list[Request]:
    """One CreateSchedule per resource that EventBridge Scheduler deletes at its expiry.

    An endpoint cannot be deleted while it has inference components, so each of them has its own, earlier
    schedule. A schedule has the name of the resource that it deletes.

    Raises:
        ValueError: the spec has no scheduler role or no expiry.
    """
    if spec.expires_at is None:
        raise ValueError("a schedule needs an expiry")
    early = spec.expires_at if spec.components_expire_at is None else spec.components_expire_at
    names = [component.name for component in spec.components]
    parts = [_schedule(spec, "InferenceComponent", name, early, partition) for name in names]
    return [*parts, create_schedule(spec, partition)]


def create_schedule(spec: EndpointSpec, partition: str) -> Request:
    """CreateSchedule for the deletion of the endpoint.

    Raises:
        ValueError: the spec has no scheduler role or no expiry.
    """
    if spec.expires_at is None:
        raise ValueError("a schedule needs an expiry")
    return _schedule(spec, "Endpoint", spec.name, spec.expires_at, partition)


def _schedule(spec: EndpointSpec, noun: str, name: str, expires_at: float, partition: str) -> Request:
    """CreateSchedule that deletes the ``noun`` ``name`` at ``expires_at``, in epoch seconds."""
    if spec.scheduler_role_arn is None:
        raise ValueError("a schedule needs a role")
    return {
        "Name": name,
        "ScheduleExpression": f"at({datetime.fromtimestamp(expires_at, UTC):%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Description": f"Deletes {name} of run {tag_value(spec.run_id)} if nothing else did",
        "Target": {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sagemaker:delete{noun}",
            "RoleArn": spec.scheduler_role_arn,
            "Input": json.dumps({f"{noun}Name": name}),
            "RetryPolicy": dict(_RETRIES),
        },
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the API's form."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _startup(spec: EndpointSpec) -> Request:
    return {
        "ModelDataDownloadTimeoutInSeconds": round(spec.download_timeout),
        "ContainerStartupHealthCheckTimeoutInSeconds": round(spec.startup_timeout),
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
