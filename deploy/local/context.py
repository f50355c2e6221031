"""What an operation gets beside its members: the region it acts on, and the settings of this machine."""

from dataclasses import dataclass, field
from typing import Any

from deploy.local.account import Region
from deploy.local.errors import validation
from deploy.local.faults import Fault, Faults
from deploy.local.invocations import Invocations
from deploy.local.signing import Credential


@dataclass
class Settings:
    """How fast and how strict this SageMaker is."""

    create_seconds: float = 1.0
    """Shortest time that an endpoint stays Creating."""
    delete_seconds: float = 0.3
    startup_limit: float = 3600.0
    """Upper bound on the time in which a container must become healthy."""
    invocation_seconds: float = 60.0
    stream_seconds: float = 480.0
    payload_bytes: int = 6_291_456
    coalesce: int = 1
    """Container chunks joined before they leave as parts of the event stream."""
    pieces: int = 2
    """Parts made of each chunk of the container."""


@dataclass
class World:
    """The whole account and its credentials."""

    settings: Settings = field(default_factory=Settings)
    keys: dict[str, Credential] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    regions: dict[str, Region] = field(default_factory=dict)
    invocations: Invocations = field(default_factory=Invocations)

    def region(self, name: str) -> Region:
        """The region, opened on first use."""
        return self.regions.setdefault(name, Region(name))


@dataclass
class Context:
    """One call's surroundings. ``fault`` changes what becomes of a resource that the call creates."""

    world: World
    region: Region
    fault: Fault | None = None

    @property
    def settings(self) -> Settings:
        """The settings of this machine."""
        return self.world.settings

    def check_role(self, arn: str) -> None:
        """Refuse an execution role that does not exist."""
        if not arn.startswith("arn:aws:iam::"):
            raise validation(f"Could not assume role {arn}. Please ensure that the role exists.")

    def check_quota(self, variants: list[dict[str, Any]]) -> None:
        """Refuse more instances than the account's quota allows."""
