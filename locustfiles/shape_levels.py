"""The users of a load shape over time, as functions of the part of the run time that has passed (0 to 1)."""

_RAMP_STEPS = 10
_BEFORE, _AFTER = 0.4, 0.6
"""A spike lasts from the one part of the run time to the other."""
_BASE = 0.2
"""Users beside a spike, as a share of all."""


def doubling(passed: float, users: int) -> int:
    """1, 2, 4, 8 and so on up to ``users``, each for an equal part of the run time."""
    levels = [*(1 << power for power in range(users.bit_length()) if 1 << power < users), users]
    return levels[int(passed * len(levels))]


def ramp(passed: float, users: int) -> int:
    """Ten even steps up to ``users``; fewer for fewer users."""
    steps = min(_RAMP_STEPS, users)
    return round(users * (int(passed * steps) + 1) / steps)


def spike(passed: float, users: int) -> int:
    """A fifth of ``users``, all of them in the middle fifth of the run time, and a fifth again."""
    return users if _BEFORE <= passed < _AFTER else max(1, round(_BASE * users))
