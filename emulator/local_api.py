"""The emulator's own routes, for tests. They are not signed, so only loopback addresses may use them.

``GET /_local/state`` returns the resources, the calls so far, the active faults and the settings. ``POST``
takes JSON:

========================  =================================================================================
``/_local/faults``        a list of faults
``/_local/settings``      fields of `Settings`
``/_local/credentials``   an ``access_key`` with its ``secret``, ``session_token`` and ``expires_at``
``/_local/quotas``        instance type (``*``: all together) → instances
``/_local/roles``         role name (or the ARN of another account's role) → services that may assume it
``/_local/secrets``       secret name → text
``/_local/images``        image URI → whether its registry has it
``/_local/vpc_endpoints`` service, such as ``ecr.api`` → whether the VPC has an endpoint for it
``/_local/release``       an ``endpoint`` that is stuck in Creating: it becomes Failed
========================  =================================================================================
"""

import dataclasses
import ipaddress
import json
from typing import Any

from emulator.account import Region, RunningResource
from emulator.context import AccountState, Settings
from emulator.faults import parse_faults
from emulator.http import HttpRequest, HttpResponse, json_response
from emulator.lifecycle import fail_stuck_endpoint
from emulator.signing import Credential

PREFIX = "/_local/"


def serve(account: AccountState, request: HttpRequest) -> HttpResponse:
    """Respond to one request of a test."""
    peer = ipaddress.ip_address(request.connection.getpeername()[0])
    if not peer.is_loopback:
        return json_response(403, {"message": "only for loopback"})
    try:
        return _respond(account, request)
    except (ValueError, TypeError, KeyError) as error:
        return json_response(400, {"message": str(error)})


def _respond(account: AccountState, request: HttpRequest) -> HttpResponse:
    name = request.path.removeprefix(PREFIX)
    if request.method == "GET" and name == "state":
        return json_response(200, _state(account))
    if request.method != "POST":
        return json_response(404, {"message": f"no {request.method} {request.path}"})
    content = json.loads(request.body)
    if name == "faults":
        account.faults.set_faults(parse_faults(content))
    elif name == "settings":
        names = {f.name for f in dataclasses.fields(Settings)}
        for key, value in content.items():
            if key not in names:
                raise ValueError(f"{key} is not a setting; choose from {', '.join(sorted(names))}")
            setattr(account.settings, key, value)
    elif name == "credentials":
        access_key = content.pop("access_key")
        account.keys[access_key] = Credential(**content)
    elif name == "release":
        for region in account.regions.values():
            if content["endpoint"] in region.endpoints:
                fail_stuck_endpoint(region.endpoints[content["endpoint"]])
    elif name in ("quotas", "roles", "secrets", "images", "vpc_endpoints"):
        getattr(account, name).update(content)
    else:
        return json_response(404, {"message": f"no {request.method} {request.path}"})
    return json_response(200, {})


def _state(account: AccountState) -> dict[str, Any]:
    return {
        "regions": {name: _region(region) for name, region in account.regions.items()},
        "calls": [dataclasses.asdict(record) for record in account.faults.calls],
        "faults": [fault.model_dump() for fault in account.faults.active],
        "settings": dataclasses.asdict(account.settings),
    }


def _region(region: Region) -> dict[str, Any]:
    return {
        "models": list(region.models),
        "endpoint_configs": list(region.configs),
        "endpoints": {name: _running_resource(endpoint) for name, endpoint in region.endpoints.items()},
        "inference_components": {
            name: _running_resource(component) for name, component in region.components.items()
        },
        "schedules": list(region.schedules),
        "stacks": [stack.name for stack in region.stacks.values() if stack.exists],
        "secrets": list(region.secrets),
        "tags": region.tags,
    }


def _running_resource(resource: RunningResource) -> dict[str, Any]:
    return {
        "status": resource.status,
        "failure": resource.failure,
        "containers": [
            {"variant": variant, "pid": c.process.pid, "port": c.port, "outstanding": c.outstanding}
            for variant, group in resource.containers.items()
            for c in group
        ],
    }
