"""The tags by which everything of ours is known in the account, and the plan's own beside them."""

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

_OURS = (TAG_PROJECT, TAG_RUN, TAG_OWNER, TAG_PROCESS, TAG_EXPIRES)
_MOST = 50 - len(_OURS)
_OTHER_CHARACTER = re.compile(r"[^\w\s.:/=+\-@]")
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def our_tags(run_id: str, owner: str, process: str, expires_at: float) -> dict[str, str]:
    """The tags by which teardown finds what is ours, and whose it is."""
    return {
        TAG_PROJECT: PROJECT,
        TAG_RUN: tag_value(run_id),
        TAG_OWNER: owner,
        TAG_PROCESS: process,
        TAG_EXPIRES: expiry_tag(expires_at),
    }


def own_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The plan's own tags, if the API takes them.

    Raises:
        UserError: a key is one of ours or of AWS's, a text is too long or has other characters than a tag
            may have, or they are too many.
    """
    for key, value in tags.items():
        if key.lower() in _OURS:  # IAM's conditions know no case in a key
            raise UserError(
                f"endpoint.tags.{key}: teardown and the IAM policies find what is ours by this key; "
                "give yours another name"
            )
        if key.lower().startswith("aws:"):
            raise UserError(f"endpoint.tags.{key}: AWS keeps keys that begin with aws: to itself")
        for text, longest in ((key, _LONGEST_KEY), (value, _LONGEST_VALUE)):
            if len(text) > longest or _OTHER_CHARACTER.search(text):
                raise UserError(
                    f"endpoint.tags.{key}: {text!r} is no tag of AWS: at most {longest} letters, digits, "
                    "spaces and _ . : / = + - @"
                )
    if len(tags) > _MOST:
        raise UserError(f"endpoint.tags: {len(tags)} tags; AWS takes 50, and {len(_OURS)} of them are ours")
    return tags


def tag_value(text: str) -> str:
    """``text`` in the characters that a tag's value may have."""
    return _OTHER_CHARACTER.sub("-", text)[:_LONGEST_VALUE]


def expiry_tag(expires_at: float) -> str:
    """An expiry in epoch seconds as the tag's value."""
    return datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_of(tags: Mapping[str, str]) -> float | None:
    """Epoch seconds of the expiry among a resource's tags; None where they have none that can be read."""
    try:
        return datetime.strptime(tags.get(TAG_EXPIRES, ""), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return None
