"""Which workers make the load of a step: those that are lost, that join, or are fewer than before."""

import logging

from common.exit_codes import ExitCode
from locustfiles.master.clock import Clock
from locustfiles.master.worker_group import RunEndedError, StepReason, WorkerGroup

logger = logging.getLogger(__name__)

_BACK_S = 120.0
"""How long a run waits for a worker when none can be reached."""
_GATHER_S = 30.0
"""After the first one is back: the connections of the others try again in intervals of many seconds."""
_UNNAMED_S = 5.0
"""How long a worker that joins has to register its name before it is reported by Locust's client id."""


def are_decided(group: WorkerGroup) -> bool:
    """Whether every worker is ready, or one cannot take part."""
    unready = group.unready_workers()
    return not unready or any(unready.values())


def check_ready(group: WorkerGroup, waited_s: float) -> None:
    """Check that every worker has its assignment.

    Raises:
        RunEndedError: a worker cannot take part, or has not responded in the time that was waited.
    """
    if not (unready := group.unready_workers()):
        return
    if refusals := [f"worker {name} cannot take part: {why}" for name, why in unready.items() if why]:
        raise RunEndedError(ExitCode.FAILED, "; ".join(refusals))
    silent = f"worker {', '.join(unready)} did not respond within {waited_s:g} s"
    raise RunEndedError(ExitCode.FAILED, silent, "see its log")


class StepWorkers:
    """The workers of the current step. Locust itself moves the users of a lost worker to the others."""

    def __init__(self, group: WorkerGroup, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self.workers: dict[str, str] = {}
        """Client id → name of the workers that were there when the step started and still are."""
        self.lost: set[str] = set()
        """Client ids of workers that were lost."""
        self._most = 0
        self._unnamed_since: dict[str, float] = {}
        self._joined: set[str] = set()
        self._absent_since: float | None = None
        """Since when no worker can be reached."""
        self._back_at: float | None = None
        """When the first one was back."""

    def begin_step(self) -> list[StepReason]:
        """Start a step with all live workers, including those that joined or came back since."""
        self.workers = self._group.live_workers()
        self.lost -= set(self.workers)
        self._joined.clear()
        now, before = len(self.workers), self._most
        self._most = max(now, before)
        if now < before:
            text = f"only {now} of the {before} workers of an earlier step made the load"
            return [StepReason("fewer_workers", text)]
        return []

    def are_back(self, *, at_once: bool) -> bool:
        """Whether the next step can begin: after all were lost, the others have half a minute to come, too.

        Args:
            at_once: whether its time is set, as in a shape: it waits for one worker, and for no others.

        Raises:
            RunEndedError: as `check_reachable`.
        """
        self.check_reachable()
        live = len(self._group.live_workers())
        if at_once or live >= self._most or self._back_at is None:
            return live > 0
        return live > 0 and self._clock.monotonic() - self._back_at > _GATHER_S

    def check_reachable(self) -> None:
        """Check that a worker can be reached, or that it is not too late for one to come back.

        Raises:
            RunEndedError: none could be reached for two minutes.
        """
        now = self._clock.monotonic()
        if self._group.live_workers():
            if self._absent_since is not None:
                self._absent_since, self._back_at = None, now
        elif self._absent_since is None:
            self._absent_since = now
        elif now - self._absent_since > _BACK_S:
            finding = f"the last worker was lost, and none was back within {_BACK_S:.0f} s"
            raise RunEndedError(ExitCode.INTERRUPTED, finding)

    def changes(self) -> list[StepReason]:
        """What has changed since the last call."""
        live = self._group.live_workers()
        reasons: list[StepReason] = []
        for client in set(live) - set(self.workers) - self._joined:
            if self._is_named(client, live[client]):
                self._joined.add(client)
                # Locust gives it users at once.
                text = f"worker {live[client]} joined during the step and counts from the next step on"
                reasons.append(StepReason("worker_joined", text))
        for client in set(self.workers) - set(live):
            name = self.workers.pop(client)
            self.lost.add(client)
            logger.error("Worker %s was lost", name)
            text = f"worker {name} was lost, and rows that it has not delivered are on its disk"
            reasons.append(StepReason("worker_lost", text))
        return reasons

    def _is_named(self, client: str, name: str) -> bool:
        """Whether a worker has registered its name, or had enough time to do so."""
        since = self._unnamed_since.setdefault(client, self._clock.monotonic())
        return name != client or self._clock.monotonic() - since > _UNNAMED_S
