"""What it costs: pure functions of a price, a count of instances and a measured rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

UTILISATIONS = (1.0, 0.6, 0.3)
HOURS_PER_MONTH = 730.0
Span = tuple[float | None, float | None]
"""Start and end in epoch seconds."""
CostUnit = Literal["usd", "instance_minutes"]


@dataclass(frozen=True)
class Cost:
    """An amount with its unit: dollars or, where no price is known, minutes of one instance."""

    value: float
    unit: CostUnit


def cost_per_request(usd_per_hour: float | None, instances: int, per_minute: float | None) -> Cost | None:
    """What one request takes at a measured rate; None without completed requests.

    Formula: `usd_per_request` or, without a price, instances / requests per minute.
    Unit: US dollars, or minutes of one instance.
    Source: as `usd_per_request`; without prices, fewer instances for the same rate are cheaper.
    """
    usd = usd_per_request(usd_per_hour, instances, per_minute)
    if usd is not None:
        return Cost(usd, "usd")
    if usd_per_hour is not None or not per_minute:
        return None
    return Cost(instances / per_minute, "instance_minutes")


def usd_per_request(
    usd_per_hour: float | None, instances: int, per_minute: float | None, utilisation: float = 1.0
) -> float | None:
    """Price per request at a measured rate.

    Formula: $/h × instances / (60 × requests per minute × utilisation).
    Unit: US dollars; absent without a price or without completed requests.
    Source: an endpoint is billed by time, busy or idle:
    a request at 30% utilisation costs 3.3 times as much.
    """
    if usd_per_hour is None or not per_minute or per_minute <= 0:
        return None
    return usd_per_hour * instances / (60 * per_minute * utilisation)


def usd_per_conversation(
    usd_per_hour: float | None, instances: int, conversations_per_minute: float | None
) -> float | None:
    """Price per conversation, with all its turns, at a measured rate.

    Formula: $/h × instances / (60 × conversations per minute).
    Unit: US dollars; absent without a price or without completed conversations.
    Source: as above.
    """
    return usd_per_request(usd_per_hour, instances, conversations_per_minute)


def usd_per_request_of_part(
    usd_per_hour: float | None, instances: int, share: float | None, per_minute: float | None
) -> float | None:
    """Price per request of one part of a mix, at a measured rate.

    Formula: $/h × instances × share / (60 × requests of the part per minute); share is the part's mean
    requests in flight / those of all parts.
    Unit: US dollars; absent without a price or without completed requests.
    Source: an endpoint carries so many requests at a time, so a part pays for the time that its requests take
    up. Over all parts, the prices add up to the bill.
    """
    if usd_per_hour is None or share is None:
        return None
    return usd_per_request(usd_per_hour * share, instances, per_minute)


def usd_per_million_tokens(
    usd_per_hour: float | None, instances: int, tokens_per_s: float | None, utilisation: float = 1.0
) -> float | None:
    """Price per million tokens (of output, or of output and prompt) at a measured rate.

    Formula: 10⁶ × $/h × instances / (3600 × tokens per second × utilisation).
    Unit: US dollars; absent without a price or a token count.
    Source: as above.
    """
    if usd_per_hour is None or not tokens_per_s or tokens_per_s <= 0:
        return None
    return 1e6 * usd_per_hour * instances / (3600 * tokens_per_s * utilisation)


@dataclass(frozen=True)
class RunCost:
    """What one experiment's endpoint cost, in seconds and dollars; ``basis`` says what was counted."""

    total_s: float | None
    boot_s: float | None
    load_s: float | None
    idle_s: float | None
    usd: float | None
    basis: str


def run_cost(
    usd_per_hour: float | None,
    instances: int,
    *,
    created: float | None,
    in_service: float | None,
    load: Span,
    deleted: float | None,
    others: Sequence[Span] = (),
) -> RunCost:
    """An experiment's part of the bill for its endpoint, with boot and idle time.

    Formula: $/h × instances × (deleted − create call) / 3600. Boot: create call to InService; load: first to
    last step; idle: the rest. Experiments on one endpoint share its boot and idle time in proportion to
    their load, so that their parts add up to the bill.
    Unit: US dollars and seconds.
    Source: SageMaker bills per second while the endpoint exists. When the run did not create or delete it,
    the load's own time is counted and ``basis`` says so.
    """
    load_s = _between(*load)
    if created is None:
        usd = _dollars(usd_per_hour, instances, load_s)
        return RunCost(
            load_s, None, load_s, None, usd, "the load's own time: the run did not create this endpoint"
        )
    loads = [_between(*span) or 0.0 for span in others]
    loaded_s = (load_s or 0.0) + sum(loads)
    share = (load_s or 0.0) / loaded_s if loaded_s else 1 / (1 + len(loads))
    ends = [end for _, end in (load, *others) if end is not None]
    end, basis = deleted, "from the create call to the deletion: boot, load and idle time"
    if end is None:
        end = max(ends, default=None)
        basis = "from the create call to the end of the load: the deletion is not on record"
    total_s, boot_s, idle_s = _between(created, end), _between(created, in_service), None
    if total_s is not None and boot_s is not None:
        idle_s = max(0.0, total_s - boot_s - loaded_s)
    if others:
        basis += f"; boot and idle time are shared among its {1 + len(loads)} experiments by their load"
    own_s = _part(total_s, share)
    usd = _dollars(usd_per_hour, instances, own_s)
    return RunCost(own_s, _part(boot_s, share), load_s, _part(idle_s, share), usd, basis)


def _part(value: float | None, share: float) -> float | None:
    return None if value is None else value * share


def _dollars(usd_per_hour: float | None, instances: int, seconds: float | None) -> float | None:
    return None if usd_per_hour is None or seconds is None else usd_per_hour * instances * seconds / 3600


def _between(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None and end >= start else None
