"""The numbers of users of a plain Locust test, and when each began and ended. Times are epoch seconds."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Level:
    """A number of users, from when Locust was asked for them until it was asked for another number."""

    name: str
    users: int
    announced_at: float
    ramped_at: float | None = None
    """All users have started."""
    ended_at: float | None = None


class Levels:
    """The levels of a test, in order."""

    def __init__(self) -> None:
        self._levels: list[Level] = []

    def __iter__(self) -> Iterator[Level]:
        return iter(self._levels)

    @property
    def ended(self) -> bool:
        """Whether the last level has ended, and the test with it."""
        return bool(self._levels) and self._levels[-1].ended_at is not None

    def ask(self, users: int, now: float) -> bool:
        """Note that Locust is asked for so many users; True if that is a new level."""
        current = self._levels[-1] if self._levels else None
        if current is not None and current.users == users:
            return False
        if current is not None:
            current.ended_at = now
        again = sum(level.users == users for level in self._levels)
        name = f"u{users}" + (f"#{again + 1}" if again else "")
        self._levels.append(Level(name, users, now))
        return True

    def spawned(self, now: float) -> None:
        """Note that all users of the current level have started."""
        if self._levels[-1].ramped_at is None:
            self._levels[-1].ramped_at = now

    def end(self, now: float) -> None:
        """End the last level."""
        if self._levels:
            self._levels[-1].ended_at = now

    def at(self, moment: float) -> Level:
        """The level of a request that started at a moment; the first one for earlier moments."""
        return next(
            (level for level in reversed(self._levels) if level.announced_at <= moment), self._levels[0]
        )
