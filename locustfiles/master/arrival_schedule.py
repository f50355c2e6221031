"""The arrivals of an open loop: one seeded process, handed to the workers in turn, a little ahead of time."""

from collections.abc import Iterator, Mapping
from random import Random

from configs.arrivals import arrival_process
from configs.experiment import Experiment
from locustfiles.messages import Arrival

HORIZON_S = 2.0
"""How far ahead of their time arrivals are handed out: the master may be busy for as long."""

Shares = dict[str, list[Arrival]]
"""Client id → its arrivals."""


class ArrivalSchedule:
    """Draws the arrivals of an experiment's steps and splits them among the workers.

    The workers take turns, so that their requests together are exactly the drawn process. Times are in the
    master's clock.
    """

    def __init__(self, experiment: Experiment) -> None:
        seed = f"{experiment.run_id}/{experiment.name}/{experiment.load.seed}/arrivals"
        process = arrival_process(experiment.load.arrivals)
        self._intervals: Iterator[float] = process.intervals(Random(seed))  # noqa: S311 - reproducible
        self._rate = 0.0
        self._next = Arrival(1, 0.0)
        self.drawn_until = 0.0
        """Every arrival before this time has been handed out."""

    def begin(self, rate: float, now: float) -> float:
        """Begin a step; it follows the arrivals that were already handed out.

        Returns:
            When the step begins.
        """
        start = max(now, self.drawn_until)
        self._rate, self.drawn_until = rate, start
        self._next = self._next._replace(at=start + next(self._intervals) / rate)
        return start

    def take(self, now: float, workers: Mapping[str, str]) -> Shares:
        """The arrivals that are to be handed out now, by client id; none if there is no worker.

        Args:
            now: the time.
            workers: client id → name of the workers that make the load.
        """
        shares: Shares = {client: [] for client in workers}
        clients = sorted(workers, key=lambda client: (workers[client], client))
        if not clients:
            return shares
        self.drawn_until = max(self.drawn_until, now + HORIZON_S)
        while self._next.at < self.drawn_until:
            shares[clients[self._next.number % len(clients)]].append(self._next)
            interval = next(self._intervals) / self._rate
            self._next = Arrival(self._next.number + 1, self._next.at + interval)
        return shares
