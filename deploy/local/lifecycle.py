"""How an endpoint comes up and goes away: Creating → InService or Failed, Deleting → gone."""

import time
from typing import Any

import gevent

from deploy.local import hosting
from deploy.local.account import Endpoint, Served
from deploy.local.context import Context
from deploy.local.hosting import Container

DEFAULT_STARTUP_SECONDS = 240
_PING_FAILED = (
    "The primary container for production variant {} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)


def bring_up(context: Context, endpoint: Endpoint) -> None:
    """Start the endpoint's containers in the background."""
    gevent.spawn(_bring_up, context, endpoint)


def take_down(context: Context, served: Served, held: dict[str, Any]) -> None:
    """End the containers in the background; then the resource is gone."""
    served.become("Deleting")
    gevent.spawn(_take_down, context, served, held)


def release(endpoint: Endpoint) -> None:
    """Let an endpoint that was stuck in Creating fail, as AWS does after hours."""
    endpoint.become("Failed", "The endpoint could not be created in time.")


def _bring_up(context: Context, endpoint: Endpoint) -> None:
    fault = context.fault
    started = time.monotonic()
    if fault is not None and fault.fault == "stuck_creating":
        return  # until `release`
    reason = fault.failure if fault is not None else None
    for variant in endpoint.config["ProductionVariants"]:
        if reason is None and variant.get("ModelName"):
            reason = start_variant(context, endpoint, variant)
    gevent.sleep(max(0.0, context.settings.create_seconds - (time.monotonic() - started)))
    if reason is None:
        endpoint.become("InService")
    else:
        stop_all(endpoint)
        endpoint.become("Failed", reason)


def start_variant(context: Context, endpoint: Endpoint, variant: dict[str, Any]) -> str | None:
    """Start a variant's containers, one per instance; the reason why it failed, or None."""
    name = variant["VariantName"]
    model = context.region.models.get(variant["ModelName"])
    if model is None:
        return f"The model {variant['ModelName']} of production variant {name} does not exist."
    timeout = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS)
    started = [
        start_container(model.spec, variant["InstanceType"])
        for _ in range(variant.get("InitialInstanceCount", 1))
    ]
    endpoint.containers[name] = started
    limit = min(timeout, context.settings.startup_limit)
    jobs = [gevent.spawn(hosting.await_healthy, container, limit) for container in started]
    gevent.joinall(jobs)
    return None if all(job.value for job in jobs) else _PING_FAILED.format(name)


def start_container(model: dict[str, Any], instance_type: str) -> Container:
    """Start one container of a model."""
    spec = model.get("PrimaryContainer") or model["Containers"][0]
    return hosting.start(spec.get("Image", ""), instance_type, spec.get("Environment", {}))


def stop_all(served: Served) -> None:
    """End all containers of an endpoint or a component."""
    hosting.stop([container for group in served.containers.values() for container in group])
    served.containers.clear()


def _take_down(context: Context, served: Served, held: dict[str, Any]) -> None:
    started = time.monotonic()
    stop_all(served)
    gevent.sleep(max(0.0, context.settings.delete_seconds - (time.monotonic() - started)))
    held.pop(served.name, None)
    context.region.tags.pop(served.arn, None)
