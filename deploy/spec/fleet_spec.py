"""A fleet of worker hosts as it will be created: every name, number and tag, but not the token."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.spec.api_requests import tag_list
from deploy.spec.endpoint_spec import resource_name
from deploy.spec.images import ecr_image
from deploy.spec.tags import suite_tags

TEMPLATE = Path(__file__).parents[1] / "hosts" / "cloudformation" / "ec2-fleet.yml"
_CREATION_MINUTES = 15
_MACHINE_IMAGES = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"


@dataclass(frozen=True)
class FleetOptions:
    """What a user chooses."""

    endpoint: str
    image: str
    """URI of the worker image in this account's ECR."""
    master_host: str
    """The master's IPv4 address."""
    master_port: int
    subnets: tuple[str, str]
    hosts: int
    instance_type: str
    max_minutes: int
    """After which each host terminates itself."""
    processes: int | None = None
    """Load generators on each host; None: one per vCPU."""


@dataclass(frozen=True)
class Network:
    """The VPC of the subnets, and how the hosts reach AWS in it."""

    vpc: str
    endpoints_group: str
    """The security group of the VPC endpoints."""
    s3_prefix_list: str
    runtime_endpoint: str
    master_group: str
    """A security group of the master's host."""


@dataclass(frozen=True)
class Hardware:
    """What an instance type has."""

    vcpus: int
    architecture: str
    """``x86_64`` or ``arm64``."""


@dataclass(frozen=True)
class FleetSpec:
    """One fleet, and its stack's parameters."""

    run_id: str
    region: str
    owner: str
    process: str
    options: FleetOptions
    network: Network
    hardware: Hardware
    usd_per_hour: float
    """Of one host."""
    created_at: float
    """Epoch seconds."""

    @property
    def name(self) -> str:
        """The stack's name."""
        return resource_name("llm-bench", self.options.instance_type, self.run_id, self.owner)

    @property
    def secret_name(self) -> str:
        """The secret that holds the run's token."""
        return f"{self.name}-token"

    @property
    def processes(self) -> int:
        """Load generators on each host."""
        return self.options.processes or self.hardware.vcpus

    @property
    def workers(self) -> int:
        """Load generators on all hosts: what the master waits for."""
        return self.options.hosts * self.processes

    @property
    def expires_at(self) -> float:
        """When the hosts have terminated themselves, in epoch seconds."""
        return self.created_at + 60 * self.options.max_minutes

    @property
    def max_usd(self) -> float:
        """What the hosts cost at most."""
        return self.options.hosts * self.usd_per_hour * self.options.max_minutes / 60

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which teardown finds it."""
        return suite_tags(self.run_id, self.owner, self.process, self.expires_at)


def create_secret(spec: FleetSpec, token: str) -> dict[str, Any]:
    """CreateSecret: the only call that has the token."""
    return {
        "Name": spec.secret_name,
        "Description": f"Token of the load test {spec.run_id}",
        "SecretString": token,
        "Tags": tag_list(spec.tags),
    }


def create_stack(spec: FleetSpec, secret_arn: str, template: str) -> dict[str, Any]:
    """CreateStack. AWS deletes a stack that fails, even if this program no longer runs."""
    return {
        "StackName": spec.name,
        "TemplateBody": template,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in _parameters(spec, secret_arn).items()
        ],
        "Capabilities": ["CAPABILITY_IAM"],
        "OnFailure": "DELETE",
        "TimeoutInMinutes": _CREATION_MINUTES,
        "Tags": tag_list(spec.tags),
    }


def _parameters(spec: FleetSpec, secret_arn: str) -> Mapping[str, str]:
    options, network = spec.options, spec.network
    image = ecr_image(options.image)
    return {
        "EndpointName": options.endpoint,
        "MasterHost": options.master_host,
        "MasterPort": str(options.master_port),
        "StatePort": str(options.master_port + 1),
        "MasterSecurityGroup": network.master_group,
        "TokenSecretArn": secret_arn,
        "Image": options.image,
        "ImageRepository": image.repository if image else "",
        "HostCount": str(options.hosts),
        "InstanceType": options.instance_type,
        "WorkersPerHost": str(spec.processes),
        "MaxMinutes": str(options.max_minutes),
        "UsdPerHour": f"{spec.usd_per_hour:.6f}".rstrip("0").rstrip("."),
        "MachineImage": f"{_MACHINE_IMAGES}{spec.hardware.architecture}",
        "VpcId": network.vpc,
        "SubnetIds": ",".join(options.subnets),
        "EndpointsSecurityGroup": network.endpoints_group,
        "S3PrefixList": network.s3_prefix_list,
        "RuntimeVpcEndpoint": network.runtime_endpoint,
    }
