"""SageMaker's control plane: models, endpoint configs, endpoints, tags. Messages are AWS's."""

from emulator.account import EndpointResource, Resource, find_resource, list_page
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError, validation_error
from emulator.lifecycle import bring_up, take_down, variant_group

_DELETABLE = ("InService", "Failed")


def create_model(context: Context, members: Members) -> Members:
    """CreateModel."""
    region, name = context.region, members["ModelName"]
    arn = region.arn("model", name)
    if not members.get("PrimaryContainer") and not members.get("Containers"):
        raise validation_error("Requires one of PrimaryContainer or Containers to be set.")
    if not members.get("ExecutionRoleArn"):
        raise validation_error("ExecutionRoleArn is required.")
    context.check_role(members["ExecutionRoleArn"])
    context.check_images([*members.get("Containers", []), members.get("PrimaryContainer") or {}])
    _add(region.models, Resource(name, arn, members), "model", arn)
    region.tag(arn, members.get("Tags", []))
    return {"ModelArn": arn}


def describe_model(context: Context, members: Members) -> Members:
    """DescribeModel."""
    model = _model(context, members["ModelName"])
    spec = {key: value for key, value in model.spec.items() if key != "Tags"}
    spec.setdefault("EnableNetworkIsolation", False)
    return {**spec, "ModelArn": model.arn, "CreationTime": model.created}


def delete_model(context: Context, members: Members) -> Members:
    """DeleteModel."""
    _remove(context, context.region.models, _model(context, members["ModelName"]))
    return {}


def list_models(context: Context, members: Members) -> Members:
    """ListModels."""
    page, token = list_page(context.region.models.values(), members)
    rows = [{"ModelName": m.name, "ModelArn": m.arn, "CreationTime": m.created} for m in page]
    return {"Models": rows, "NextToken": token}


def create_endpoint_config(context: Context, members: Members) -> Members:
    """CreateEndpointConfig."""
    region, name = context.region, members["EndpointConfigName"]
    arn = region.arn("endpoint-config", name)
    for variant in members["ProductionVariants"]:
        if variant.get("ModelName"):
            _model(context, variant["ModelName"])
        elif not members.get("ExecutionRoleArn"):
            raise validation_error("ExecutionRoleArn is required when a production variant has no ModelName.")
        if not variant.get("InstanceType") and not variant.get("ServerlessConfig"):
            raise validation_error("InstanceType is required for each production variant.")
    names = [variant["VariantName"] for variant in members["ProductionVariants"]]
    if len(set(names)) != len(names):
        raise validation_error("Duplicate production variant names are not allowed.")
    _add(region.configs, Resource(name, arn, members), "endpoint configuration", arn)
    region.tag(arn, members.get("Tags", []))
    return {"EndpointConfigArn": arn}


def describe_endpoint_config(context: Context, members: Members) -> Members:
    """DescribeEndpointConfig."""
    config = _config(context, members["EndpointConfigName"])
    spec = {key: value for key, value in config.spec.items() if key != "Tags"}
    return {**spec, "EndpointConfigArn": config.arn, "CreationTime": config.created}


def delete_endpoint_config(context: Context, members: Members) -> Members:
    """DeleteEndpointConfig; as on AWS, an endpoint may still use it."""
    _remove(context, context.region.configs, _config(context, members["EndpointConfigName"]))
    return {}


def list_endpoint_configs(context: Context, members: Members) -> Members:
    """ListEndpointConfigs."""
    page, token = list_page(context.region.configs.values(), members)
    rows = [
        {"EndpointConfigName": c.name, "EndpointConfigArn": c.arn, "CreationTime": c.created} for c in page
    ]
    return {"EndpointConfigs": rows, "NextToken": token}


def create_endpoint(context: Context, members: Members) -> Members:
    """CreateEndpoint: responds at once; the containers start in the background."""
    region, name = context.region, members["EndpointName"]
    arn = region.arn("endpoint", name)
    config = _config(context, members["EndpointConfigName"])
    if name in region.endpoints:
        raise validation_error(f'Cannot create already existing endpoint "{arn}".')
    context.check_quota(config.spec["ProductionVariants"])
    endpoint = EndpointResource(name, arn, members, config=config.spec)
    region.endpoints[name] = endpoint
    region.tag(arn, members.get("Tags", []))
    variants = [v for v in config.spec["ProductionVariants"] if v.get("ModelName")]
    bring_up(context, endpoint, [variant_group(region, variant) for variant in variants])
    return {"EndpointArn": arn}


def describe_endpoint(context: Context, members: Members) -> Members:
    """DescribeEndpoint."""
    endpoint = _endpoint(context, members["EndpointName"])
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.spec["EndpointConfigName"],
        "ProductionVariants": [
            _variant_summary(context, endpoint, variant) for variant in endpoint.config["ProductionVariants"]
        ],
        "EndpointStatus": endpoint.status,
        "FailureReason": endpoint.failure,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.changed,
    }


def delete_endpoint(context: Context, members: Members) -> Members:
    """DeleteEndpoint: refused while Creating, as on AWS; the endpoint is gone a little later."""
    endpoint = _endpoint(context, members["EndpointName"])
    if endpoint.status not in _DELETABLE:
        raise validation_error(f'Cannot update in-progress endpoint "{endpoint.arn}".')
    if any(c.spec["EndpointName"] == endpoint.name for c in context.region.components.values()):
        raise validation_error(
            f'Cannot delete endpoint "{endpoint.arn}" while it has inference components. Delete them first.'
        )
    take_down(context, endpoint, context.region.endpoints)
    return {}


def list_endpoints(context: Context, members: Members) -> Members:
    """ListEndpoints."""
    page, token = list_page(context.region.endpoints.values(), members)
    rows = [
        {
            "EndpointName": e.name,
            "EndpointArn": e.arn,
            "CreationTime": e.created,
            "LastModifiedTime": e.changed,
            "EndpointStatus": e.status,
        }
        for e in page
    ]
    return {"Endpoints": rows, "NextToken": token}


def add_tags(context: Context, members: Members) -> Members:
    """AddTags."""
    _check_tag_target(context, members["ResourceArn"])
    context.region.tag(members["ResourceArn"], members["Tags"])
    return {"Tags": members["Tags"]}


def list_tags(context: Context, members: Members) -> Members:
    """ListTags."""
    _check_tag_target(context, members["ResourceArn"])
    tags = context.region.tags.get(members["ResourceArn"], {})
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def delete_tags(context: Context, members: Members) -> Members:
    """DeleteTags."""
    _check_tag_target(context, members["ResourceArn"])
    tags = context.region.tags.get(members["ResourceArn"], {})
    for key in members["TagKeys"]:
        tags.pop(key, None)
    return {}


OPERATIONS: dict[str, Operation] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "DeleteModel": delete_model,
    "ListModels": list_models,
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "DeleteEndpointConfig": delete_endpoint_config,
    "ListEndpointConfigs": list_endpoint_configs,
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "DeleteEndpoint": delete_endpoint,
    "ListEndpoints": list_endpoints,
    "AddTags": add_tags,
    "ListTags": list_tags,
    "DeleteTags": delete_tags,
}


def _add(resources: dict[str, Resource], resource: Resource, noun: str, arn: str) -> None:
    if resource.name in resources:
        raise validation_error(f'Cannot create already existing {noun} "{arn}".')
    resources[resource.name] = resource


def _remove(context: Context, resources: dict[str, Resource], resource: Resource) -> None:
    del resources[resource.name]
    context.region.tags.pop(resource.arn, None)


def _model(context: Context, name: str) -> Resource:
    return find_resource(context.region.models, name, "model", context.region.arn("model", name))


def _config(context: Context, name: str) -> Resource:
    arn = context.region.arn("endpoint-config", name)
    return find_resource(context.region.configs, name, "endpoint configuration", arn)


def _endpoint(context: Context, name: str) -> EndpointResource:
    return find_resource(context.region.endpoints, name, "endpoint", context.region.arn("endpoint", name))


def _check_tag_target(context: Context, arn: str) -> None:
    region = context.region
    for resources in (region.models, region.configs, region.endpoints, region.components):
        if any(resource.arn == arn for resource in resources.values()):
            return
    raise ApiError("ResourceNotFound", f"Resource {arn} does not exist")


def _variant_summary(context: Context, endpoint: EndpointResource, variant: Members) -> Members:
    running = len(endpoint.containers.get(variant["VariantName"], []))
    model = context.region.models.get(variant.get("ModelName", ""))
    images = [] if model is None else [model.spec.get("PrimaryContainer", {}).get("Image")]
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": endpoint.created}
            for image in images
            if image
        ],
        "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
        "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
        "CurrentInstanceCount": running if endpoint.status == "InService" else 0,
        "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
    }
