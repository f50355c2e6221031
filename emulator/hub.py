"""SageMakerPublicHub, as far as JumpStart plans need it; the models are in ``hub.yml``."""

import fnmatch
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from emulator.context import Context, Members, Operation
from emulator.errors import ApiError, validation_error

_HUB = "SageMakerPublicHub"


def describe_hub_content(context: Context, members: Members) -> Members:
    """DescribeHubContent for models."""
    name, entry = _find(context, members)
    version = members.get("HubContentVersion", entry["versions"][-1])
    if version not in entry["versions"]:
        raise ApiError("ResourceNotFound", f"HubContent {name} has no version {version}.")
    environment = entry.get("environment", {})
    document = {
        "HostingEcrUri": entry["image"].format(region=context.region.name),
        "HostingArtifactUri": entry["artifact"].format(region=context.region.name),
        "GatedBucket": entry.get("gated", False),
        "InferenceEnvironmentVariables": [{"Name": k, "Default": v} for k, v in environment.items()],
        "SupportedInferenceInstanceTypes": entry["instance_types"],
        "DefaultInferenceInstanceType": entry["instance_types"][0],
        **entry.get("host", {}),
    }
    return {
        **_summary(context, name, version),
        "HubContentDocument": json.dumps(document),
        "HubName": _HUB,
        "HubArn": f"arn:aws:sagemaker:{context.region.name}:aws:hub/{_HUB}",
    }


def list_hub_content_versions(context: Context, members: Members) -> Members:
    """ListHubContentVersions, newest first."""
    name, entry = _find(context, members)
    return {"HubContentSummaries": [_summary(context, name, v) for v in reversed(entry["versions"])]}


OPERATIONS: dict[str, Operation] = {
    "DescribeHubContent": describe_hub_content,
    "ListHubContentVersions": list_hub_content_versions,
}


@lru_cache
def _table() -> dict[str, Any]:
    path = Path(__file__).with_name("hub.yml")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _find(context: Context, members: Members) -> tuple[str, Members]:
    if members["HubName"] != _HUB or members["HubContentType"] != "Model":
        raise validation_error(f"The emulator has only the models of {_HUB}.")
    name = members["HubContentName"]
    for pattern, entry in _table().items():
        if fnmatch.fnmatch(name, pattern):
            return name, entry
    arn = f"arn:aws:sagemaker:{context.region.name}:aws:hub-content/{_HUB}/Model/{name}"
    raise ApiError("ResourceNotFound", f"HubContent {arn} does not exist.")


def _summary(context: Context, name: str, version: str) -> Members:
    arn = f"arn:aws:sagemaker:{context.region.name}:aws:hub-content/{_HUB}/Model/{name}/{version}"
    return {
        "HubContentName": name,
        "HubContentArn": arn,
        "HubContentVersion": version,
        "HubContentType": "Model",
        "DocumentSchemaVersion": "2.3.0",
        "HubContentStatus": "Available",
        "CreationTime": context.region.opened,
    }
