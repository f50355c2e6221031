"""The regular reports of a process to the master: its new rows, and its health."""

from locust.runners import LocalRunner, WorkerRunner

import time
from dataclasses import asdict
from typing import Any

from locustfiles.messages import ReportMessage
from locustfiles.worker.health import HealthProbe
from locustfiles.worker.request_log import RequestLog

REPORT_S = 0.5
_HEALTH_EVERY = 4


class Reporter:
    """Makes one report after the other."""

    def __init__(
        self, runner: LocalRunner | WorkerRunner, request_log: RequestLog, health: HealthProbe
    ) -> None:
        self._runner = runner
        self._request_log = request_log
        self._health = health
        self._reports = 0

    def next(self, *, step: str | None, oldest_start: float | None, rtt_ms: float | None) -> dict[str, Any]:
        """The content of the next report.

        Args:
            step: the current step.
            oldest_start: of a request that is in flight or about to be sent, epoch seconds.
            rtt_ms: round trip to the endpoint, for the health that every fourth report holds.
        """
        self._reports += 1
        health = self._health.snapshot() if self._reports % _HEALTH_EVERY == 0 else None
        if health is not None:
            health.rtt_ms = rtt_ms
        request_log = self._request_log
        batch = request_log.pop_batch()
        report = ReportMessage(
            worker=request_log.worker,
            client_id=self._runner.client_id,
            number=self._reports,
            host=self._health.host,
            sent_at=time.time(),
            step=step,
            users=self._runner.user_count,
            in_flight=request_log.in_flight,
            oldest_start=oldest_start,
            first_row=batch.first_row,
            rows=batch.rows,
            gaps=batch.gaps,
            samples=batch.samples,
            counts={
                name: (count.started, count.ok, count.failed, count.censored, count.withheld)
                for name, count in request_log.counts.items()
            },
            health=health,
        )
        content = {name: getattr(report, name) for name in ReportMessage.__slots__}
        return content | {"health": asdict(health) if health else None}
