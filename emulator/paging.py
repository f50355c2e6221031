"""Pages of a List call, and the tokens that lead from one to the next."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from emulator.errors import ApiError

Item = TypeVar("Item")


def cut_page(
    items: Sequence[Item], token: str | None, size: int, invalid: ApiError
) -> tuple[Sequence[Item], str | None]:
    """One page of ``items``, and the token of the next page; None on the last one.

    Args:
        items: everything that the call lists, in order.
        token: from the previous page; None for the first.
        size: most items of a page.
        invalid: the service's error for a token that it did not issue.

    Raises:
        ApiError: ``invalid``.
    """
    try:
        start = int(base64.b64decode(token, validate=True)) if token else 0
    except (ValueError, binascii.Error):
        raise invalid from None
    end = start + size
    following = base64.b64encode(str(end).encode()).decode() if end < len(items) else None
    return items[start:end], following
