"""The kinds of resources that a run creates, and the calls that all of them share."""

from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from deploy.aws.clients import Clients
from deploy.aws.errors import classify

VARIANT = "AllTraffic"
"""The name of the production variant of every endpoint that this suite creates."""

KindName = Literal[
    "model", "endpoint-config", "endpoint", "inference-component", "schedule", "fleet", "secret"
]


@dataclass(frozen=True)
class Kind:
    """One kind of resource: the client's methods, and the members that hold name, ARN and status."""

    key: KindName
    service: str
    stem: str
    name: str
    arn: str
    status: str | None = None
    deleting: str = "Deleting"
    """The status while it is deleted."""
    created: str = "CreationTime"
    """The member of a List response that holds the time of its creation."""

    def command(self, name: str, region: str) -> str:
        """The AWS CLI command that deletes it, ready to paste."""
        operation = self.stem.replace("_", "-")
        option = {"schedule": "name", "secret": "secret-id"}.get(self.key, f"{operation}-name")
        flags = " --force-delete-without-recovery" if self.key == "secret" else ""
        return f"aws {self.service} delete-{operation} --{option} {name}{flags} --region {region}"


KINDS: dict[KindName, Kind] = {
    kind.key: kind
    for kind in (
        Kind("inference-component", "sagemaker", "inference_component", "InferenceComponentName",
             "InferenceComponentArn", "InferenceComponentStatus"),
        Kind("endpoint", "sagemaker", "endpoint", "EndpointName", "EndpointArn", "EndpointStatus"),
        Kind("endpoint-config", "sagemaker", "endpoint_config", "EndpointConfigName", "EndpointConfigArn"),
        Kind("model", "sagemaker", "model", "ModelName", "ModelArn"),
        Kind("schedule", "scheduler", "schedule", "Name", "Arn"),
        Kind("fleet", "cloudformation", "stack", "StackName", "StackId", "StackStatus",
             deleting="DELETE_IN_PROGRESS"),
        Kind("secret", "secretsmanager", "secret", "Name", "ARN", created="CreatedDate"),
    )
}  # fmt: skip
"""In the order of deletion. Of an endpoint, schedules come last: they delete what this program could not."""

BILLED: frozenset[KindName] = frozenset({"endpoint", "fleet"})
"""Kinds with instances, which are billed by the time."""

LARGE_PAGES = {"PageSize": 100}
"""The largest page of the List calls: SageMaker's default of ten means many calls, which it throttles."""

REMOVAL_ORDER: tuple[KindName, ...] = tuple(KINDS)


def create(clients: Clients, kind: Kind, request: dict[str, Any]) -> str:
    """Create it; returns its ARN. Raises botocore's errors."""
    answer = getattr(clients.client(kind.service), f"create_{kind.stem}")(**request)
    return str(answer["ScheduleArn" if kind.key == "schedule" else kind.arn])


def describe(clients: Clients, kind: Kind, name: str) -> dict[str, Any] | None:
    """Describe it; None where it does not exist. Raises botocore's other errors."""
    client = clients.client(kind.service)
    try:
        if kind.key == "fleet":
            stacks = client.describe_stacks(StackName=name)["Stacks"]
            return dict(stacks[0]) if stacks else None
        verb = "get" if kind.key == "schedule" else "describe"
        answer: dict[str, Any] = getattr(client, f"{verb}_{kind.stem}")(**_named(kind, name))
    except ClientError as error:
        if classify(error) == "missing":
            return None
        raise
    answer.pop("ResponseMetadata", None)
    return None if "DeletedDate" in answer else answer  # a secret is visible for a moment after its deletion


def delete(clients: Clients, kind: Kind, name: str) -> None:
    """Request its deletion. Raises botocore's errors."""
    at_once = {"ForceDeleteWithoutRecovery": True} if kind.key == "secret" else {}
    getattr(clients.client(kind.service), f"delete_{kind.stem}")(**_named(kind, name), **at_once)


def _named(kind: Kind, name: str) -> dict[str, str]:
    return {"SecretId" if kind.key == "secret" else kind.name: name}


def tags(clients: Clients, kind: Kind, seen: dict[str, Any]) -> dict[str, str]:
    """Tags of a resource as a Describe or List call shows it. Raises botocore's errors."""
    if kind.service == "sagemaker":
        pages = clients.sagemaker.get_paginator("list_tags").paginate(ResourceArn=seen[kind.arn])
        listed = [tag for page in pages for tag in page["Tags"]]
    else:
        listed = seen.get("Tags", [])
    return {tag["Key"]: tag["Value"] for tag in listed}
