"""Reports that the master has not acknowledged: they are sent again until it has.

ZeroMQ loses what it has handed to a connection that breaks, and says nothing. So every report has a number,
and the master answers it with that number and the one up to which it has all reports.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runfolder.row_spool import RowSpool

logger = logging.getLogger(__name__)

RESEND_S = 3.0
"""After this time without an acknowledgment, the oldest report is sent again."""
MOST_BYTES = 32_000_000
"""Of reports in memory. The rows of later ones are only on disk."""
_WINDOW = 32
"""Reports on their way. While the master is away, ZeroMQ must not fill its queue with what may be lost."""
_BURST = 8
"""Reports sent at once."""

Message = dict[str, Any]


@dataclass(slots=True)
class _Report:
    """A report that was not acknowledged."""

    first_row: int
    last_row: int
    start: int
    end: int
    """Where its rows are in the spool."""
    message: Message
    """As it is sent; without its rows, and not packed, where they are on disk only."""
    size: int
    """Bytes in memory; 0 where the rows are on disk only."""
    sent_at: float | None = None


class Outbox:
    """Keeps what the master has not acknowledged.

    Args:
        seal: packs a report for the wire.
    """

    def __init__(self, seal: Callable[[Message], Message]) -> None:
        self.spool: RowSpool | None = None
        """Keeps the rows on disk too."""
        self._seal = seal
        self._reports: dict[int, _Report] = {}
        self._bytes = 0
        self._full = False
        self._last_row = 0
        self._end = 0
        """Where the rows of the last report end in the spool."""

    def __len__(self) -> int:
        return len(self._reports)

    @property
    def unacknowledged_rows(self) -> int:
        """Rows that the master has not acknowledged."""
        if not self._reports:
            return 0
        oldest = next(iter(self._reports.values()))
        return self._last_row - (oldest.first_row - 1)

    def keep_in(self, spool: RowSpool) -> None:
        """Keep the rows in a spool too, which has none yet."""
        self.spool, self._end = spool, spool.end

    def put(self, content: Message) -> None:
        """Take the next report."""
        start, first = self._end, content["first_row"]
        self._end = start if self.spool is None else self.spool.end
        self._last_row = first + len(content["rows"]) - 1
        message = self._seal(content)
        size = len(message["body"])
        if self._bytes + size > MOST_BYTES:
            if not self._full:
                logger.warning("The master is away; further rows are kept on disk only")
            self._full = True
            message, size = content | {"rows": [], "samples": []}, 0
        self._bytes += size
        self._reports[content["number"]] = _Report(first, self._last_row, start, self._end, message, size)

    def due(self, now: float) -> list[Message]:
        """What is to be sent now, in order."""
        sent: list[Message] = []
        under_way = sum(report.sent_at is not None for report in self._reports.values())
        for place, report in enumerate(self._reports.values()):
            if len(sent) == _BURST:
                break
            if report.sent_at is None:
                if under_way >= _WINDOW:
                    break
                under_way += 1
            elif place or now - report.sent_at < RESEND_S:
                continue
            report.sent_at = now
            sent.append(report.message if report.size else self._seal(self._with_rows(report)))
        return sent

    def acknowledge(self, number: int, through: int) -> None:
        """The master has report ``number``, and all reports up to ``through``."""
        acknowledged = self._reports.get(number)
        done = [known for known in self._reports if known <= through or known == number]
        if not done:
            return
        for known in done:
            self._bytes -= self._reports.pop(known).size
        if acknowledged is not None and acknowledged.sent_at is not None:
            for report in self._reports.values():  # in order: what was sent before it would be there
                if report.sent_at is not None and report.sent_at < acknowledged.sent_at:
                    report.sent_at = None
        if self.spool is not None:
            oldest = next(iter(self._reports.values()), None)
            if oldest is None:
                self.spool.acknowledge(self._last_row, self._end)
            else:
                self.spool.acknowledge(oldest.first_row - 1, oldest.start)

    def _with_rows(self, report: _Report) -> Message:
        rows = [] if self.spool is None else self.spool.read(report.start, report.end)
        own = [row.values for row in rows if report.first_row <= row.number <= report.last_row]
        return report.message | {"rows": own}
