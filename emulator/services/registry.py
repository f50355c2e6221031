"""Amazon ECR, as far as one asks it for an image: all are there but those that a test took away."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from emulator.account import ACCOUNT_ID
from emulator.context import Context

Members = dict[str, Any]
_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def batch_get_image(context: Context, members: Members) -> Members:
    """BatchGetImage; an image that is not there is a failure inside the answer, as from AWS."""
    registry, repository = members.get("registryId", ACCOUNT_ID), members["repositoryName"]
    place = f"{registry}.dkr.ecr.{context.region.name}.amazonaws.com/{repository}"
    images, failures = [], []
    for wanted in members["imageIds"]:
        tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
        if context.account.has_image(f"{place}@{digest}" if digest else f"{place}:{tag}"):
            images.append(_image(registry, repository, tag, digest))
        else:
            reason = "Requested image not found"
            failures.append({"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": reason})
    return {"images": images, "failures": failures}


OPERATIONS: dict[str, Callable[[Context, Members], Members]] = {"BatchGetImage": batch_get_image}


def _image(registry: str, repository: str, tag: str | None, digest: str | None) -> Members:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MEDIA_TYPE, "layers": []})
    known = digest or f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return {
        "registryId": registry,
        "repositoryName": repository,
        "imageId": {"imageDigest": known, **({"imageTag": tag} if tag else {})},
        "imageManifest": manifest,
        "imageManifestMediaType": _MEDIA_TYPE,
    }
