"""What the account holds, per region: models, endpoint configs, endpoints, inference components, tags."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from emulator.errors import validation_error
from emulator.hosting import ContainerProcess

ACCOUNT_ID = "123456789012"
DEFAULT_PAGE = 10

EndpointStatus = Literal["Creating", "InService", "Deleting", "Failed"]


@dataclass
class Resource:
    """Something with a name and an ARN; ``spec`` is what its create call said."""

    name: str
    arn: str
    spec: dict[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def modified(self) -> datetime:
        """The last change; a resource that cannot change was last changed when it was created."""
        return self.created

    @property
    def state(self) -> str | None:
        """Its status, where it has one."""
        return None


@dataclass
class RunningResource(Resource):
    """A resource with containers behind it and a life of its own."""

    status: EndpointStatus = "Creating"
    failure: str | None = None
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))
    containers: dict[str, list[ContainerProcess]] = field(default_factory=dict)
    """Containers by the name of their production variant."""

    @property
    def modified(self) -> datetime:
        """When the status last changed."""
        return self.changed

    @property
    def state(self) -> str | None:
        """The status."""
        return self.status

    def set_status(self, status: EndpointStatus, failure: str | None = None) -> None:
        """Change the status."""
        self.status, self.failure, self.changed = status, failure, datetime.now(UTC)


@dataclass
class EndpointResource(RunningResource):
    """An endpoint; ``config`` is its config as it was at creation (which may be deleted since)."""

    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class Region:
    """One region of the account."""

    name: str
    models: dict[str, Resource] = field(default_factory=dict)
    configs: dict[str, Resource] = field(default_factory=dict)
    endpoints: dict[str, EndpointResource] = field(default_factory=dict)
    components: dict[str, RunningResource] = field(default_factory=dict)
    schedules: dict[str, Resource] = field(default_factory=dict)
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """Tags by ARN."""

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource (which AWS writes in lower case)."""
        return f"arn:aws:sagemaker:{self.name}:{ACCOUNT_ID}:{kind}/{name.lower()}"

    def tag(self, arn: str, tags: Iterable[dict[str, str]]) -> None:
        """Add tags to a resource, replacing those of the same key."""
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})


ResourceT = TypeVar("ResourceT", bound=Resource)


def find_resource(resources: dict[str, ResourceT], name: str, noun: str, arn: str) -> ResourceT:
    """The resource of that name.

    Raises:
        ApiError: there is none, in AWS's words.
    """
    if name not in resources:
        raise validation_error(f'Could not find {noun} "{arn}".')
    return resources[name]


def list_page(resources: Iterable[ResourceT], query: dict[str, Any]) -> tuple[list[ResourceT], str | None]:
    """One page of a List call, and the token of the next: filtered, sorted, cut.

    Raises:
        ApiError: the token is none of ours.
    """
    wanted = [item for item in resources if _wanted(item, query)]
    by_name = query.get("SortBy", "CreationTime") == "Name"
    wanted.sort(
        key=lambda item: item.name if by_name else (item.created.timestamp(), item.name),
        reverse=query.get("SortOrder", "Descending") == "Descending",
    )
    start = _offset(query.get("NextToken"))
    end = start + query.get("MaxResults", DEFAULT_PAGE)
    token = base64.b64encode(str(end).encode()).decode() if end < len(wanted) else None
    return wanted[start:end], token


def _wanted(item: Resource, query: dict[str, Any]) -> bool:
    return (
        query.get("NameContains", "").lower() in item.name.lower()
        and query.get("StatusEquals", item.state) == item.state
        and _within(item.created, query, "CreationTime")
        and _within(item.modified, query, "LastModifiedTime")
    )


def _within(moment: datetime, query: dict[str, Any], key: str) -> bool:
    before, after = query.get(f"{key}Before"), query.get(f"{key}After")
    return (before is None or moment < before) and (after is None or moment > after)


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error):
        raise validation_error("Invalid NextToken") from None
