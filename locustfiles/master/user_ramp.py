"""How the number of users of a closed loop changes: up in pieces of one second, down at once."""

from collections.abc import Iterator

_RAMP_SECONDS = 8
_MAX_RATE = 100.0


def ramp_pieces(users: int, target: int, spawn_rate: float | None) -> Iterator[tuple[int, float]]:
    """``(users, spawn rate)`` of each second, because Locust's own ramp on a master cannot be interrupted.

    Args:
        users: now.
        target: to be reached.
        spawn_rate: users started per second; None: so many that the ramp takes about eight seconds.
    """
    rate = spawn_rate or min(_MAX_RATE, max(10.0, target / _RAMP_SECONDS))
    while users < target:
        users = min(target, users + max(1, int(rate)))
        yield users, float(users)
    if users > target:
        yield target, float(users - target)
