"""The life cycle of endpoints and components: Creating → InService or Failed, Deleting → gone."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gevent

from common.errors import UserError
from emulator import hosting
from emulator.account import Region, RunningResource
from emulator.context import Context

DEFAULT_STARTUP_SECONDS = 240
_logger = logging.getLogger(__name__)
_PING_FAILED = (
    "The primary container for production variant {} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)


@dataclass(frozen=True)
class ContainerGroup:
    """Identical containers: the instances of a production variant, or the copies of a component."""

    variant: str
    image: str
    environment: Mapping[str, str]
    instance_type: str
    count: int
    startup_seconds: float


def variant_group(region: Region, variant: Mapping[str, Any]) -> ContainerGroup | str:
    """The containers of a production variant, or the reason why it fails."""
    name, model_name = variant["VariantName"], variant["ModelName"]
    if model_name not in region.models:
        return f"The model {model_name} of production variant {name} does not exist."
    container = primary_container(region.models[model_name].spec)
    return ContainerGroup(
        name,
        container.get("Image", ""),
        container.get("Environment", {}),
        variant.get("InstanceType", ""),
        variant.get("InitialInstanceCount", 1),
        variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS),
    )


def primary_container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition of a model's container."""
    container: Mapping[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return container


def bring_up(context: Context, resource: RunningResource, groups: Sequence[ContainerGroup | str]) -> None:
    """Start the containers in the background; a reason among ``groups`` makes the resource Failed."""
    gevent.spawn(_bring_up, context, resource, groups)


def fail_stuck_endpoint(resource: RunningResource) -> None:
    """Make an endpoint that is stuck in Creating Failed, as AWS does after hours."""
    resource.set_status("Failed", "The endpoint could not be created in time.")


def take_down(context: Context, resource: RunningResource, resources: dict[str, Any]) -> None:
    """Stop the containers in the background, then remove the resource from ``resources``."""
    resource.set_status("Deleting")
    gevent.spawn(_take_down, context, resource, resources)


def _bring_up(context: Context, resource: RunningResource, groups: Sequence[ContainerGroup | str]) -> None:
    fault = context.fault
    started = time.monotonic()
    if fault is not None and fault.fault == "stuck_creating":
        return  # until `fail_stuck_endpoint`
    reason = fault.failure if fault is not None else None
    for group in groups:
        reason = reason or (group if isinstance(group, str) else _start(context, resource, group))
    gevent.sleep(max(0.0, context.settings.create_seconds - (time.monotonic() - started)))
    if reason is None:
        resource.set_status("InService")
    else:
        _stop_all(resource)
        resource.set_status("Failed", reason)


def _start(context: Context, resource: RunningResource, group: ContainerGroup) -> str | None:
    containers = resource.containers[group.variant] = []
    try:
        containers.extend(
            hosting.start(group.image, group.instance_type, group.environment) for _ in range(group.count)
        )
    except OSError as error:
        return f"A container for production variant {group.variant} could not be started: {error}"
    except UserError as error:  # a container would end at once
        _logger.warning("%s", error)
        return _PING_FAILED.format(group.variant)
    limit = min(group.startup_seconds, context.settings.startup_limit)
    jobs = [gevent.spawn(hosting.wait_until_healthy, container, limit) for container in containers]
    gevent.joinall(jobs)
    return None if all(job.value for job in jobs) else _PING_FAILED.format(group.variant)


def _stop_all(resource: RunningResource) -> None:
    hosting.stop([container for group in resource.containers.values() for container in group])
    resource.containers.clear()


def _take_down(context: Context, resource: RunningResource, resources: dict[str, Any]) -> None:
    started = time.monotonic()
    _stop_all(resource)
    gevent.sleep(max(0.0, context.settings.delete_seconds - (time.monotonic() - started)))
    resources.pop(resource.name, None)
    context.region.tags.pop(resource.arn, None)
