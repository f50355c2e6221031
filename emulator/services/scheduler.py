"""EventBridge Scheduler: one-time schedules that delete endpoints and inference components."""

import json
import re
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import gevent

from emulator import components, sagemaker
from emulator.account import ACCOUNT_ID, Resource, list_page
from emulator.context import Context, Members, Operation
from emulator.errors import ApiError, validation_error

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_TARGET = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:sagemaker:(\w+)")
_NAMED_BY = {"deleteEndpoint": "EndpointName", "deleteInferenceComponent": "InferenceComponentName"}
_RETRY_SECONDS = 1.0
_RETRIES = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}


def create_schedule(context: Context, members: Members) -> Members:
    """CreateSchedule; only one-time deletions of endpoints and inference components are supported."""
    name, schedules = members["Name"], context.region.schedules
    group = members.get("GroupName", "default")
    arn = f"arn:aws:scheduler:{context.region.name}:{ACCOUNT_ID}:schedule/{group}/{name}"
    if name in schedules:
        raise ApiError("ConflictException", f"Schedule {name} already exists.", 409)
    due = _due(members)
    target = members["Target"]
    action = _TARGET.fullmatch(target["Arn"])
    if action is None or action[1] not in _NAMED_BY:
        supported = " and ".join(_NAMED_BY)
        raise validation_error(f"The emulator does not support the target {target['Arn']}, only {supported}.")
    if _NAMED_BY[action[1]] not in _input(target):
        raise validation_error(f"Target.Input must be JSON with {_NAMED_BY[action[1]]}")
    context.check_role(target["RoleArn"], "scheduler.amazonaws.com")
    schedule = Resource(name, arn, {**members, "GroupName": group})
    schedules[name] = schedule
    seconds = max(0.0, (due - datetime.now(UTC)).total_seconds())
    gevent.spawn_later(seconds, _run_when_due, context, schedule)
    return {"ScheduleArn": arn}


def get_schedule(context: Context, members: Members) -> Members:
    """GetSchedule."""
    schedule = _schedule(context, members["Name"])
    spec = {key: value for key, value in schedule.spec.items() if key != "ClientToken"}
    return {
        "ActionAfterCompletion": "NONE",
        "State": "ENABLED",
        **spec,
        "Arn": schedule.arn,
        "CreationDate": schedule.created,
        "LastModificationDate": schedule.created,
    }


def delete_schedule(context: Context, members: Members) -> Members:
    """DeleteSchedule."""
    del context.region.schedules[_schedule(context, members["Name"]).name]
    return {}


def list_schedules(context: Context, members: Members) -> Members:
    """ListSchedules."""
    prefix = members.get("NamePrefix", "")
    listed = [s for s in context.region.schedules.values() if s.name.startswith(prefix)]
    page, token = list_page(listed, {**members, "SortBy": "Name", "SortOrder": "Ascending"})
    rows = [
        {
            "Arn": s.arn,
            "Name": s.name,
            "GroupName": s.spec["GroupName"],
            "State": "ENABLED",
            "CreationDate": s.created,
            "LastModificationDate": s.created,
            "Target": {"Arn": s.spec["Target"]["Arn"]},
        }
        for s in page
    ]
    return {"Schedules": rows, "NextToken": token}


OPERATIONS: dict[str, Operation] = {
    "CreateSchedule": create_schedule,
    "GetSchedule": get_schedule,
    "DeleteSchedule": delete_schedule,
    "ListSchedules": list_schedules,
}


def _due(members: Members) -> datetime:
    match = _AT.fullmatch(members["ScheduleExpression"])
    if match is None:
        raise validation_error(f"Invalid Schedule Expression {members['ScheduleExpression']}.")
    zone = members.get("ScheduleExpressionTimezone", "UTC")
    try:
        due = datetime.fromisoformat(match[1]).replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError):
        raise validation_error(f"Invalid Schedule Expression {match[0]} or time zone {zone}.") from None
    if due < datetime.now(UTC):
        raise validation_error(f"Invalid Schedule Expression {match[0]}: it is in the past.")
    return due


def _input(target: Members) -> Members:
    try:
        content = json.loads(target.get("Input", ""))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _schedule(context: Context, name: str) -> Resource:
    if name not in context.region.schedules:
        raise ApiError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
    return context.region.schedules[name]


def _run_when_due(context: Context, schedule: Resource) -> None:
    """Delete the target; retry by its policy while it refuses (it is Creating, or has components)."""
    target = schedule.spec["Target"]
    retries = _RETRIES | target.get("RetryPolicy", {})
    until = time.monotonic() + retries["MaximumEventAgeInSeconds"]
    for _ in range(1 + retries["MaximumRetryAttempts"]):
        if context.region.schedules.get(schedule.name) is not schedule:
            return  # the schedule was deleted, or replaced by one with the same name
        if _try_to_delete(context, target) or time.monotonic() + _RETRY_SECONDS > until:
            break
        gevent.sleep(_RETRY_SECONDS)
    if schedule.spec.get("ActionAfterCompletion") == "DELETE":
        context.region.schedules.pop(schedule.name, None)


def _try_to_delete(context: Context, target: Members) -> bool:
    """Call the target; False if it has to be retried."""
    operation = target["Arn"].rsplit(":", 1)[-1]
    member = _NAMED_BY[operation]
    name = _input(target)[member]
    call, resources = (
        (sagemaker.delete_endpoint, context.region.endpoints)
        if operation == "deleteEndpoint"
        else (components.delete, context.region.components)
    )
    try:
        call(context, {member: name})
    except ApiError:
        return name not in resources
    return True
