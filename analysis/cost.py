"""What it costs: pure functions of a price, a count of instances and a measured rate."""

from dataclasses import dataclass

UTILISATIONS = (1.0, 0.6, 0.3)
HOURS_PER_MONTH = 730.0


def usd_per_request(
    usd_per_hour: float | None, instances: int, per_minute: float | None, utilisation: float = 1.0
) -> float | None:
    """Price per request at a measured rate.

    Formula: $/h × instances / (60 × requests per minute × utilisation).
    Unit: US dollars; absent without a price or without completed requests.
    Source: an endpoint is billed by time, busy or idle:
    a request at 30 % utilisation costs 3.3 times as much.
    """
    if usd_per_hour is None or not per_minute or per_minute <= 0:
        return None
    return usd_per_hour * instances / (60 * per_minute * utilisation)


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
    load: tuple[float | None, float | None],
    deleted: float | None,
) -> RunCost:
    """The run's own cost, with boot and idle time.

    Formula: $/h × instances × (deleted − create call) / 3600. Boot: create call to InService; load: first to
    last step; idle: the rest.
    Unit: US dollars and seconds.
    Source: SageMaker bills per second while the endpoint exists. When the run did not create or delete it,
    the load's own time is counted and ``basis`` says so.
    """
    load_s = _between(load[0], load[1])
    boot_s = _between(created, in_service)
    total_s = _between(created, deleted)
    basis = "from the create call to the deletion: boot, load and idle time"
    if total_s is None and created is not None and load[1] is not None:
        total_s = load[1] - created
        basis = "from the create call to the end of the load: the deletion is not on record"
    elif total_s is None:
        total_s = load_s
        basis = "the load's own time: the run did not create this endpoint"
    idle = None
    if total_s is not None and boot_s is not None and load_s is not None:
        idle = max(0.0, total_s - boot_s - load_s)
    usd = None if usd_per_hour is None or total_s is None else usd_per_hour * instances * total_s / 3600
    return RunCost(total_s, boot_s, load_s, idle, usd, basis)


def _between(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None and end >= start else None
