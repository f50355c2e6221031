"""A limit on how many answers a server gives at a time, as a model server's batch size is one."""

from collections import deque
from typing import Generic, TypeVar

Request = TypeVar("Request")


class Slots(Generic[Request]):
    """Requests whose answer is on its way, at most ``limit`` (0: no limit), and those that wait, in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: set[Request] = set()
        self._waiting: deque[Request] = deque()

    def take(self, request: Request) -> bool:
        """Whether the request has a slot now; if not, it waits."""
        if 0 < self._limit <= len(self._taken):
            self._waiting.append(request)
            return False
        self._taken.add(request)
        return True

    def leave(self, request: Request) -> Request | None:
        """End a request, answered or not. Returns the one that has its slot now, if any waited."""
        if request not in self._taken:
            if request in self._waiting:
                self._waiting.remove(request)
            return None
        self._taken.remove(request)
        if not self._waiting:
            return None
        following = self._waiting.popleft()
        self._taken.add(following)
        return following
