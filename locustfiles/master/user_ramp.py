"""How the number of users of a closed loop changes, before a step and in a ramp of a shape."""

from collections.abc import Iterator

from configs.shape import UserRamp

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


def ramp_changes(ramp: UserRamp, seconds: float) -> Iterator[tuple[float, int]]:
    """``(seconds after its start, users)`` of each change of a ramp, at most one a second.

    The users of a second are those that the ramp has in the middle of it, so that their mean is the ramp's.

    Args:
        ramp: at its start there are ``ramp.start`` users.
        seconds: how long it lasts.
    """
    users = ramp.start
    for second in range(int(seconds)):
        now = ramp.start + round((ramp.end - ramp.start) * (second + 0.5) / seconds)
        if now != users:
            users = now
            yield float(second), users
