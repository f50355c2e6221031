"""JumpStart models: image, data and settings from SageMaker's public hub."""

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.version import InvalidVersion, Version

from common.errors import UserError
from configs.plan import Model
from deploy.aws.clients import Clients
from deploy.aws.errors import as_user_error
from deploy.spec.endpoint_spec import Host

HUB = "SageMakerPublicHub"


@dataclass(frozen=True)
class HubModel:
    """One version of a JumpStart model."""

    version: str
    image: str
    model_data: str | None
    environment: Mapping[str, str]
    gated: bool
    instance_types: tuple[str, ...]
    host: Host = field(default_factory=Host)


def hub_model(model: Model, instance_type: str, clients: Clients) -> HubModel:
    """Look up ``model.id`` in the hub (DescribeHubContent).

    Raises:
        UserError: the hub does not have it or refuses the call, or its license was not accepted.
    """
    name = model.id or ""
    action = f"looking up the JumpStart model {name} (not needed with model.image and model.model_data)"
    request = {"HubName": HUB, "HubContentType": "Model", "HubContentName": name}
    with as_user_error(action):
        version = _version(request, model.version, clients)
        if version:
            request["HubContentVersion"] = version
        answer = clients.sagemaker.describe_hub_content(**request)
    hub = parse(answer, instance_type)
    if hub.gated and not model.accept_eula:
        raise UserError(
            f"model.accept_eula: the license of {name} is not accepted",
            "read the license, then set accept_eula: true",
        )
    return hub


def parse(answer: Mapping[str, Any], instance_type: str) -> HubModel:
    """Parse a DescribeHubContent response, with its settings for this instance type.

    Raises:
        UserError: the document cannot be read or names no image.
    """
    try:
        document = json.loads(answer["HubContentDocument"])
    except (KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"the hub's document of {answer.get('HubContentName')} cannot be read ({error})",
            "set model.image and model.model_data",
        ) from error
    variants = document.get("HostingInstanceTypeVariants") or {}
    special = _special(variants, instance_type)
    image = _alias(special.get("ImageUri"), variants, answer) or document.get("HostingEcrUri")
    if not image:
        raise UserError(f"the hub names no image for {answer.get('HubContentName')}", "set model.image")
    environment = {
        item["Name"]: str(item["Default"])
        for item in document.get("InferenceEnvironmentVariables") or []
        if item.get("Default") is not None
    }
    environment |= {k: str(v) for k, v in (special.get("EnvironmentVariables") or {}).items()}
    return HubModel(
        version=str(answer.get("HubContentVersion", "")),
        image=image,
        model_data=document.get("HostingPrepackedArtifactUri") or document.get("HostingArtifactUri"),
        environment=environment,
        gated=bool(document.get("GatedBucket")),
        instance_types=tuple(document.get("SupportedInferenceInstanceTypes") or ()),
        host=Host(
            startup_timeout=_limited(document.get("ContainerStartupHealthCheckTimeout"), 60, 3600),
            download_timeout=_limited(document.get("ModelDataDownloadTimeout"), 60, 3600),
            inference_ami=document.get("InferenceAmiVersion"),
            volume_gb=_limited(_volume(document, instance_type), 1, 512),
        ),
    )


def _limited(value: Any, low: int, high: int) -> int | None:
    """A number of the document (which may be text) within the bounds of CreateEndpointConfig."""
    return None if value is None else min(max(int(value), low), high)


def _volume(document: Mapping[str, Any], instance_type: str) -> Any:
    """Volume size in GB; None for instance types with local disks, to which SageMaker attaches no volume."""
    if document.get("InferenceVolumeSize") is None:
        return None
    from sagemaker.core.common_utils import volume_size_supported  # noqa: PLC0415 - slow, and few runs need it

    return document["InferenceVolumeSize"] if volume_size_supported(instance_type) else None


def _special(variants: Mapping[str, Any], instance_type: str) -> dict[str, Any]:
    by_type = variants.get("Variants") or {}
    family = instance_type.removeprefix("ml.").split(".")[0]
    return {
        key: value
        for name in (family, instance_type)
        for key, value in ((by_type.get(name) or {}).get("Properties") or {}).items()
    }


def _alias(image: str | None, variants: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    if image is None or not image.startswith("$"):
        return image
    region = str(answer.get("HubContentArn", ":::")).split(":")[3]
    aliases = variants.get("Aliases") or ((variants.get("RegionalAliases") or {}).get(region)) or {}
    return aliases.get(image.removeprefix("$"))


def _version(request: dict[str, str], wanted: str | None, clients: Clients) -> str | None:
    if wanted is None or wanted == "*":
        return None
    if "*" not in wanted:
        return wanted
    versions: list[str] = []
    page: dict[str, Any] = {}
    while not page or page.get("NextToken"):
        token = {"NextToken": page["NextToken"]} if page else {}
        page = clients.sagemaker.list_hub_content_versions(**request, **token)
        versions += [summary["HubContentVersion"] for summary in page["HubContentSummaries"]]
    fitting = [version for version in versions if fnmatch.fnmatch(version, wanted)]
    if not fitting:
        raise UserError(
            f"model.version: {request['HubContentName']} has no version {wanted}",
            f"use one of {', '.join(versions)}",
        )
    return max(fitting, key=version_order)


def version_order(version: str) -> Version:
    """A sort key: versions in the order of Python packages, after everything that is not a version."""
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0.dev0")
