"""The account's resources by region: models, endpoint configs, endpoints, inference components, tags."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from emulator.errors import validation_error
from emulator.hosting import ContainerProcess
from emulator.paging import cut_page

ACCOUNT_ID = "123456789012"
DEFAULT_PAGE = 10

EndpointStatus = Literal["Creating", "InService", "Deleting", "Failed"]


@dataclass
class Resource:
    """A named resource; ``spec`` holds the members of the call that created it."""

    name: str
    arn: str
    spec: dict[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def modified(self) -> datetime:
        """When it last changed: at its creation, for a resource that cannot change."""
        return self.created

    @property
    def state(self) -> str | None:
        """Its status; None for a resource without one."""
        return None


@dataclass
class RunningResource(Resource):
    """A resource with containers behind it, and a status that changes."""

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
    """An endpoint; ``config`` is a copy of its config, which may have been deleted since."""

    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class StackResource(Resource):
    """A CloudFormation stack, and its events from the oldest."""

    status: str = "CREATE_IN_PROGRESS"
    events: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    """Why it could not be deleted."""

    @property
    def exists(self) -> bool:
        """Whether it is shown without its ARN."""
        return self.status != "DELETE_COMPLETE"


@dataclass
class Region:
    """One region of the account."""

    name: str
    models: dict[str, Resource] = field(default_factory=dict)
    configs: dict[str, Resource] = field(default_factory=dict)
    endpoints: dict[str, EndpointResource] = field(default_factory=dict)
    components: dict[str, RunningResource] = field(default_factory=dict)
    schedules: dict[str, Resource] = field(default_factory=dict)
    stacks: dict[str, StackResource] = field(default_factory=dict)
    """By ARN: deleted stacks are kept, as on AWS."""
    secrets: dict[str, Resource] = field(default_factory=dict)
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """Tags by ARN."""

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource; AWS writes it in lower case."""
        return f"arn:aws:sagemaker:{self.name}:{ACCOUNT_ID}:{kind}/{name.lower()}"

    def tag(self, arn: str, tags: Iterable[dict[str, str]]) -> None:
        """Add tags to a resource; a tag replaces an older one with the same key."""
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})


ResourceT = TypeVar("ResourceT", bound=Resource)


def find_resource(resources: dict[str, ResourceT], name: str, noun: str, arn: str) -> ResourceT:
    """The resource with that name.

    Raises:
        ApiError: it does not exist; the message is AWS's, with ``noun`` and ``arn``.
    """
    if name not in resources:
        raise validation_error(f'Could not find {noun} "{arn}".')
    return resources[name]


def list_page(
    resources: Iterable[ResourceT], query: dict[str, Any]
) -> tuple[Sequence[ResourceT], str | None]:
    """One page of a List call, filtered and sorted as ``query`` asks, and the token of the next page.

    Raises:
        ApiError: the token is invalid.
    """
    matching = [item for item in resources if _matches(item, query)]
    by_name = query.get("SortBy", "CreationTime") == "Name"
    matching.sort(
        key=lambda item: item.name if by_name else (item.created.timestamp(), item.name),
        reverse=query.get("SortOrder", "Descending") == "Descending",
    )
    size = query.get("MaxResults", DEFAULT_PAGE)
    return cut_page(matching, query.get("NextToken"), size, validation_error("Invalid NextToken"))


def _matches(item: Resource, query: dict[str, Any]) -> bool:
    return (
        query.get("NameContains", "").lower() in item.name.lower()
        and query.get("StatusEquals", item.state) == item.state
        and _within(item.created, query, "CreationTime")
        and _within(item.modified, query, "LastModifiedTime")
    )


def _within(moment: datetime, query: dict[str, Any], key: str) -> bool:
    before, after = query.get(f"{key}Before"), query.get(f"{key}After")
    return (before is None or moment < before) and (after is None or moment > after)
