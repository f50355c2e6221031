"""Figures over time for the live page: one point per interval, kept for a bounded number of intervals."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from configs.experiment import Experiment
from locustfiles.master.row_totals import RowTotals
from locustfiles.master.step_tally import LATENCIES
from runfolder.percentiles import percentile
from runfolder.records import Request, WorkerReport

POINTS = 1800
"""The most intervals that are kept."""
_RECENT_S = 10.0
_ENOUGH = 500
_OVERDUE_S = 30.0
_EXAMPLE = 300

FIELDS = (
    "at",
    "target",
    "in_flight",
    "completed_per_s",
    "failed_per_s",
    "tokens_per_s",
    *(f"{latency.removesuffix('_ms')}_{p}_ms" for latency in LATENCIES for p in ("p50", "p95")),
)
"""The columns of a point. ``at``: start of its interval, epoch seconds."""


@dataclass(slots=True)
class _Interval:
    """What ended in one interval."""

    ok: int = 0
    failed: int = 0
    tokens: float = 0.0
    values: tuple[list[float], list[float], list[float]] | None = field(default_factory=lambda: ([], [], []))
    """The latencies, in the order of `LATENCIES`; None once no later point needs them."""
    percentiles: tuple[float | None, ...] | None = None
    """None until the interval is over and reported."""
    target: float | None = None
    in_flight: int | None = None
    version: int = 0


@dataclass(slots=True)
class ErrorSummary:
    """Failures of one class."""

    count: int = 0
    example: str = ""
    """Detail of the first one."""


class LiveSeries:
    """Adds up what ended in each interval. Its memory is bounded, and a row costs microseconds.

    Args:
        seconds: length of an interval.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.errors: dict[str, ErrorSummary] = {}
        """By class."""
        self.workers: dict[str, WorkerReport] = {}
        """The last report on the health of each load generator, by its name."""
        self.outcomes: Counter[str] = Counter()
        """Rows of the experiment by outcome."""
        self.totals = RowTotals()
        """Of the answered ones."""
        self._intervals: dict[int, _Interval] = {}
        self._first: int | None = None
        """The oldest interval that is kept."""
        self._next: int | None = None
        """The first interval that is not closed."""
        self._version = 0

    def add(self, row: Request, now: float) -> None:
        """Count a row in the interval in which it ended.

        Args:
            row: with times in the master's clock.
            now: the time; no row ends later.
        """
        self.outcomes[row.outcome] += 1
        if row.outcome == "failed":
            self._add_error(row)
        elif row.outcome == "ok":
            self.totals.add(row)
        else:
            return
        elapsed = row.e2e_ms if row.outcome == "ok" else row.elapsed_ms
        ended_at = min(now, row.started_at + (elapsed or 0.0) / 1000)
        index = int(ended_at // self.seconds)
        if (interval := self._interval(index)) is not None:
            self._version += 1
            interval.version = self._version
            if row.outcome == "failed":
                interval.failed += 1
                return
            interval.ok += 1
            if interval.values is not None:
                for values, name in zip(interval.values, LATENCIES, strict=True):
                    if (value := row.latency_ms(name)) is not None:
                        values.append(value)
        if row.outcome == "ok":
            self._add_tokens(row, ended_at)

    def _add_error(self, row: Request) -> None:
        name = row.error_class or "unknown"
        summary = self.errors.setdefault(name, ErrorSummary())
        if not summary.count:
            summary.example = (row.error_detail or "")[:_EXAMPLE]
        summary.count += 1

    def _add_tokens(self, row: Request, ended_at: float) -> None:
        """Spread the tokens over the intervals in which they arrived, as `step_tally.tokens_inside` does."""
        total = row.completion_tokens
        if not total:
            return
        if row.ttft_ms is None:
            self._add_share(int(ended_at // self.seconds), float(total))
            return
        first = row.started_at + row.ttft_ms / 1000
        head = min(1 if row.first_chunk_tokens is None else row.first_chunk_tokens, total)
        first_index, last_index = int(first // self.seconds), int(ended_at // self.seconds)
        if ended_at <= first:
            self._add_share(first_index, float(head))
            self._add_share(last_index, float(total - head))
            return
        self._add_share(first_index, float(head))
        seconds, per_second = self.seconds, (total - head) / (ended_at - first)
        if first_index == last_index:
            self._add_share(first_index, float(total - head))
            return
        self._add_share(first_index, per_second * ((first_index + 1) * seconds - first))
        self._add_share(last_index, per_second * (ended_at - last_index * seconds))
        version, share = self._version, per_second * seconds
        for index in range(max(first_index + 1, last_index - POINTS), last_index):
            if (interval := self._interval(index)) is not None:
                interval.tokens += share
                interval.version = version

    def _add_share(self, index: int, tokens: float) -> None:
        if (interval := self._interval(index)) is not None:
            interval.tokens += tokens
            self._version += 1
            interval.version = self._version

    def _interval(self, index: int) -> _Interval | None:
        """The interval of an index; None if it is older than those that are kept."""
        interval = self._intervals.get(index)
        if interval is not None:
            return interval
        if self._first is None:
            self._first = index
        elif index < self._first:
            if self._next is not None:
                return None
            self._first = index
        interval = self._intervals[index] = _Interval()
        return interval

    def close_until(
        self, reported_until: float, now: float, *, target: float | None, in_flight: int | None
    ) -> None:
        """Make the points of the intervals that are over.

        Latencies of a point are of what ended in it and before it, back to ten seconds or 500 answers,
        whichever is shorter: single intervals may hold too few.

        Args:
            reported_until: time up to which all workers have reported.
            now: the time; an interval does not wait longer than half a minute for a report.
            target: users or arrivals per second that are asked for now.
            in_flight: requests in flight now.
        """
        if self._first is None:
            return
        end = int(max(reported_until, now - _OVERDUE_S) // self.seconds)
        start = self._first if self._next is None else self._next
        for index in range(max(start, end - POINTS), end):
            interval = self._intervals.get(index) or self._intervals.setdefault(index, _Interval())
            interval.target, interval.in_flight = target, in_flight
            interval.percentiles = self._percentiles(index)
            self._version += 1
            interval.version = self._version
        self._next = max(start, end)
        self._forget(self._next)

    def _percentiles(self, index: int) -> tuple[float | None, ...]:
        """p50 and p95 of each latency, over the interval and those shortly before it."""
        recent: list[tuple[list[float], ...]] = []
        count = 0
        for number in range(index, index - max(1, int(_RECENT_S / self.seconds)), -1):
            interval = self._intervals.get(number)
            if interval is None or interval.values is None:
                continue
            recent.append(interval.values)
            count += interval.ok
            if count >= _ENOUGH:
                break
        found: list[float | None] = []
        for metric in range(len(LATENCIES)):
            ordered = sorted(value for values in recent for value in values[metric])
            found += [percentile(ordered, 50), percentile(ordered, 95)]
        return tuple(found)

    def _forget(self, closed: int) -> None:
        """Drop latencies that no later point needs, and the oldest intervals."""
        oldest = closed - POINTS
        for index in range(closed - int(_RECENT_S / self.seconds) - 1, max(self._first or 0, oldest) - 1, -1):
            interval = self._intervals.get(index)
            if interval is not None:
                if interval.values is None:
                    break
                interval.values = None
        for index in [index for index in self._intervals if index < oldest]:
            del self._intervals[index]
        self._first = max(self._first or 0, oldest)

    def points(self, since: int, limit: int) -> tuple[list[list[float | int | None]], int, bool]:
        """Points that were made or have changed since a version.

        Args:
            since: the version of the last answer; 0 for all points.
            limit: the most points, apart from further ones of the same version.

        Returns:
            The points (`FIELDS`) from the one that changed first, the version for the next call, and
            whether there are more.
        """
        changed = sorted(
            (interval.version, index)
            for index, interval in self._intervals.items()
            if interval.version > since and interval.percentiles is not None
        )
        chosen = changed[:limit]
        version = chosen[-1][0] if chosen else since
        same = [entry for entry in changed[limit:] if entry[0] == version]  # of the same row
        points = [self._point(index) for _, index in [*chosen, *same]]
        return points, version, len(changed) > len(points)

    def _point(self, index: int) -> list[float | int | None]:
        interval = self._intervals[index]
        seconds = self.seconds
        return [
            index * seconds,
            interval.target,
            interval.in_flight,
            round(interval.ok / seconds, 3),
            round(interval.failed / seconds, 3),
            round(interval.tokens / seconds, 2),
            *(None if value is None else round(value, 2) for value in interval.percentiles or ()),
        ]


def interval_seconds(experiment: Experiment) -> float:
    """Length of an interval in whole seconds, so that the points cover the planned time.

    Where no time is planned (a search, a trace, a measurement that ends by its figures), points are 2 s long,
    and the last hour is kept.
    """
    load = experiment.load
    if load.search is not None or load.trace is not None or load.measure_until is not None:
        return 2.0
    pieces = [step.piece.seconds if step.piece is not None else load.measure_s for step in experiment.steps]
    return float(max(1, -(-int(sum(pieces) + load.warm_up_s * len(pieces)) * 5 // (4 * POINTS))))


def in_order(reports: Iterable[WorkerReport]) -> list[WorkerReport]:
    """Reports in the order of the workers' names: w2 before w10."""
    return sorted(reports, key=lambda report: (len(report.worker), report.worker))
