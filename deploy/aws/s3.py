"""Copy the files below an S3 URI, such as the records of SageMaker's data capture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.errors import UserError
from deploy.aws.errors import as_user_error

SCHEME = "s3://"


def download(s3: Any, uri: str, into: Path, suffixes: tuple[str, ...]) -> None:
    """Copy every object below ``uri`` with one of the suffixes.

    Args:
        s3: a client of S3.
        uri: ``s3://bucket/prefix`` or the URI of one object.
        into: a folder; the copies get the names of the objects below the prefix.
        suffixes: such as ``.jsonl``.

    Raises:
        UserError: the URI is not one, nothing is there, or S3 refuses.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise UserError(f"{uri} is not an S3 URI", "write s3://bucket/prefix")
    prefix = parts.path.lstrip("/")
    with as_user_error(f"reading {uri}"):
        keys = [key for key in _keys(s3, parts.netloc, prefix) if key.endswith(suffixes)]
        if not keys:
            raise UserError(f"{uri} holds no {', '.join(suffixes)} file", "check the URI")
        for key in keys:
            copy = _copy_path(key, prefix, into)
            copy.parent.mkdir(parents=True, exist_ok=True)
            body = s3.get_object(Bucket=parts.netloc, Key=key)["Body"]
            with copy.open("wb") as file:
                for chunk in body.iter_chunks(1 << 20):
                    file.write(chunk)


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", ()))


def _copy_path(key: str, prefix: str, into: Path) -> Path:
    """Where to put an object. A key may hold ``..``: nothing is written outside the folder."""
    below = key.removeprefix(prefix).strip("/") or key.rsplit("/", 1)[-1]
    return into.joinpath(*(part for part in below.split("/") if part not in ("", ".", "..")))
