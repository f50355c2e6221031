"""The invokers of a process: each has a connection of its own. A user keeps one; an arrival borrows one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

from locustfiles.client.invocation import Invoker
from locustfiles.client.transport import Connection


class InvokerPool:
    """Makes invokers, keeps those that are idle, and knows every open connection.

    Args:
        connect: a connection to the endpoint, not yet open.
        make: an invoker on a connection.
    """

    def __init__(self, connect: Callable[[], Connection], make: Callable[[Connection], Invoker]) -> None:
        self._connect = connect
        self._make = make
        self._connections: WeakSet[Connection] = WeakSet()
        self._idle: list[Invoker] = []

    def new(self) -> Invoker:
        """An invoker for one user, which keeps it."""
        connection = self._connect()
        self._connections.add(connection)
        return self._make(connection)

    @contextmanager
    def borrowed(self) -> Iterator[Invoker]:
        """An idle invoker, or a new one: the pool grows with the requests in flight."""
        invoker = self._idle.pop() if self._idle else self.new()
        try:
            yield invoker
        finally:
            self._idle.append(invoker)

    @property
    def rtt_ms(self) -> float | None:
        """Smallest round trip over the connections, as measured by TCP; None if it is not known."""
        round_trips = [rtt for connection in self._connections if (rtt := connection.rtt_ms) is not None]
        return min(round_trips, default=None)
