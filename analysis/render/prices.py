"""Prices per request as the pages and the pictures give them: in dollars per 10,000 requests."""

from common.formatting import dollars

REQUESTS = 10_000
PER_REQUESTS = f"{REQUESTS:,} requests"
"""The unit: ``10,000 requests``."""


def request_price(usd_per_request: float | None) -> str:
    """The price of `REQUESTS` requests: ``$0.34``."""
    return dollars(None if usd_per_request is None else REQUESTS * usd_per_request)


def assumed_mark(*, assumed: bool) -> str:
    """What follows an assumed price or the heading of a column of them."""
    return " (assumed price)" if assumed else ""
