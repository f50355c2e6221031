"""The kinds of resources that a run creates, and the calls that all of them share."""

from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from deploy.aws.clients import Clients
from deploy.aws.errors import classify

VARIANT = "AllTraffic"
"""The name of the production variant of every endpoint that this suite creates."""

KindName = Literal["model", "endpoint-config", "endpoint", "inference-component", "schedule"]


@dataclass(frozen=True)
class Kind:
    """One kind of resource: the client's methods, and the members that hold name, ARN and status."""

    key: KindName
    service: str
    stem: str
    name: str
    arn: str
    status: str | None = None

    def command(self, name: str, region: str) -> str:
        """The AWS CLI command that deletes it, ready to paste."""
        operation = self.stem.replace("_", "-")
        option = "name" if self.key == "schedule" else f"{operation}-name"
        return f"aws {self.service} delete-{operation} --{option} {name} --region {region}"


KINDS: dict[KindName, Kind] = {
    kind.key: kind
    for kind in (
        Kind("inference-component", "sagemaker", "inference_component", "InferenceComponentName",
             "InferenceComponentArn", "InferenceComponentStatus"),
        Kind("endpoint", "sagemaker", "endpoint", "EndpointName", "EndpointArn", "EndpointStatus"),
        Kind("endpoint-config", "sagemaker", "endpoint_config", "EndpointConfigName", "EndpointConfigArn"),
        Kind("model", "sagemaker", "model", "ModelName", "ModelArn"),
        Kind("schedule", "scheduler", "schedule", "Name", "Arn"),
    )
}  # fmt: skip
"""In the order of deletion. Schedules come last: they delete what this program could not."""

LARGE_PAGES = {"PageSize": 100}
"""The largest page of the List calls: SageMaker's default of ten means many calls, which it throttles."""

REMOVAL_ORDER: tuple[KindName, ...] = tuple(KINDS)


def create(clients: Clients, kind: Kind, request: dict[str, Any]) -> str:
    """Create it; returns its ARN. Raises botocore's errors."""
    answer = getattr(clients.client(kind.service), f"create_{kind.stem}")(**request)
    return str(answer["ScheduleArn" if kind.key == "schedule" else kind.arn])


def describe(clients: Clients, kind: Kind, name: str) -> dict[str, Any] | None:
    """Describe it; None where it does not exist. Raises botocore's other errors."""
    verb = "get" if kind.key == "schedule" else "describe"
    try:
        answer: dict[str, Any] = getattr(clients.client(kind.service), f"{verb}_{kind.stem}")(
            **{kind.name: name}
        )
    except ClientError as error:
        if classify(error) == "missing":
            return None
        raise
    answer.pop("ResponseMetadata", None)
    return answer


def delete(clients: Clients, kind: Kind, name: str) -> None:
    """Request its deletion. Raises botocore's errors."""
    getattr(clients.client(kind.service), f"delete_{kind.stem}")(**{kind.name: name})


def tags(clients: Clients, arn: str) -> dict[str, str]:
    """Tags of a SageMaker resource. Raises botocore's errors."""
    pages = clients.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
