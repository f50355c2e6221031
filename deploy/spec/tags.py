"""The tags that identify this suite's resources, and the plan's own tags."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from common.errors import UserError

PROJECT = "sagemaker-llm-bench"
TAG_PROJECT = "project"
TAG_RUN = f"{PROJECT}:run-id"
TAG_OWNER = f"{PROJECT}:owner"
TAG_PROCESS = f"{PROJECT}:process"
TAG_EXPIRES = f"{PROJECT}:expires"

_SUITE_KEYS = (TAG_PROJECT, TAG_RUN, TAG_OWNER, TAG_PROCESS, TAG_EXPIRES)
_LARGEST_COUNT = 50 - len(_SUITE_KEYS)
_OTHER_CHARACTER = re.compile(r"[^\w\s.:/=+\-@]")
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def suite_tags(run_id: str, owner: str, process: str, expires_at: float) -> dict[str, str]:
    """The tags by which teardown finds this suite's resources and their owner."""
    return {
        TAG_PROJECT: PROJECT,
        TAG_RUN: tag_value(run_id),
        TAG_OWNER: owner,
        TAG_PROCESS: process,
        TAG_EXPIRES: expiry_tag(expires_at),
    }


def check_plan_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Check the plan's own tags; returns them.

    Raises:
        UserError: a key is reserved by this suite or by AWS, a key or value is too long or has invalid
            characters, or there are too many tags.
    """
    for key, value in tags.items():
        if key.lower() in _SUITE_KEYS:  # keys are case-insensitive in IAM conditions
            raise UserError(
                f"endpoint.tags.{key}: this key is reserved; teardown and the IAM policies depend on it",
                "use another key",
            )
        if key.lower().startswith("aws:"):
            raise UserError(
                f"endpoint.tags.{key}: AWS reserves the prefix aws: for its own keys", "use another key"
            )
        for text, longest in ((key, _LONGEST_KEY), (value, _LONGEST_VALUE)):
            if len(text) > longest or _OTHER_CHARACTER.search(text):
                raise UserError(
                    f"endpoint.tags.{key}: {text!r} is not a valid AWS tag",
                    f"use at most {longest} letters, digits, spaces and _ . : / = + - @",
                )
    if len(tags) > _LARGEST_COUNT:
        raise UserError(
            f"endpoint.tags: there are {len(tags)} tags",
            f"use at most {_LARGEST_COUNT}: AWS allows 50, and this suite needs {len(_SUITE_KEYS)} of them",
        )
    return tags


def tag_value(text: str) -> str:
    """``text`` with every character that a tag's value may not have replaced by a hyphen."""
    return _OTHER_CHARACTER.sub("-", text)[:_LONGEST_VALUE]


def expiry_tag(expires_at: float) -> str:
    """An expiry in epoch seconds, as a tag value."""
    return datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_of(tags: Mapping[str, str]) -> float | None:
    """The expiry among a resource's tags, in epoch seconds; None where it is missing or unreadable."""
    try:
        return datetime.strptime(tags.get(TAG_EXPIRES, ""), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return None
