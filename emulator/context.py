"""What an operation receives besides its members: the account's state, the region, and a fault."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from emulator.account import ACCOUNT_ID, Region
from emulator.errors import ApiError, validation_error
from emulator.faults import Fault, Faults
from emulator.invocations import Invocations
from emulator.shapes import service_model
from emulator.signing import Credential
from emulator.utilisation import Utilisation

Members = dict[str, Any]
"""Members of a request or a response, by the names in botocore's models."""
DEFAULT_QUOTA = 4
ALL_TYPES = "*"
ALL_ENDPOINTS_QUOTA = "Number of instances across active endpoints"
_LARGE = ("ml.p3.", "ml.p4", "ml.p5", "ml.p6", "ml.trn")
"""Instance families for which a new account has no quota."""
_ECR_IMAGE = re.compile(r"\d{12}\.dkr\.ecr[^/]*\.amazonaws\.com(\.cn)?/")


@dataclass
class Settings:
    """Time limits and delays of this SageMaker, and how it splits streams."""

    create_seconds: float = 1.0
    """Shortest time that an endpoint is Creating."""
    delete_seconds: float = 0.3
    startup_limit: float = 3600.0
    """Longest time for a container to become healthy."""
    invocation_seconds: float = 60.0
    stream_seconds: float = 480.0
    payload_bytes: int = 6_291_456
    coalesce: int = 1
    """Chunks of the container that are joined before they are split into parts of the event stream."""
    pieces: int = 2
    """Parts into which each joined chunk is split."""


@dataclass
class AccountState:
    """The state of the account in all regions, and its credentials."""

    settings: Settings = field(default_factory=Settings)
    keys: dict[str, Credential] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    regions: dict[str, Region] = field(default_factory=dict)
    invocations: Invocations = field(default_factory=Invocations)
    utilisation: Utilisation = field(default_factory=Utilisation)
    roles: dict[str, list[str]] = field(
        default_factory=lambda: {
            "local-sagemaker": ["sagemaker.amazonaws.com"],
            "local-scheduler": ["scheduler.amazonaws.com"],
        }
    )
    """Role name, or the ARN of another account's role → services that may assume it."""
    quotas: dict[str, int] = field(default_factory=dict)
    """Applied quotas: instances for endpoint usage by type; ``*`` is the quota of all types together."""
    secrets: dict[str, str] = field(default_factory=dict)
    images: dict[str, bool] = field(default_factory=dict)
    """Image URI → whether its registry has it; images that are not listed exist."""
    vpc_endpoints: dict[str, bool] = field(default_factory=dict)
    """Short service name → whether the VPC has an endpoint for it; those that are not listed exist."""

    def region(self, name: str) -> Region:
        """The region; the first use creates it."""
        return self.regions.setdefault(name, Region(name))

    def quota(self, instance_type: str) -> int:
        """Instances of a type that the account may use for endpoints."""
        return self.quotas.get(instance_type, default_quota(instance_type))

    def has_image(self, uri: str) -> bool:
        """Whether the registry in an image's URI has the image."""
        return self.images.get(uri, True)


@dataclass
class Context:
    """The context of one call. ``fault`` affects the resource that the call creates, or the stream."""

    account: AccountState
    region: Region
    fault: Fault | None = None

    @property
    def settings(self) -> Settings:
        """The emulator's settings."""
        return self.account.settings

    def check_role(self, arn: str, principal: str = "sagemaker.amazonaws.com") -> None:
        """Check that a role exists and that ``principal`` may assume it.

        Raises:
            ApiError: in AWS's words, as for all checks here.
        """
        is_own = arn.startswith(f"arn:aws:iam::{ACCOUNT_ID}:role/")
        principals = self.account.roles.get(arn.rsplit("/", 1)[-1] if is_own else arn, [])
        if principal not in principals:
            raise validation_error(
                f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
                f"'{principal}' to assume the role."
            )

    def check_images(self, containers: Iterable[dict[str, Any]]) -> None:
        """Check that SageMaker would pull the images: from ECR, with a tag or digest, and present there."""
        for uri in (container["Image"] for container in containers if "Image" in container):
            if not _ECR_IMAGE.match(uri):
                raise validation_error(
                    f'Using non-ECR image "{uri}" without Vpc repository access mode is not supported.'
                )
            if not re.search(r"[:@]", uri.rsplit("/", 1)[-1]):
                raise validation_error(f'ECR image "{uri}" is invalid.')
            if not self.account.has_image(uri):
                raise validation_error(f"Requested image {uri} not found.")

    def check_quota(self, variants: list[dict[str, Any]]) -> None:
        """Check that the quota allows the instances of these production variants."""
        used: Counter[str] = Counter()
        for endpoint in self.region.endpoints.values():
            used += _instances(endpoint.config["ProductionVariants"])
        wanted = _instances(variants)
        for instance_type, count in wanted.items():
            limit = self.account.quota(instance_type)
            _check_limit(f"{instance_type} for endpoint usage", limit, used[instance_type], count)
        if ALL_TYPES in self.account.quotas:
            _check_limit(ALL_ENDPOINTS_QUOTA, self.account.quotas[ALL_TYPES], used.total(), wanted.total())


Operation = Callable[[Context, Members], Members]
"""An API operation: context and validated members → members of the response. Raises ApiError."""


def _check_limit(quota: str, limit: int, used: int, wanted: int) -> None:
    if used + wanted > limit:
        raise ApiError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of "
            f"{used} Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas to "
            "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support "
            "to request an increase for this quota.",
        )


def default_quota(instance_type: str) -> int:
    """The quota for endpoint usage before any increase."""
    return 0 if instance_type.startswith(_LARGE) else DEFAULT_QUOTA


@lru_cache
def instance_types() -> list[str]:
    """Instance types for endpoints in botocore's model."""
    shape = service_model("sagemaker").shape_for("ProductionVariantInstanceType")
    return sorted(shape.metadata["enum"])


def _instances(variants: list[dict[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for variant in variants:
        if variant.get("InstanceType"):
            counted[variant["InstanceType"]] += variant.get("InitialInstanceCount", 1)
    return counted
