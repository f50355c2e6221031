"""The requests of a mix: every full turn of its deck has each part as often as its weight says."""

import itertools
import random
from collections.abc import Iterator, Mapping

from locustfiles.client.request_bodies import Body, BodyFactory


class MixedBodies:
    """The bodies of a mix.

    Args:
        factories: of each part, by its name.
        counts: the requests of each part in a full turn of the deck.
        seed: of the order.
        worker: name of the process.
    """

    def __init__(
        self, factories: Mapping[str, BodyFactory], counts: Mapping[str, int], seed: str, worker: str
    ) -> None:
        self._factories = factories
        self._counts = counts
        self._seed = seed
        self._worker = worker
        self._numbers = itertools.count(1)
        self._size = sum(counts.values())
        self._turn: tuple[str, int] | None = None
        self._deck: list[tuple[str, int]] = []
        """Part of each request of that turn, and its number among the part's requests of all turns."""

    def of_users(self) -> Iterator[Body]:
        """Endless bodies for a user of a closed loop.

        All users of a process draw from one deck: together they keep to the weights, however many they are.
        """
        while True:
            yield self._body(f"{self._seed}/{self._worker}", next(self._numbers))

    def of_arrival(self, number: int) -> Body:
        """The body of an arrival of an open loop, numbered from 1: it does not depend on the worker."""
        return self._body(self._seed, number)

    def _body(self, seed: str, number: int) -> Body:
        turn, place = divmod(number - 1, self._size)
        if self._turn != (seed, turn):
            self._turn = (seed, turn)
            self._deck = [
                (part, turn * count + index)
                for part, count in self._counts.items()
                for index in range(1, count + 1)
            ]
            random.Random(f"{seed}/deck/{turn}").shuffle(self._deck)  # noqa: S311 - reproducible, not secret
        part, own = self._deck[place]
        return self._factories[part].body(f"{seed}/{part}", own)
