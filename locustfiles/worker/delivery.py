"""Delivers the rows of this process to the master, and those of processes of this host that were killed."""

from locust.runners import LocalRunner, WorkerRunner

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import Semaphore

from common.formatting import plural
from locustfiles import messages
from locustfiles.message_seal import MessageSeal
from locustfiles.worker.outbox import Outbox
from locustfiles.worker.reporter import Reporter
from locustfiles.worker.request_log import RequestLog
from runfolder.records import REQUEST_COLUMNS
from runfolder.row_spool import (
    SUFFIX,
    RowSpool,
    SpoolContent,
    SpoolHeader,
    orphaned,
    read_spool,
    spool_folder,
)

logger = logging.getLogger(__name__)

_LOOK_S = 2.0
_ANSWER_S = 3.0
_ROWS_PER_MESSAGE = 500
_POLL_S = 0.01

Send = Callable[[str, dict[str, Any]], None]


class Delivery:
    """Sends the reports of this process until the master has acknowledged them.

    Args:
        runner: Locust's.
        reporter: makes the reports.
        request_log: their rows.
        send: sends a message of a kind, unsealed.
        seal: of the run; None in a local run, where a report is handed over by a call.
    """

    def __init__(
        self,
        runner: LocalRunner | WorkerRunner,
        reporter: Reporter,
        request_log: RequestLog,
        send: Send,
        seal: MessageSeal | None,
    ) -> None:
        self._runner = runner
        self._reporter = reporter
        self._request_log = request_log
        self._send = send
        self._outbox = None if seal is None else Outbox(lambda content: seal.wrap(messages.REPORT, content))
        self._sending = Semaphore()
        self._orphans: _Orphans | None = None

    def begin(self, run_id: str, experiment: str) -> None:
        """Keep the rows of this experiment on disk too, and look for rows that others have left there."""
        if self._outbox is None:
            return
        name = self._runner.client_id
        header = SpoolHeader(run_id, experiment, name, self._request_log.worker, list(REQUEST_COLUMNS))
        folder = spool_folder() / _file_name(run_id)
        try:
            spool = RowSpool(folder / f"{_file_name(name)}{SUFFIX}", header)
        except OSError as error:
            logger.warning("Rows are kept in memory only, because %s cannot be written (%s)", folder, error)
            return
        self._outbox.keep_in(spool)
        self._request_log.on_row = spool.add
        self._orphans = _Orphans(folder, header, self._send)
        gevent.spawn(self._orphans.run)

    def report(self, *, step: str | None, oldest_start: float | None, rtt_ms: float | None) -> None:
        """Send what has happened since the last report, and what was not acknowledged in time."""
        with self._sending:  # one at a time, in order
            content = self._reporter.next(step=step, oldest_start=oldest_start, rtt_ms=rtt_ms)
            if self._outbox is None:
                self._send(messages.REPORT, content)
                return
            self._outbox.put(content)
            self._send_due()

    def on_report_ack(self, message: dict[str, Any]) -> None:
        """The master has a report."""
        if self._outbox is None:
            return
        if self._outbox.spool is not None:
            self._outbox.spool.set_offset(float(message["offset"]))
        self._outbox.acknowledge(message["number"], message["through"])

    def on_recovered_ack(self, message: dict[str, Any]) -> None:
        """The master has the rows of a process that was killed."""
        if self._orphans is not None:
            self._orphans.acknowledged = message["number"]
            self._orphans.answered.set()

    def settle(self, seconds: float) -> None:
        """Wait until the master has everything, so long at most; what it has not stays on disk."""
        if self._orphans is not None:
            self._orphans.look()
        outbox, deadline = self._outbox, time.monotonic() + seconds
        if outbox is None:
            return
        while outbox and time.monotonic() < deadline:
            gevent.sleep(_POLL_S)
            with self._sending:
                self._send_due()
        if outbox.spool is not None and not outbox:
            outbox.spool.remove()
        elif outbox:
            rows = plural(outbox.unacknowledged_rows, "row")
            where = "are lost" if outbox.spool is None else f"are in {outbox.spool.path} (`make collect`)"
            logger.error("%s did not reach the master and %s", rows, where)

    def _send_due(self) -> None:
        if self._outbox is not None:
            for message in self._outbox.due(time.monotonic()):
                self._runner.send_message(messages.REPORT, message)


class _Orphans:
    """Spools in the run's folder whose processes were killed."""

    def __init__(self, folder: Path, own: SpoolHeader, send: Send) -> None:
        self._folder = folder
        self._own = own
        self._send = send
        self._number = 0
        self.answered = Event()
        self.acknowledged = 0
        """Number of the last message that the master has acknowledged."""
        self._looking = Semaphore()

    def run(self) -> None:
        """Look regularly: another process of this host may be killed at any time."""
        while True:
            self.look()
            gevent.sleep(_LOOK_S)

    def look(self) -> None:
        """Deliver what is there. A spool that the master does not acknowledge stays."""
        with self._looking:
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                with orphaned(path) as free:
                    if free:
                        self._deliver(path)

    def _deliver(self, path: Path) -> None:
        try:
            content = read_spool(path)
        except OSError as error:
            logger.warning("%s cannot be read (%s)", path, error)
            return
        if content is None or not self._is_own(content.header):
            return
        rows = content.rows
        for start in range(0, len(rows), _ROWS_PER_MESSAGE):
            if not self._hand_over(content, start):
                return
        path.unlink(missing_ok=True)
        if rows:
            count, name = plural(len(rows), "row"), content.header.worker
            logger.info("%s of %s, which was killed, came to the master from its disk", count, name)

    def _is_own(self, header: SpoolHeader) -> bool:
        own = self._own
        return (header.run_id, header.experiment, header.columns) == (own.run_id, own.experiment, own.columns)

    def _hand_over(self, content: SpoolContent, start: int) -> bool:
        self._number += 1
        self.answered.clear()
        rows = [tuple(row) for row in content.rows[start : start + _ROWS_PER_MESSAGE]]
        header = content.header
        self._send(
            messages.RECOVERED,
            {
                "client_id": self._own.client_id,
                "killed": header.client_id,
                "worker": header.worker,
                "number": self._number,
                "offset": content.offset,
                "rows": rows,
            },
        )
        return self.answered.wait(_ANSWER_S) is not None and self.acknowledged == self._number


def _file_name(text: str) -> str:
    """The text, with what does not belong into a file name replaced."""
    return re.sub(r"[^A-Za-z0-9._-]|^\.", "_", text)
