"""Amazon ECR, to look for an image: every image exists, except those that a test has removed."""

import hashlib
import json

from emulator.account import ACCOUNT_ID
from emulator.context import Context, Members, Operation

_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def batch_get_image(context: Context, members: Members) -> Members:
    """BatchGetImage; a missing image is a failure inside the response, as on AWS."""
    registry, repository = members.get("registryId", ACCOUNT_ID), members["repositoryName"]
    prefix = f"{registry}.dkr.ecr.{context.region.name}.amazonaws.com/{repository}"
    images, failures = [], []
    for image_id in members["imageIds"]:
        tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
        if context.account.has_image(f"{prefix}@{digest}" if digest else f"{prefix}:{tag}"):
            images.append(_image(registry, repository, tag, digest))
        else:
            reason = "Requested image not found"
            failures.append({"imageId": image_id, "failureCode": "ImageNotFound", "failureReason": reason})
    return {"images": images, "failures": failures}


OPERATIONS: dict[str, Operation] = {"BatchGetImage": batch_get_image}


def _image(registry: str, repository: str, tag: str | None, digest: str | None) -> Members:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MEDIA_TYPE, "layers": []})
    resolved = digest or f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return {
        "registryId": registry,
        "repositoryName": repository,
        "imageId": {"imageDigest": resolved, **({"imageTag": tag} if tag else {})},
        "imageManifest": manifest,
        "imageManifestMediaType": _MEDIA_TYPE,
    }
