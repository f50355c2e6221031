"""CloudFormation: stacks that create nothing, but check their parameters and report as real ones do."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import gevent
import yaml

from emulator.account import ACCOUNT_ID, StackResource
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError
from emulator.faults import Fault

_LARGEST_TEMPLATE = 51_200
_NEEDS_CAPABILITY = ("AWS::IAM::Role", "AWS::IAM::InstanceProfile")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their long forms."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        argument: Any = node.value
    else:
        argument = loader.construct_sequence(node, deep=True)  # type: ignore[arg-type]
    return {name if name == "Ref" else f"Fn::{name}": argument}


_Loader.add_multi_constructor("!", _function)


def create_stack(context: Context, members: Members) -> Members:
    """CreateStack from a template in the request."""
    name, region = members["StackName"], context.region
    if _named(context, name) is not None:
        raise ApiError("AlreadyExistsException", f"Stack [{name}] already exists")
    template = _template(members)
    parameters = _parameters(template, members)
    types = {resource["Type"] for resource in template["Resources"].values()}
    if types & set(_NEEDS_CAPABILITY) and "CAPABILITY_IAM" not in members.get("Capabilities", []):
        raise ApiError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
    arn = f"arn:aws:cloudformation:{region.name}:{ACCOUNT_ID}:stack/{name}/{uuid.uuid4()}"
    stack = StackResource(name, arn, {**members, "Parameters": parameters})
    region.stacks[arn] = stack
    gevent.spawn(_bring_up, context, stack, template)
    return {"StackId": arn}


def describe_stacks(context: Context, members: Members) -> Members:
    """DescribeStacks: one by its name or ARN, or all that are not deleted."""
    name = members.get("StackName")
    if name is None:
        return {"Stacks": [_described(stack) for stack in context.region.stacks.values() if stack.exists]}
    return {"Stacks": [_described(_stack(context, name))]}


def describe_stack_events(context: Context, members: Members) -> Members:
    """DescribeStackEvents, the newest first; of a deleted stack by its ARN."""
    return {"StackEvents": _stack(context, members["StackName"]).events[::-1]}


def delete_stack(context: Context, members: Members) -> Members:
    """DeleteStack; a stack that does not exist is no error."""
    stack = _named(context, members["StackName"])
    if stack is not None and stack.status != "DELETE_IN_PROGRESS":
        gevent.spawn(_take_down, context, stack)
    return {}


OPERATIONS: dict[str, Operation] = {
    "CreateStack": create_stack,
    "DescribeStacks": describe_stacks,
    "DescribeStackEvents": describe_stack_events,
    "DeleteStack": delete_stack,
}


def _named(context: Context, name: str) -> StackResource | None:
    """A stack that is not deleted, by its name or ARN."""
    stacks = [stack for stack in context.region.stacks.values() if stack.exists]
    return next((stack for stack in stacks if name in (stack.name, stack.arn)), None)


def _stack(context: Context, name: str) -> StackResource:
    stack = context.region.stacks.get(name) or _named(context, name)
    if stack is None:
        raise ApiError("ValidationError", f"Stack with id {name} does not exist")
    return stack


def _template(members: Members) -> dict[str, Any]:
    body = members.get("TemplateBody", "")
    if len(body.encode()) > _LARGEST_TEMPLATE:
        raise ApiError("ValidationError", f"Template body must be at most {_LARGEST_TEMPLATE} bytes")
    try:
        template: dict[str, Any] = yaml.load(body, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ApiError("ValidationError", f"Template format error: {error}") from None
    return template


def _parameters(template: Mapping[str, Any], members: Members) -> list[dict[str, str]]:
    """Every parameter with its value, given or default.

    Raises:
        ApiError: one is unknown, missing, or not allowed.
    """
    given = {entry["ParameterKey"]: entry["ParameterValue"] for entry in members.get("Parameters", [])}
    declared = template.get("Parameters", {})
    if unknown := given.keys() - declared:
        raise ApiError("ValidationError", f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {key: str(given.get(key, rule.get("Default", ""))) for key, rule in declared.items()}
    if missing := [key for key in declared if not values[key]]:
        raise ApiError("ValidationError", f"Parameters: [{', '.join(missing)}] must have values")
    for key, rule in declared.items():
        value = values[key]
        if not re.fullmatch(rule.get("AllowedPattern", "(?s).*"), value):
            raise ApiError("ValidationError", f"Parameter {key} failed to satisfy constraint: {rule}")
        if rule["Type"] == "Number" and not rule.get("MinValue", 0) <= int(value) <= rule.get(
            "MaxValue", 1e9
        ):
            raise ApiError("ValidationError", f"Parameter {key} failed to satisfy constraint: {rule}")
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def _bring_up(context: Context, stack: StackResource, template: Mapping[str, Any]) -> None:
    resources = list(template["Resources"].items())
    for logical, resource in resources:
        _event(stack, logical, resource["Type"], "CREATE_IN_PROGRESS")
    gevent.sleep(context.settings.create_seconds)
    if stack.status != "CREATE_IN_PROGRESS":
        return  # deleted meanwhile
    if context.fault is not None and context.fault.failure:
        _fail(context, stack, resources, context.fault)
        return
    for logical, resource in resources:
        _event(stack, logical, resource["Type"], "CREATE_COMPLETE")
    stack.status = "CREATE_COMPLETE"


def _fail(
    context: Context, stack: StackResource, resources: list[tuple[str, dict[str, Any]]], fault: Fault
) -> None:
    """The last resource fails, and with it those that were not complete."""
    (logical, resource), others = resources[-1], resources[:-1]
    _event(stack, logical, resource["Type"], "CREATE_FAILED", fault.failure)
    for other, its in others:
        _event(stack, other, its["Type"], "CREATE_FAILED", "Resource creation cancelled")
    if stack.spec.get("OnFailure") == "DELETE":
        _take_down(context, stack)
    else:
        stack.status = "CREATE_FAILED"


def _take_down(context: Context, stack: StackResource) -> None:
    stack.status = "DELETE_IN_PROGRESS"
    gevent.sleep(context.settings.delete_seconds)
    refused = (
        context.fault.failure if context.fault is not None and context.fault.call == "DeleteStack" else None
    )
    stack.status, stack.reason = ("DELETE_FAILED", refused) if refused else ("DELETE_COMPLETE", None)


def _event(stack: StackResource, logical: str, kind: str, status: str, reason: str | None = None) -> None:
    stack.events.append(
        {
            "StackId": stack.arn,
            "EventId": str(uuid.uuid4()),
            "StackName": stack.name,
            "LogicalResourceId": logical,
            "ResourceType": kind,
            "Timestamp": datetime.now(UTC),
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }
    )


def _described(stack: StackResource) -> Members:
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "Parameters": stack.spec["Parameters"],
        "CreationTime": stack.created,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "Tags": stack.spec.get("Tags", []),
    }
