"""How far the workers' clocks are from the master's, from the round trip of a message and its answer."""

from dataclasses import dataclass

_LEAST_S = 0.001
"""Clocks that differ by less than this beyond the uncertainty count as equal."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """A worker's clock beside the master's, in seconds."""

    ahead: float
    """Its clock minus the master's, if message and answer took equally long."""
    error: float
    """Half of the round trip: the true offset differs from ``ahead`` by no more, whatever each took."""


class WorkerClocks:
    """The clocks of all workers, by Locust's client id."""

    def __init__(self) -> None:
        self.measured: dict[str, ClockOffset] = {}
        """From the fastest answer to the step's messages."""
        self.offsets: dict[str, float] = {}
        """Seconds to subtract from a worker's times: 0 where the clocks may be equal."""
        self._stale: set[str] = set()

    def begin(self) -> None:
        """Measure anew: clocks drift, and an old fast answer would hide that."""
        self._stale = set(self.measured)

    def add(self, client: str, *, sent_at: float, worker_time: float, now: float) -> None:
        """Take an answer: the worker's clock read ``worker_time`` between ``sent_at`` and ``now``."""
        offset = ClockOffset(worker_time - (sent_at + now) / 2, (now - sent_at) / 2)
        known = self.measured.get(client)
        if known is None or client in self._stale or offset.error <= known.error:
            self._stale.discard(client)
            self.measured[client] = offset
            differs = abs(offset.ahead) > offset.error + _LEAST_S
            self.offsets[client] = offset.ahead if differs else 0.0
