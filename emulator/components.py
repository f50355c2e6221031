"""Inference components: copies of a model on a shared endpoint; each copy is a container."""

from emulator.account import RunningResource, find_resource, list_page
from emulator.context import Context, Members, Operation
from emulator.errors import validation_error
from emulator.lifecycle import DEFAULT_STARTUP_SECONDS, ContainerGroup, bring_up, primary_container, take_down


def create(context: Context, members: Members) -> Members:
    """CreateInferenceComponent: requires an endpoint InService, and a variant without a model of its own."""
    region, name = context.region, members["InferenceComponentName"]
    arn = region.arn("inference-component", name)
    if name in region.components:
        raise validation_error(f'Cannot create already existing inference component "{arn}".')
    endpoint_name = members["EndpointName"]
    endpoint = find_resource(
        region.endpoints, endpoint_name, "endpoint", region.arn("endpoint", endpoint_name)
    )
    if endpoint.status != "InService":
        raise validation_error(f'Endpoint "{endpoint.arn}" is not InService.')
    variants = {variant["VariantName"]: variant for variant in endpoint.config["ProductionVariants"]}
    variant = members.get("VariantName") or next(iter(variants))
    if variant not in variants:
        raise validation_error(f'Could not find production variant "{variant}" on endpoint "{endpoint.arn}".')
    if variants[variant].get("ModelName"):
        raise validation_error(
            f'Production variant "{variant}" has a model of its own: it takes no components.'
        )
    component = RunningResource(name, arn, members)
    region.components[name] = component
    region.tag(arn, members.get("Tags", []))
    bring_up(context, component, [_group(context, members, variants[variant])])
    return {"InferenceComponentArn": arn}


def describe(context: Context, members: Members) -> Members:
    """DescribeInferenceComponent."""
    component = _component(context, members["InferenceComponentName"])
    current = sum(len(group) for group in component.containers.values())
    desired = component.spec.get("RuntimeConfig", {}).get("CopyCount", 1)
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
        "RuntimeConfig": {"DesiredCopyCount": desired, "CurrentCopyCount": current},
        "CreationTime": component.created,
        "LastModifiedTime": component.changed,
        "InferenceComponentStatus": component.status,
    }


def delete(context: Context, members: Members) -> Members:
    """DeleteInferenceComponent: refused while Creating."""
    component = _component(context, members["InferenceComponentName"])
    if component.status not in ("InService", "Failed"):
        raise validation_error(f'Cannot update in-progress inference component "{component.arn}".')
    take_down(context, component, context.region.components)
    return {}


def list_components(context: Context, members: Members) -> Members:
    """ListInferenceComponents."""
    listed = [
        component
        for component in context.region.components.values()
        if members.get("EndpointNameEquals", component.spec["EndpointName"]) == component.spec["EndpointName"]
    ]
    page, token = list_page(listed, members)
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


OPERATIONS: dict[str, Operation] = {
    "CreateInferenceComponent": create,
    "DescribeInferenceComponent": describe,
    "DeleteInferenceComponent": delete,
    "ListInferenceComponents": list_components,
}


def _component(context: Context, name: str) -> RunningResource:
    arn = context.region.arn("inference-component", name)
    return find_resource(context.region.components, name, "inference component", arn)


def _group(context: Context, members: Members, variant: Members) -> ContainerGroup | str:
    specification = members.get("Specification", {})
    container = specification.get("Container", {})
    if name := specification.get("ModelName"):
        if name not in context.region.models:
            return f"The model {name} does not exist."
        container = primary_container(context.region.models[name].spec)
    startup = specification.get("StartupParameters", {})
    return ContainerGroup(
        variant["VariantName"],
        container.get("Image", ""),
        container.get("Environment", {}),
        variant.get("InstanceType", ""),
        members.get("RuntimeConfig", {}).get("CopyCount", 1),
        startup.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS),
    )
