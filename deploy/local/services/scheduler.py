"""EventBridge Scheduler: one-time schedules that delete an endpoint, carried out when they are due."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import gevent

from deploy.local import sagemaker
from deploy.local.account import ACCOUNT_ID, Resource, listing
from deploy.local.context import Context
from deploy.local.errors import ApiError, validation

Members = dict[str, Any]
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_TARGET = "scheduler:::aws-sdk:sagemaker:deleteEndpoint"
_RETRY_SECONDS = 1.0


def create_schedule(context: Context, members: Members) -> Members:
    """CreateSchedule; only one-time deletes of an endpoint are known here."""
    name, schedules = members["Name"], context.region.schedules
    group = members.get("GroupName", "default")
    arn = f"arn:aws:scheduler:{context.region.name}:{ACCOUNT_ID}:schedule/{group}/{name}"
    if name in schedules:
        raise ApiError("ConflictException", f"Schedule {name} already exists.", 409)
    due = _due(members)
    target = members["Target"]
    if not target["Arn"].endswith(_TARGET):
        raise validation(f"Target {target['Arn']} is not served on this machine: only {_TARGET} is")
    if "EndpointName" not in _input(target):
        raise validation("Target.Input must be JSON with an EndpointName")
    context.check_role(target["RoleArn"], "scheduler.amazonaws.com")
    schedule = Resource(name, arn, {**members, "GroupName": group})
    schedules[name] = schedule
    seconds = max(0.0, (due - datetime.now(UTC)).total_seconds())
    gevent.spawn_later(seconds, _carry_out, context, schedule)
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
    held = [s for s in context.region.schedules.values() if s.name.startswith(prefix)]
    page, token = listing(held, {**members, "SortBy": "Name", "SortOrder": "Ascending"})
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


OPERATIONS: dict[str, Callable[[Context, Members], Members]] = {
    "CreateSchedule": create_schedule,
    "GetSchedule": get_schedule,
    "DeleteSchedule": delete_schedule,
    "ListSchedules": list_schedules,
}


def _due(members: Members) -> datetime:
    match = _AT.fullmatch(members["ScheduleExpression"])
    if match is None:
        raise validation(f"Invalid Schedule Expression {members['ScheduleExpression']}.")
    zone = members.get("ScheduleExpressionTimezone", "UTC")
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError):
        raise validation(f"Invalid Schedule Expression {match[0]} or time zone {zone}.") from None


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


def _carry_out(context: Context, schedule: Resource) -> None:
    """Delete the endpoint; an endpoint that is still Creating is tried again, as Scheduler retries."""
    while context.region.schedules.get(schedule.name) is schedule:
        name = _input(schedule.spec["Target"])["EndpointName"]
        try:
            sagemaker.delete_endpoint(context, {"EndpointName": name})
        except ApiError:
            if name in context.region.endpoints:
                gevent.sleep(_RETRY_SECONDS)
                continue
        if schedule.spec.get("ActionAfterCompletion") == "DELETE":
            del context.region.schedules[schedule.name]
        return
