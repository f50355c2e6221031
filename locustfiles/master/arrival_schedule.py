"""The arrivals of an open loop: one sequence, handed to the workers in turn, a little ahead of time."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from random import Random

from configs.arrivals import ArrivalProcess
from configs.shape import Piece
from locustfiles.messages import Arrival
from runfolder.replayed_trace import TraceRow

HORIZON_S = 2.0
"""How far ahead of their time arrivals are handed out: the master may be busy for as long."""

Shares = dict[str, list[Arrival]]
"""Client id → its arrivals."""


def process_arrivals(process: ArrivalProcess, rate: float, random: Random) -> Iterator[Arrival]:
    """Endless arrivals of a process; their times count from 0, their numbers are 0."""
    for at in accumulate(process.intervals(random)):
        yield Arrival(0, at / rate)


def shape_arrivals(
    process: ArrivalProcess, pieces: Sequence[Piece], random: Random, lead_s: float
) -> Iterator[Arrival]:
    """The arrivals of a shape: ``lead_s`` seconds at its first rate, its pieces, then its last rate for ever.

    The process has one arrival per unit of time. Its times are mapped through the inverse of the number of
    arrivals that are expected up to a moment, so that it keeps its burstiness at any rate.
    """
    ramps = [(piece.rates, piece.seconds) for piece in pieces if piece.rates is not None]
    first, last = ramps[0][0].start, ramps[-1][0].end
    parts = [(first, first, lead_s), *((ramp.start, ramp.end, seconds) for ramp, seconds in ramps)]
    parts.append((last, last, math.inf))
    part = iter(parts)
    start, end, seconds = next(part)
    begun_at = expected = 0.0
    for count in accumulate(process.intervals(random)):
        while count - expected > (size := seconds * (start + end) / 2):
            begun_at, expected = begun_at + seconds, expected + size
            start, end, seconds = next(part)
        yield Arrival(0, begun_at + _ramp_time(start, (end - start) / seconds, count - expected))


def _ramp_time(rate: float, slope: float, count: float) -> float:
    """The time after which a rate that begins at ``rate`` has given ``count`` arrivals.

    The positive root of rate * t + slope * t² / 2 = count, in the form that is exact for a small slope.
    """
    return 2 * count / (rate + math.sqrt(max(0.0, rate * rate + 2 * slope * count)))


def trace_arrivals(
    rows: Sequence[TraceRow],
    speed: float,
    bodies: Iterable[bytes | None] = repeat(None),
    *,
    first_block: int = 0,
) -> Iterator[Arrival]:
    """The arrivals of a trace; their times count from 0, their numbers are 0, their sessions from 1.

    Args:
        rows: the trace.
        speed: 2 is twice as fast.
        bodies: what to send, where captured bodies are replayed.
        first_block: added to the names of the shared blocks: another number makes other texts of them.
    """
    turns = Counter(row.session for row in rows)
    first: dict[str, int] = {}
    begun: Counter[str] = Counter()
    for place, (row, body) in enumerate(zip(rows, bodies, strict=False), 1):
        arrival = Arrival(
            0,
            row.at_s / speed,
            row.prompt_tokens,
            row.output_tokens,
            body=body,
            place=place,
            blocks=tuple(first_block + block for block in row.blocks),
            block_tokens=row.block_tokens or 0,
        )
        if row.session is not None:
            begun[row.session] += 1
            session = first.setdefault(row.session, place)
            arrival = arrival._replace(session=session, turn=begun[row.session], turns=turns[row.session])
        yield arrival


class ArrivalSchedule:
    """Numbers the arrivals of an experiment's steps and splits them among the workers.

    The workers take turns, so that their requests together are exactly the sequence. All turns of a
    conversation go to one worker. Times are in the master's clock.

    Args:
        turns_of: the turns of a conversation by its number, where every arrival begins one; else None.
    """

    def __init__(self, turns_of: Callable[[int], int] | None = None) -> None:
        self._turns_of = turns_of
        self._owners: dict[int, str] = {}
        """Session of a trace with turns to come → client id of its worker."""
        self._before = 0
        """Arrivals before the step."""
        self._source: Iterator[Arrival] = iter(())
        self._next: Arrival | None = None
        self._start = 0.0
        self._number = 0
        """Of the arrival that was handed out last."""
        self.drawn_until = 0.0
        """Every arrival before this time has been handed out."""

    def begin(self, arrivals: Iterator[Arrival], now: float) -> float:
        """Begin a step; it follows the arrivals that were already handed out.

        Args:
            arrivals: of the step, with times that count from its start.
            now: the time.

        Returns:
            When the step begins.
        """
        self._start = self.drawn_until = max(now, self.drawn_until)
        self._source, self._before = arrivals, self._number
        self._owners.clear()
        self._advance()
        return self._start

    def take(self, now: float, workers: Mapping[str, str]) -> Shares:
        """The arrivals that are to be handed out now, by client id; none if there is no worker.

        A later turn of a conversation stays with its client, even if that is no longer a worker.

        Args:
            now: the time.
            workers: client id → name of the workers that make the load.
        """
        shares: Shares = {client: [] for client in workers}
        clients = sorted(workers, key=lambda client: (workers[client], client))
        if not clients:
            return shares
        self.drawn_until = max(self.drawn_until, now + HORIZON_S)
        while self._next is not None and self._next.at < self.drawn_until:
            self._number += 1
            arrival = self._next._replace(number=self._number)
            client = clients[self._number % len(clients)]
            if arrival.session is not None:
                session = arrival.session + self._before
                arrival = arrival._replace(session=session)
                client = self._owners.setdefault(session, client)
                if arrival.turn == arrival.turns:
                    del self._owners[session]
            elif self._turns_of is not None:
                turns = self._turns_of(self._number)
                arrival = arrival._replace(session=self._number, turn=1, turns=turns)
            shares.setdefault(client, []).append(arrival)
            self._advance()
        return shares

    def _advance(self) -> None:
        drawn = next(self._source, None)
        self._next = None if drawn is None else drawn._replace(at=self._start + drawn.at)
