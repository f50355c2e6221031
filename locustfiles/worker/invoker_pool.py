"""The invokers of a process: each belongs to one user and has a connection of its own."""

from collections.abc import Callable
from weakref import WeakSet

from locustfiles.client.invocation import Invoker
from locustfiles.client.transport import Connection


class InvokerPool:
    """Makes invokers, and knows every open connection.

    Args:
        connect: a connection to the endpoint, not yet open.
        make: an invoker on a connection.
    """

    def __init__(self, connect: Callable[[], Connection], make: Callable[[Connection], Invoker]) -> None:
        self._connect = connect
        self._make = make
        self._connections: WeakSet[Connection] = WeakSet()

    def new(self) -> Invoker:
        """An invoker for one user, which keeps it."""
        connection = self._connect()
        self._connections.add(connection)
        return self._make(connection)

    @property
    def rtt_ms(self) -> float | None:
        """Smallest round trip over the connections, as measured by TCP; None if it is not known."""
        round_trips = [rtt for connection in self._connections if (rtt := connection.rtt_ms) is not None]
        return min(round_trips, default=None)
