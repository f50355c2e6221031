"""What a fleet's hosts need of the account: their network, their hardware and the endpoint."""

from collections.abc import Collection, Iterable
from typing import Any

from botocore.exceptions import ClientError

from common.errors import UserError
from common.formatting import listed
from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.errors import as_user_error
from deploy.aws.resources import KINDS
from deploy.spec.fleet_spec import FleetOptions, Hardware, Network
from deploy.spec.images import ecr_image

_RUNTIME = "sagemaker.runtime"
_INTERFACES = (_RUNTIME, "secretsmanager", "ecr.api", "ecr.dkr")
_GATEWAY = "s3"
_X86 = "x86_64"


def check_endpoint(name: str, clients: Clients) -> None:
    """Check that the endpoint exists: the hosts may invoke no other.

    Raises:
        UserError: it does not exist, or may not be described.
    """
    with as_user_error(f"describing endpoint {name}"):
        found = resources.describe(clients, KINDS["endpoint"], name)
    if found is None:
        raise UserError(
            f"there is no endpoint {name} in {clients.region}", "name one that exists", "endpoint"
        )


def check_registry(uri: str, clients: Clients) -> None:
    """Check that the image is in this account's registry in this region: the hosts may pull from no other.

    Raises:
        UserError: it is elsewhere.
    """
    image = ecr_image(uri)
    if image is None or (image.registry, image.region) != (clients.identity.account, clients.region):
        registry = f"{clients.identity.account}.dkr.ecr.{clients.region}.amazonaws.com"
        raise UserError(
            f"the image {uri} is not in this account's registry in {clients.region}",
            f"push it to {registry} first",
            "image",
        )


def find_hardware(instance_type: str, clients: Clients) -> Hardware:
    """The vCPUs and the architecture of an EC2 instance type.

    Raises:
        UserError: the region does not have it.
    """
    with as_user_error(f"looking up the instance type {instance_type}"):
        try:
            answer = clients.client("ec2").describe_instance_types(InstanceTypes=[instance_type])
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidInstanceType":
                raise
            answer = {"InstanceTypes": []}
    if not answer["InstanceTypes"]:
        raise UserError(
            f"EC2 has no instance type {instance_type} in {clients.region}",
            "name one without ml., such as c7i.xlarge",
            "instance type",
        )
    found = answer["InstanceTypes"][0]
    architectures = found["ProcessorInfo"]["SupportedArchitectures"]
    return Hardware(
        vcpus=found["VCpuInfo"]["DefaultVCpus"],
        architecture=_X86 if _X86 in architectures else architectures[0],
    )


def find_network(options: FleetOptions, clients: Clients) -> Network:
    """The VPC of the subnets and its endpoints. Without one of them, every host would start and fail.

    Raises:
        UserError: the subnets are not of one VPC, or the VPC lacks an endpoint or the master's host.
    """
    ec2 = clients.client("ec2")
    with as_user_error(f"looking up the subnets {listed(list(options.subnets))}"):
        subnets = ec2.describe_subnets(SubnetIds=list(options.subnets))["Subnets"]
    vpcs = {subnet["VpcId"] for subnet in subnets}
    if len(vpcs) != 1:
        raise UserError(
            f"the subnets {listed(list(options.subnets))} are not in one VPC",
            "name two subnets of the endpoint's VPC",
            "subnets",
        )
    (vpc,) = vpcs
    with as_user_error(f"looking up the VPC endpoints of {vpc}"):
        pages = ec2.get_paginator("describe_vpc_endpoints").paginate(
            Filters=[
                {"Name": "vpc-id", "Values": [vpc]},
                {"Name": "vpc-endpoint-state", "Values": ["available"]},
            ]
        )
        by_service = _by_service(entry for page in pages for entry in page["VpcEndpoints"])
    if missing := [service for service in (*_INTERFACES, _GATEWAY) if service not in by_service]:
        raise UserError(
            f"{vpc} has no VPC endpoint for {listed(missing)}",
            "create interface endpoints with private DNS, and a gateway endpoint for s3: without them, the "
            "hosts reach neither their image nor their token",
        )
    prefix_list = str(by_service[_GATEWAY]["ServiceName"])
    with as_user_error(f"looking up the prefix list {prefix_list}"):
        lists = ec2.describe_managed_prefix_lists(
            Filters=[{"Name": "prefix-list-name", "Values": [prefix_list]}]
        )["PrefixLists"]
    if not lists:
        raise UserError(f"{clients.region} has no prefix list {prefix_list}", "check the region")
    return Network(
        vpc=vpc,
        endpoints_group=_common_group(vpc, [by_service[service] for service in _INTERFACES]),
        s3_prefix_list=lists[0]["PrefixListId"],
        runtime_endpoint=by_service[_RUNTIME]["VpcEndpointId"],
        master_group=_group_of(options.master_host, vpc, clients),
    )


def _group_of(address: str, vpc: str, clients: Clients) -> str:
    """A security group of the host with that address: the stack opens the master's ports in it."""
    with as_user_error(f"looking up the host {address}"):
        found = clients.client("ec2").describe_network_interfaces(
            Filters=[
                {"Name": "vpc-id", "Values": [vpc]},
                {"Name": "addresses.private-ip-address", "Values": [address]},
            ]
        )["NetworkInterfaces"]
    groups = next((entry["Groups"] for entry in found if entry["Groups"]), None)  # a gateway's have none
    if groups is None:
        raise UserError(
            f"no host in {vpc} has the address {address}",
            "give the private address of a host in the subnets' VPC",
            "master host",
        )
    return str(groups[0]["GroupId"])


def _by_service(entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Short service name → its usable VPC endpoint: interfaces with private DNS, and the gateway of S3."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        gateway = entry["VpcEndpointType"] == "Gateway"
        for service in (_GATEWAY,) if gateway else _INTERFACES:
            if entry["ServiceName"].endswith(f".{service}") and (gateway or entry.get("PrivateDnsEnabled")):
                found[service] = entry
    return found


def _common_group(vpc: str, interfaces: Collection[dict[str, Any]]) -> str:
    """The security group that all interface endpoints have: the stack opens it to the hosts."""
    groups: list[set[str]] = [{group["GroupId"] for group in entry.get("Groups", [])} for entry in interfaces]
    common: list[str] = sorted(set.intersection(*groups))
    if common:
        return common[0]
    raise UserError(
        f"the VPC endpoints of {vpc} for {listed(list(_INTERFACES))} share no security group",
        "add one group to all of them: the stack opens it to the hosts",
    )
