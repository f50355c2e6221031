"""Bursts with their requests, and the runs that they belong to.

Neither form of FMBench's results says which requests made up a burst. In the JSON form the times in the file
names do: a burst is recorded just before its requests. In the CSV form the order of the rows does.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from analysis.importers.fmbench.files import Suite
from analysis.importers.fmbench.records import BurstRecord, RequestRecord
from common.formatting import plural

PAUSE = 300.0
"""Seconds without a burst after which the same level again is another run; within one, FMBench pauses only to
write its files."""


@dataclass
class BurstGroup:
    """A burst as recorded, with its requests where they are on record."""

    record: BurstRecord
    requests: list[RequestRecord] = field(default_factory=list)
    guessed: bool = False
    """There is no record of the burst: it was put together from requests in their order."""
    by_order: bool = False
    """The requests were dealt by their order: they are the level's, but may be another burst's."""

    @property
    def complete(self) -> bool:
        """Whether the record of every request is there."""
        return len(self.requests) == self.record.size

    @property
    def payload(self) -> str:
        """The payload file, from the burst or its requests."""
        names = (self.record.payload, *(r.payload for r in self.requests))
        return next((name for name in names if name), "unknown")

    @property
    def endpoint(self) -> str | None:
        """The endpoint, from the burst or its requests."""
        names = (self.record.endpoint, *(r.endpoint for r in self.requests))
        return next((name for name in names if name), None)

    @property
    def last_write(self) -> float | None:
        """When the last file of the burst was written, in epoch seconds."""
        times = [self.record.recorded_at, *(r.recorded_at for r in self.requests)]
        return max((t for t in times if t is not None), default=None)


def group_bursts(suite: Suite) -> list[BurstGroup]:
    """The suite's bursts in their order, each with its requests.

    Where bursts and requests are both on record, a burst of which a request's record is missing is left out,
    and so is a request of which the burst's record is missing; ``suite.problems`` says how many.
    """
    if not suite.bursts:
        suite.problems.append("There is no record of bursts: they are put together from the requests' order.")
        return _guessed(suite.requests)
    groups = [BurstGroup(record) for record in suite.bursts]
    if not suite.requests:
        return [_with_own_request(group) for group in groups]
    times = [b.recorded_at for b in suite.bursts] + [r.recorded_at for r in suite.requests]
    if None not in times:
        orphans = _assign_by_time(groups, suite.requests)
    else:
        orphans = _assign_by_order(groups, suite.requests)
        _check_order(groups, suite.problems)
    return _usable(groups, orphans, suite.problems)


def _usable(groups: list[BurstGroup], orphans: int, problems: list[str]) -> list[BurstGroup]:
    with_requests = {_level(group) for group in groups if group.requests}
    usable, incomplete = [], 0
    for group in groups:
        orphans += len(group.requests[group.record.size :])
        del group.requests[group.record.size :]
        if _level(group) not in with_requests:
            usable.append(_with_own_request(group))
        elif group.complete:
            usable.append(group)
        else:
            incomplete += 1
    if incomplete:
        problems.append(f"{plural(incomplete, 'burst')} left out: the record of a request is missing.")
    if orphans:
        problems.append(f"{plural(orphans, 'request')} left out: the record of the burst is missing.")
    return usable


def _level(group: BurstGroup) -> tuple[str, int, str]:
    return group.record.experiment, group.record.concurrency, group.payload


def _assign_by_time(groups: list[BurstGroup], requests: list[RequestRecord]) -> int:
    """Give each request to the last burst of its level recorded before it; returns how many have none."""
    orphans = 0
    levels: dict[tuple[str, int], list[BurstGroup]] = defaultdict(list)
    for group in groups:
        levels[group.record.experiment, group.record.concurrency].append(group)
    reached: dict[tuple[str, int], int] = defaultdict(lambda: -1)
    for request in requests:
        key = (request.experiment, request.concurrency)
        bursts = levels[key]
        while reached[key] + 1 < len(bursts) and _not_after(bursts[reached[key] + 1], request):
            reached[key] += 1
        if reached[key] < 0:
            orphans += 1
        else:
            bursts[reached[key]].requests.append(request)
    return orphans


def _not_after(group: BurstGroup, request: RequestRecord) -> bool:
    return (group.record.recorded_at or 0.0) <= (request.recorded_at or 0.0)


def _assign_by_order(groups: list[BurstGroup], requests: list[RequestRecord]) -> int:
    """Deal the requests of each level to its bursts in order; returns how many are left over."""
    waiting: dict[tuple[str, int, str | None], list[RequestRecord]] = defaultdict(list)
    for request in requests:
        waiting[request.experiment, request.concurrency, request.payload].append(request)
    for queue in waiting.values():
        queue.reverse()
    for group in groups:
        record, group.by_order = group.record, True
        queue = waiting[record.experiment, record.concurrency, record.payload]
        if not queue:  # FMBench 1.x does not write the payload of a request
            queue = waiting[record.experiment, record.concurrency, None]
        while queue and len(group.requests) < record.size:
            group.requests.append(queue.pop())
    return sum(len(queue) for queue in waiting.values())


def _check_order(groups: list[BurstGroup], problems: list[str]) -> None:
    """Take the requests of a level away again where their tokens are not those of its bursts."""
    levels: dict[tuple[str, int, str], list[BurstGroup]] = defaultdict(list)
    for group in groups:
        levels[_level(group)].append(group)
    for (name, concurrency, payload), own in levels.items():
        counted = sum(r.completion_tokens or 0 for group in own for r in group.requests)
        recorded = sum(group.record.completion_tokens or 0 for group in own)
        if abs(counted - recorded) > 0.5:
            problems.append(
                f"{name}, {payload}, concurrency {concurrency}: the requests on record are not those of its "
                "bursts, so its percentiles are not known."
            )
            for group in own:
                group.requests = []


def _guessed(requests: Iterable[RequestRecord]) -> list[BurstGroup]:
    """Bursts of as many requests as the level's concurrency, in the order of the requests."""
    open_groups: dict[tuple[str, int, str | None], BurstGroup] = {}
    groups = []
    for request in requests:
        key = (request.experiment, request.concurrency, request.payload)
        group = open_groups.get(key)
        if group is None or len(group.requests) == request.concurrency:
            group = open_groups[key] = BurstGroup(_burst_of(request), guessed=True)
            groups.append(group)
        group.requests.append(request)
    for group in groups:
        answered = sum(r.answered for r in group.requests)
        group.record = replace(group.record, size=len(group.requests), successes=answered)
    return groups


def _burst_of(request: RequestRecord) -> BurstRecord:
    return BurstRecord(
        request.experiment,
        request.concurrency,
        request.payload,
        request.endpoint,
        request.recorded_at,
        size=0,
        successes=0,
        prompt_tokens=None,
        failed_prompt_tokens=None,
        completion_tokens=None,
        prompt_rate=None,
        completion_rate=None,
        request_rate=None,
        latency_mean=None,
        ttft=None,
    )


def _with_own_request(group: BurstGroup) -> BurstGroup:
    """A burst of one request is that request; larger ones stay without."""
    burst = group.record
    if burst.size == 1:
        ok = burst.successes == 1 and burst.latency_mean is not None
        group.requests = [
            RequestRecord(
                burst.experiment,
                burst.concurrency,
                burst.payload,
                burst.endpoint,
                burst.recorded_at,
                answered=ok,
                latency=burst.latency_mean,
                ttft=burst.ttft,
                prompt_tokens=burst.prompt_tokens,
                completion_tokens=burst.completion_tokens,
                max_tokens=None,
                has_text=False,
                repeats_prompt=False,
            )
        ]
    return group


def split_runs(groups: Sequence[BurstGroup], seconds: Sequence[float | None]) -> list[list[int]]:
    """Which bursts belong to which run of the suite, as indices: FMBench plays each level once per run.

    An experiment begins another run where its endpoint is another one and, where times are on record, where a
    level comes again after another concurrency or after a pause of more than `PAUSE` seconds.

    Args:
        groups: the bursts in their order.
        seconds: how long each took; None where it is not known.
    """
    experiments: dict[str, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    endpoints: dict[str, str] = {}
    for index, group in enumerate(groups):
        name = group.record.experiment
        endpoint = endpoints[name] = group.endpoint or endpoints.get(name, "")
        experiments[name][endpoint].append(index)
    runs: list[list[int]] = []
    for by_endpoint in experiments.values():
        parts = [part for own in by_endpoint.values() for part in _split(own, groups, seconds)]
        for ordinal, part in enumerate(sorted(parts)):
            if ordinal == len(runs):
                runs.append([])
            runs[ordinal] += part
    return [sorted(run) for run in runs]


def _split(
    indices: list[int], groups: Sequence[BurstGroup], seconds: Sequence[float | None]
) -> list[list[int]]:
    """The runs of one experiment on one endpoint."""
    parts: list[list[int]] = []
    played: list[tuple[int, str]] = []
    for index in indices:
        group = groups[index]
        key = (group.record.concurrency, group.payload)
        again = key in played and group.record.recorded_at is not None
        if not parts or (again and _begins_run(played, key, groups[parts[-1][-1]], group, seconds[index])):
            parts.append([])
            played = []
        if not played or played[-1] != key:
            played.append(key)
        parts[-1].append(index)
    return parts


def _begins_run(
    played: list[tuple[int, str]],
    key: tuple[int, str],
    previous: BurstGroup,
    group: BurstGroup,
    seconds: float | None,
) -> bool:
    since = played[len(played) - played[::-1].index(key) :]
    if any(concurrency != key[0] for concurrency, _ in since):
        return True
    before, recorded = previous.last_write, group.record.recorded_at
    if before is None or recorded is None or seconds is None:
        return False
    return recorded - before - seconds > PAUSE
