"""EC2, to look up a network and a type of host: one VPC with two subnets, endpoints and a host."""

from collections.abc import Iterable

from emulator.context import Context, Members, Operation
from emulator.errors import ApiError

SUBNETS = ("subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2")
_VPC, _GROUP, _PREFIX_LIST = "vpc-0aaaaaaaaaaaaaaaa", "sg-0aaaaaaaaaaaaaaaa", "pl-0aaaaaaa"
_HOST, _GROUP_OF_HOST = "10.0.0.5", "sg-0aaaaaaaaaaaaaaa5"
_GATEWAY = "10.0.0.6"
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
    """DescribeNetworkInterfaces, by VPC and address: a host, and a NAT gateway, which has no group."""
    of_vpc, addresses = (_filter(members, name) for name in ("vpc-id", "addresses.private-ip-address"))
    groups = {_HOST: [{"GroupId": _GROUP_OF_HOST, "GroupName": "master"}], _GATEWAY: []}
    return {
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": f"eni-0aaaaaaaaaaaaaaa{address[-1]}",
                "VpcId": _VPC,
                "PrivateIpAddress": address,
                "Groups": own,
            }
            for address, own in groups.items()
            if (of_vpc is None or _VPC in of_vpc) and (addresses is None or address in addresses)
        ]
    }


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
