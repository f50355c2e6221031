"""Inference components: a model's copies on a shared endpoint, each copy a container."""

import time
from collections.abc import Callable
from typing import Any

import gevent

from deploy.local import hosting
from deploy.local.account import Served, find, listing
from deploy.local.context import Context
from deploy.local.errors import validation
from deploy.local.lifecycle import DEFAULT_STARTUP_SECONDS, start_container, stop_all, take_down

Members = dict[str, Any]


def create(context: Context, members: Members) -> Members:
    """CreateInferenceComponent: needs an endpoint in service whose variant has no model of its own."""
    region, name = context.region, members["InferenceComponentName"]
    arn = region.arn("inference-component", name)
    if name in region.components:
        raise validation(f'Cannot create already existing inference component "{arn}".')
    endpoint_name = members["EndpointName"]
    endpoint = find(region.endpoints, endpoint_name, "endpoint", region.arn("endpoint", endpoint_name))
    if endpoint.status != "InService":
        raise validation(f'Endpoint "{endpoint.arn}" is not InService.')
    variants = {variant["VariantName"]: variant for variant in endpoint.config["ProductionVariants"]}
    variant = members.get("VariantName") or next(iter(variants))
    if variant not in variants:
        raise validation(f'Could not find production variant "{variant}" on endpoint "{endpoint.arn}".')
    if variants[variant].get("ModelName"):
        raise validation(f'Production variant "{variant}" has a model of its own: it takes no components.')
    copies = members.get("RuntimeConfig", {}).get("CopyCount", 1)
    component = Served(name, arn, members)
    region.components[name] = component
    region.tag(arn, members.get("Tags", []))
    gevent.spawn(_bring_up, context, component, variants[variant], copies)
    return {"InferenceComponentArn": arn}


def describe(context: Context, members: Members) -> Members:
    """DescribeInferenceComponent."""
    component = _component(context, members["InferenceComponentName"])
    running = sum(len(group) for group in component.containers.values())
    wanted = component.spec.get("RuntimeConfig", {}).get("CopyCount", 1)
    specification = component.spec.get("Specification", {})
    return {
        "InferenceComponentName": component.name,
        "InferenceComponentArn": component.arn,
        "EndpointName": component.spec["EndpointName"],
        "EndpointArn": context.region.arn("endpoint", component.spec["EndpointName"]),
        "VariantName": component.spec.get("VariantName"),
        "FailureReason": component.failure,
        "Specification": {
            key: specification[key]
            for key in ("ModelName", "StartupParameters", "ComputeResourceRequirements")
            if key in specification
        },
        "RuntimeConfig": {"DesiredCopyCount": wanted, "CurrentCopyCount": running},
        "CreationTime": component.created,
        "LastModifiedTime": component.changed,
        "InferenceComponentStatus": component.status,
    }


def delete(context: Context, members: Members) -> Members:
    """DeleteInferenceComponent: refused while Creating."""
    component = _component(context, members["InferenceComponentName"])
    if component.status not in ("InService", "Failed"):
        raise validation(f'Cannot update in-progress inference component "{component.arn}".')
    take_down(context, component, context.region.components)
    return {}


def list_components(context: Context, members: Members) -> Members:
    """ListInferenceComponents."""
    held = [
        component
        for component in context.region.components.values()
        if members.get("EndpointNameEquals", component.spec["EndpointName"]) == component.spec["EndpointName"]
    ]
    page, token = listing(held, members)
    rows = [
        {
            "InferenceComponentName": c.name,
            "InferenceComponentArn": c.arn,
            "InferenceComponentStatus": c.status,
            "EndpointName": c.spec["EndpointName"],
            "EndpointArn": context.region.arn("endpoint", c.spec["EndpointName"]),
            "VariantName": c.spec.get("VariantName") or "AllTraffic",
            "CreationTime": c.created,
            "LastModifiedTime": c.changed,
        }
        for c in page
    ]
    return {"InferenceComponents": rows, "NextToken": token}


OPERATIONS: dict[str, Callable[[Context, Members], Members]] = {
    "CreateInferenceComponent": create,
    "DescribeInferenceComponent": describe,
    "DeleteInferenceComponent": delete,
    "ListInferenceComponents": list_components,
}


def _component(context: Context, name: str) -> Served:
    arn = context.region.arn("inference-component", name)
    return find(context.region.components, name, "inference component", arn)


def _bring_up(context: Context, component: Served, variant: Members, copies: int) -> None:
    started = time.monotonic()
    reason = _start(context, component, variant, copies)
    gevent.sleep(max(0.0, context.settings.create_seconds - (time.monotonic() - started)))
    if reason is None:
        component.become("InService")
    else:
        stop_all(component)
        component.become("Failed", reason)


def _start(context: Context, component: Served, variant: Members, copies: int) -> str | None:
    specification = component.spec.get("Specification", {})
    startup = specification.get("StartupParameters", {})
    name = specification.get("ModelName")
    if name:
        model = context.region.models.get(name)
        if model is None:
            return f"The model {name} does not exist."
        spec = model.spec
    else:
        container = specification.get("Container", {})
        spec = {"PrimaryContainer": {**container, "Image": container.get("Image", "")}}
    limit = startup.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS)
    group = [start_container(spec, variant["InstanceType"]) for _ in range(copies)]
    component.containers[variant["VariantName"]] = group
    seconds = min(limit, context.settings.startup_limit)
    jobs = [gevent.spawn(hosting.await_healthy, container, seconds) for container in group]
    gevent.joinall(jobs)
    return None if all(job.value for job in jobs) else "The container did not pass the ping health check."
