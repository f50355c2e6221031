"""A worker's request log: every request is opened when it starts and closed exactly once, as one row."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import gevent

from locustfiles.client.response import InvocationResult
from locustfiles.messages import Arrival, Counts
from locustfiles.worker.gap_histogram import GapCounter
from runfolder.records import REQUEST_COLUMNS, Request

_SAMPLES_PER_STEP = 3
_SAMPLE_CHARACTERS = 2_000
_as_tuple = attrgetter(*REQUEST_COLUMNS)


@dataclass(slots=True)
class Batch:
    """Content of one report; the log does not keep it."""

    first_row: int
    """Number of the first row; rows are counted from 1."""
    rows: list[tuple[Any, ...]]
    gaps: list[tuple[str, int, int]]
    samples: list[dict[str, Any]]


@dataclass(slots=True)
class RequestLog:
    """Opens and closes requests; ``started = ok + failed + censored + withheld + in flight`` at any time."""

    worker: str
    keep_samples: bool
    inference_prefix: str | None = None
    """Begins the ``InferenceId`` of every request; None: requests have none of their own."""
    counts: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    gaps: GapCounter = field(default_factory=GapCounter)
    _in_flight: dict[str, tuple[Request, gevent.Greenlet]] = field(default_factory=dict)
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _samples: list[dict[str, Any]] = field(default_factory=list)
    _sampled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _number: int = 0
    on_row: Callable[[int, int, tuple[Any, ...]], None] = lambda *_: None
    """Called with every row: its number, and the requests of its step that were started by then."""
    _closed: int = 0
    """Rows so far."""

    def open(self, step: str, payload_id: str, started_at: float, arrival: Arrival | None = None) -> Request:
        """Open a request of ``step``, in an open loop for an arrival."""
        self._number += 1
        request = Request(f"{self.worker}-{self._number}", step, self.worker, payload_id, started_at)
        if self.inference_prefix is not None:
            request.inference_id = f"{self.inference_prefix}-{request.request_id}"
        if arrival is not None:
            request.arrival, request.schedule_delay_ms = arrival.number, 1000 * (started_at - arrival.at)
            request.session, request.turn = arrival.session, arrival.turn
        self.counts[step].started += 1
        self._in_flight[request.request_id] = (request, gevent.getcurrent())
        return request

    def close(self, outcome: InvocationResult, prompt: str) -> None:
        """Close a request: its row is final."""
        request = outcome.request
        del self._in_flight[request.request_id]
        counts = self.counts[request.step]
        match request.outcome:
            case "ok":
                counts.ok += 1
                self.gaps.add(request.step, request.started_at, outcome.gaps_ms)
                self._sample(request, prompt, outcome.text)
            case "failed":
                counts.failed += 1
            case "censored":
                counts.censored += 1
            case "withheld":
                counts.withheld += 1
        row = _as_tuple(request)
        self._rows.append(row)
        self._closed += 1
        self.on_row(self._closed, counts.started, row)

    @property
    def in_flight(self) -> int:
        """Requests that are open."""
        return len(self._in_flight)

    @property
    def oldest_start(self) -> float | None:
        """Start of the oldest request in flight; in an open loop, when it arrived."""
        return min((request.arrived_at for request, _ in self._in_flight.values()), default=None)

    def greenlets(self) -> Iterator[gevent.Greenlet]:
        """Greenlets with a request in flight."""
        yield from [greenlet for _, greenlet in self._in_flight.values()]

    def forget(self) -> None:
        """Begin anew, with no rows, counts, gaps and samples. Numbers of requests go on."""
        self.pop_batch()
        self.counts.clear()
        self._sampled.clear()
        self.gaps = GapCounter()

    def pop_batch(self) -> Batch:
        """Rows, gaps and samples since the last call."""
        first = self._closed - len(self._rows) + 1
        batch = Batch(first, self._rows, self.gaps.pop_counts(), self._samples)
        self._rows, self._samples = [], []
        return batch

    def _sample(self, request: Request, prompt: str, answer: str) -> None:
        if not self.keep_samples or self._sampled[request.step] >= _SAMPLES_PER_STEP:
            return
        self._sampled[request.step] += 1
        self._samples.append(
            {
                "request_id": request.request_id,
                "step": request.step,
                "payload_id": request.payload_id,
                "prompt": prompt[:_SAMPLE_CHARACTERS],
                "answer": answer[:_SAMPLE_CHARACTERS],
                "prompt_tokens": request.prompt_tokens,
                "completion_tokens": request.completion_tokens,
                "completion_tokens_source": request.completion_tokens_source,
            }
        )
