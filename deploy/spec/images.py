"""Container images by name: a full URI, AWS's ``repository:tag``, or a family such as ``vllm``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from common.errors import UserError

LLAMA_CPP = "llama-cpp:server-sagemaker-cpu-v1.0.1"
"""AWS's own llama.cpp image: the default of ``model.source: local``, and the cheapest smoke test on AWS."""

_AWS_ACCOUNT = "763104351884"
_AWS_ACCOUNT_REGIONS = frozenset(
    f"{area}-{number}"
    for area, numbers in {
        "ap-northeast": (1, 2), "ap-south": (1,), "ap-southeast": (1, 2), "ca-central": (1,),
        "eu-central": (1,), "eu-north": (1,), "eu-west": (1, 2, 3), "sa-east": (1,),
        "us-east": (1, 2), "us-west": (1, 2),
    }.items()
    for number in numbers
)  # fmt: skip
"""Regions where this account holds AWS's images; the other regions have accounts of their own."""
_ECR = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_FAMILY = re.compile(r"^(?P<family>[a-z-]+)(?::(?P<version>\d[\w.]*))?$")


@dataclass(frozen=True)
class Family:
    """One kind of container: its name in the SageMaker SDK, and its environment variables."""

    framework: str
    model: str
    context: str
    gpus: str | None = None


@dataclass(frozen=True)
class EcrImage:
    """An image in Amazon ECR, the only registry from which SageMaker pulls without a VPC."""

    registry: str
    """The AWS account of the registry."""
    region: str
    repository: str
    tag: str | None = None
    digest: str | None = None


def ecr_image(uri: str) -> EcrImage | None:
    """The parts of an image's URI; None where it is not in Amazon ECR."""
    match = _ECR.fullmatch(uri)
    return EcrImage(**match.groupdict()) if match else None


@cache
def families() -> Mapping[str, Family]:
    """The families that a plan may name, from ``images.yml``."""
    content = yaml.safe_load((files("deploy.spec") / "images.yml").read_text(encoding="utf-8"))
    return {name: Family(**facts) for name, facts in content.items()}


def image_uri(image: str, region: str, instance_type: str) -> str:
    """The full URI of ``image`` for a region.

    Args:
        image: a full URI, AWS's ``repository:tag``, or a family: ``vllm``, ``sglang``, ``lmi``, ``tgi``,
            ``llama-cpp``, each with an optional version (``vllm:0.29.0``).
        region: from which SageMaker pulls it.
        instance_type: decides between CPU and GPU images.

    Raises:
        UserError: the family or version is unknown, or the registry of the region is not known.
    """
    if "/" in image:
        return image
    match = _FAMILY.match(image)
    if match and match["family"] in families():
        return _from_sdk(families()[match["family"]].framework, match["version"], region, instance_type)
    if ":" not in image:
        raise UserError(
            f"model.image: {image!r} is not a full URI, a repository:tag or a known family",
            f"use one of {', '.join(families())}, or the image's full URI",
        )
    if region not in _AWS_ACCOUNT_REGIONS:
        raise UserError(
            f"model.image: the registry of {image!r} in {region} is not known", "use the image's full URI"
        )
    return f"{_AWS_ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{image}"


def _from_sdk(framework: str, version: str | None, region: str, instance_type: str) -> str:
    from sagemaker.core import image_uris  # noqa: PLC0415 - two seconds and 1400 modules that few runs need

    try:
        uri = image_uris.retrieve(
            framework, region, version=version, instance_type=instance_type, image_scope="inference"
        )
    except (ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"model.image: no {framework} image for {region} and {instance_type}: {reason}",
            "use another version, or the image's full URI",
        ) from error
    return str(uri)


def gpu_count(instance_type: str, region: str) -> int | None:
    """GPUs of an instance type by the SageMaker SDK's table; None where it lists none."""
    from sagemaker.core import instance_types_gpu_info  # noqa: PLC0415 - as above

    facts = instance_types_gpu_info.retrieve(region).get(instance_type)
    return int(facts["Count"]) if facts else None
