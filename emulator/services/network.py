"""EC2, to look up a network and a type of host: one VPC with two subnets, endpoints and a host."""

from collections.abc import Iterable

from emulator.context import Context, Members, Operation
from emulator.errors import ApiError

SUBNETS = ("subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2")
_VPC, _GROUP, _PREFIX_LIST = "vpc-0aaaaaaaaaaaaaaaa", "sg-0aaaaaaaaaaaaaaaa", "pl-0aaaaaaa"
_HOST, _GROUP_OF_HOST = "10.0.0.5", "sg-0aaaaaaaaaaaaaaa5"
_INTERFACES = ("sagemaker.runtime", "secretsmanager", "ecr.api", "ecr.dkr")
_TYPES = {
    "c7i.xlarge": (4, "x86_64"),
    "c7i.4xlarge": (16, "x86_64"),
    "c7g.xlarge": (4, "arm64"),
}
"""Instance type → its vCPUs and its architecture."""


def describe_subnets(context: Context, members: Members) -> Members:
    """DescribeSubnets, by their ids."""
    subnets = members.get("SubnetIds", SUBNETS)
    for subnet in subnets:
        if subnet not in SUBNETS:
            raise ApiError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
    zones = dict(zip(SUBNETS, "ab", strict=True))
    return {
        "Subnets": [
            {"SubnetId": subnet, "VpcId": _VPC, "AvailabilityZone": f"{context.region.name}{zones[subnet]}"}
            for subnet in subnets
        ]
    }


def describe_vpc_endpoints(context: Context, members: Members) -> Members:
    """DescribeVpcEndpoints, filtered by VPC."""
    prefix, there = f"com.amazonaws.{context.region.name}", context.account.vpc_endpoints
    entries = [
        {
            "VpcEndpointId": f"vpce-0aaaaaaaaaaaaaaa{number}",
            "VpcEndpointType": "Interface",
            "VpcId": _VPC,
            "ServiceName": f"{prefix}.{service}",
            "State": "available",
            "PrivateDnsEnabled": True,
            "Groups": [{"GroupId": _GROUP, "GroupName": "endpoints"}],
        }
        for number, service in enumerate(_INTERFACES)
    ]
    gateway = {"VpcEndpointType": "Gateway", "VpcId": _VPC, "ServiceName": f"{prefix}.s3"}
    entries.append({**gateway, "VpcEndpointId": "vpce-0aaaaaaaaaaaaaaa9", "State": "available"})
    wanted = _filter(members, "vpc-id")
    return {
        "VpcEndpoints": [
            entry
            for entry in entries
            if (wanted is None or _VPC in wanted)
            and there.get(str(entry["ServiceName"]).removeprefix(f"{prefix}."), True)
        ]
    }


def describe_managed_prefix_lists(context: Context, members: Members) -> Members:
    """DescribeManagedPrefixLists, filtered by name: S3 alone."""
    name = f"com.amazonaws.{context.region.name}.s3"
    wanted = _filter(members, "prefix-list-name")
    listed = [{"PrefixListId": _PREFIX_LIST, "PrefixListName": name}]
    return {"PrefixLists": listed if wanted is None or name in wanted else []}


def describe_network_interfaces(context: Context, members: Members) -> Members:  # noqa: ARG001 - one signature for all
    """DescribeNetworkInterfaces, filtered by VPC and address: one host."""
    wanted = (_filter(members, "vpc-id"), _filter(members, "addresses.private-ip-address"))
    if any(
        values is not None and value not in values
        for values, value in zip(wanted, (_VPC, _HOST), strict=True)
    ):
        return {"NetworkInterfaces": []}
    groups = [{"GroupId": _GROUP_OF_HOST, "GroupName": "master"}]
    entry = {"NetworkInterfaceId": "eni-0aaaaaaaaaaaaaaa5", "VpcId": _VPC, "PrivateIpAddress": _HOST}
    return {"NetworkInterfaces": [{**entry, "Groups": groups}]}


def describe_instance_types(context: Context, members: Members) -> Members:  # noqa: ARG001 - one signature for all
    """DescribeInstanceTypes, by their names."""
    wanted = members.get("InstanceTypes", list(_TYPES))
    if unknown := [name for name in wanted if name not in _TYPES]:
        message = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        raise ApiError("InvalidInstanceType", message)
    return {
        "InstanceTypes": [
            {
                "InstanceType": name,
                "VCpuInfo": {"DefaultVCpus": _TYPES[name][0]},
                "ProcessorInfo": {"SupportedArchitectures": [_TYPES[name][1]]},
            }
            for name in wanted
        ]
    }


OPERATIONS: dict[str, Operation] = {
    "DescribeSubnets": describe_subnets,
    "DescribeVpcEndpoints": describe_vpc_endpoints,
    "DescribeManagedPrefixLists": describe_managed_prefix_lists,
    "DescribeNetworkInterfaces": describe_network_interfaces,
    "DescribeInstanceTypes": describe_instance_types,
}


def _filter(members: Members, name: str) -> Iterable[str] | None:
    """The values that a filter allows; None without it."""
    return next((entry["Values"] for entry in members.get("Filters", []) if entry["Name"] == name), None)
