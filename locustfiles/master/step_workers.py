"""Who makes the load of a step: workers that are lost, that join, or that are fewer than before."""

import logging

from locustfiles.master.clock import Clock
from locustfiles.master.worker_link import StepReason, WorkerLink

logger = logging.getLogger(__name__)

_NAMELESS_S = 5.0


class StepWorkers:
    """The workers of the step that runs. Locust moves the users of a lost worker to the others by itself."""

    def __init__(self, link: WorkerLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self.workers: dict[str, str] = {}
        """Client id → name of the workers that the step began with and that are still there."""
        self.lost: set[str] = set()
        """Client ids of workers that went away."""
        self._most = 0
        self._nameless: dict[str, float] = {}
        self._joined: set[str] = set()

    def begin_step(self) -> list[StepReason]:
        """Take the workers that there are; who joined or came back since is one of them."""
        self.workers = self._link.live_workers()
        self.lost -= set(self.workers)
        self._joined.clear()
        now, before = len(self.workers), self._most
        self._most = max(now, before)
        if now < before:
            return [("fewer_workers", f"{now} of the {before} workers of an earlier step made the load")]
        return []

    def changes(self) -> list[StepReason]:
        """What has changed since the last look."""
        live = self._link.live_workers()
        reasons: list[StepReason] = []
        for client in set(live) - set(self.workers) - self._joined:
            if self._introduced(client, live[client]):
                self._joined.add(client)
                # Locust hands it users at once.
                text = f"worker {live[client]} joined in the middle of the step: it counts from the next"
                reasons.append(("worker_joined", text))
        for client in set(self.workers) - set(live):
            name = self.workers.pop(client)
            self.lost.add(client)
            logger.error("Worker %s was lost", name)
            missing = "its last rows, of up to half a second, may be missing"
            reasons.append(("worker_lost", f"worker {name} was lost: {missing}"))
        return reasons

    def _introduced(self, client: str, name: str) -> bool:
        """Whether it has said its name, or has had time enough to say it."""
        since = self._nameless.setdefault(client, self._clock.monotonic())
        return name != client or self._clock.monotonic() - since > _NAMELESS_S
