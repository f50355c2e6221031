"""Rows between a worker and its master over a link that loses, repeats and reorders messages."""

import random
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locustfiles.master.number_set import NumberSet
from locustfiles.master.report_collector import ReportCollector
from locustfiles.message_seal import MessageSeal
from locustfiles.messages import REPORT, RecoveredMessage, ReportMessage, read_message
from locustfiles.worker import outbox as outbox_module
from locustfiles.worker.outbox import RESEND_S, Outbox
from runfolder import row_spool
from runfolder.records import REQUEST_COLUMNS, Request
from runfolder.row_spool import RowSpool, SpoolHeader, orphaned, read_spool
from tests.locustfiles.runs import rows_of

SEAL = MessageSeal("of the run")
TICK_S = 0.5


def row_values(number: int, step: str = "s") -> tuple[Any, ...]:
    row = Request(f"w0-{number}", step, "w0", "p1", 100.0 + number, e2e_ms=5.0)
    return tuple(getattr(row, column) for column in REQUEST_COLUMNS)


def header(client: str = "c0") -> SpoolHeader:
    return SpoolHeader("run", "x", client, "w0", list(REQUEST_COLUMNS))


@dataclass
class Side:
    """A worker with its outbox, and a clock that goes half a second per report."""

    outbox: Outbox = field(default_factory=lambda: Outbox(lambda content: SEAL.wrap(REPORT, content)))
    now: float = 0.0
    rows: int = 0
    reports: int = 0

    def measure(self, rows: int) -> None:
        """Close so many requests and put them into a report."""
        closed = [row_values(self.rows + n) for n in range(1, rows + 1)]
        for number, row in enumerate(closed, self.rows + 1):
            if self.outbox.spool is not None:
                self.outbox.spool.add(number, number, row)
        first, self.rows, self.reports = self.rows + 1, self.rows + rows, self.reports + 1
        self.outbox.put(
            {
                "worker": "w0", "client_id": "c0", "number": self.reports, "host": "h", "sent_at": self.now,
                "step": "s", "users": 1, "in_flight": 0, "oldest_start": None, "first_row": first,
                "rows": closed, "gaps": [], "samples": [],
                "counts": {"s": (self.rows, self.rows, 0, 0, 0)}, "health": None,
            }
        )  # fmt: skip

    def tick(self) -> list[ReportMessage]:
        """What it sends now."""
        self.now += TICK_S
        return [read_message(REPORT, SEAL.unwrap(REPORT, sent)) for sent in self.outbox.due(self.now)]


@dataclass
class Master:
    """A collector that answers as the coordinator does."""

    folder: Path
    collector: ReportCollector = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.collector = ReportCollector(self.folder, frozenset({"s"}))

    def take(self, report: ReportMessage) -> tuple[int, int]:
        """Handle a report; the acknowledgment."""
        self.collector.handle_report(report)
        return report.number, self.collector.workers["c0"].reports.through

    def ids(self) -> list[str]:
        return [row["request_id"] for row in rows_of(self.folder / "requests.csv")]


def expected(rows: int) -> list[str]:
    return sorted(f"w0-{n}" for n in range(1, rows + 1))


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.0, 0.7), st.floats(0.0, 0.5))
def test_every_row_arrives_once_whatever_a_link_loses_repeats_or_reorders(
    tmp_path_factory: pytest.TempPathFactory, seed: int, loss: float, repeats: float
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    side, master = Side(), Master(tmp_path_factory.mktemp("run"))
    for tick in range(120):
        if tick < 20:
            side.measure(chance.randrange(4))
        lost = loss if tick < 100 else 0.0  # the link heals
        arriving = [report for report in side.tick() if chance.random() >= lost]
        arriving += [report for report in arriving if chance.random() < repeats]
        chance.shuffle(arriving)
        for report in arriving:
            answer = master.take(report)
            if chance.random() >= lost:
                side.outbox.acknowledge(*answer)
    assert not side.outbox, "everything is acknowledged within 10 s of the repair"
    assert sorted(master.ids()) == expected(side.rows)
    assert master.collector.count_mismatches("s") == []


def test_a_master_that_is_away_is_asked_seldom_and_gets_all_when_it_is_back(tmp_path: Path) -> None:
    side, master = Side(), Master(tmp_path)
    sent = 0
    for _ in range(240):
        side.measure(1)
        sent += len(side.tick())
    assert sent < 32 + 240 * TICK_S / RESEND_S + 2, "ZeroMQ's queue is not filled"
    for _ in range(60):
        for report in side.tick():
            side.outbox.acknowledge(*master.take(report))
    assert (len(side.outbox), sorted(master.ids())) == (0, expected(240))


def test_a_master_that_forgot_everything_ends_no_worker(tmp_path: Path) -> None:
    side, first, second = Side(), Master(tmp_path / "1"), Master(tmp_path / "2")
    side.measure(2)
    for report in side.tick():
        side.outbox.acknowledge(*first.take(report))
    side.measure(3)
    side.measure(4)
    for report in side.tick():
        side.outbox.acknowledge(*second.take(report))
    assert not side.outbox
    assert (len(first.ids()), len(second.ids())) == (2, 7)


@pytest.fixture
def spool(tmp_path: Path) -> RowSpool:
    return RowSpool(tmp_path / "spool" / "run" / "c0.rows", header())


def test_rows_beyond_the_memorys_bound_come_from_the_disk(
    tmp_path: Path, spool: RowSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MOST_BYTES", 2000)
    side, master = Side(), Master(tmp_path)
    side.outbox.keep_in(spool)
    for _ in range(10):
        side.measure(5)
    for _ in range(10):
        for report in side.tick():
            side.outbox.acknowledge(*master.take(report))
    assert (len(side.outbox), sorted(master.ids())) == (0, expected(50))
    assert read_spool(spool.path).rows == []  # type: ignore[union-attr]


def test_rows_beyond_both_bounds_are_the_newest_and_are_named_as_lost(
    tmp_path: Path, spool: RowSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MOST_BYTES", 2000)
    monkeypatch.setattr(row_spool, "MOST_BYTES", 4000)
    side, master = Side(), Master(tmp_path)
    side.outbox.keep_in(spool)
    for _ in range(10):
        side.measure(5)
    assert spool.fault is not None
    for _ in range(10):
        for report in side.tick():
            side.outbox.acknowledge(*master.take(report))
    kept = len(master.ids())
    assert 10 < kept < 50
    assert sorted(master.ids()) == expected(kept), "the steps that were measured first stay whole"
    assert master.collector.count_mismatches("s") == [
        ("rows_missing", f"w0: {50 - kept} rows did not arrive")
    ]


def recovered(spool: RowSpool, **changes: Any) -> RecoveredMessage:
    content = read_spool(spool.path)
    assert content is not None
    values: dict[str, Any] = {
        "client_id": "c1", "killed": "c0", "worker": "w0", "number": 1, "offset": content.offset,
        "rows": [tuple(row) for row in content.rows],
    }  # fmt: skip
    return RecoveredMessage(**(values | changes))


def test_a_killed_workers_rows_come_from_its_disk_once(tmp_path: Path, spool: RowSpool) -> None:
    side, master = Side(), Master(tmp_path)
    side.outbox.keep_in(spool)
    side.measure(3)
    for report in side.tick():
        side.outbox.acknowledge(*master.take(report))
    side.measure(2)
    for report in side.tick():
        master.take(report)  # its acknowledgment does not reach the worker any more
    spool.add(6, 7, row_values(6))
    spool.close()
    for _ in range(2):  # an acknowledgment is lost: they come again
        master.collector.handle_recovered(recovered(spool))
    assert sorted(master.ids()) == expected(6)
    assert master.collector.count_mismatches("s") == [("requests_without_end", "w0: 1 requests never ended")]
    assert master.collector.workers["c0"].recovered["s"] == 1


def test_times_of_recovered_rows_are_put_right(tmp_path: Path, spool: RowSpool) -> None:
    spool.set_offset(30.0)
    spool.add(1, 1, row_values(30))
    spool.close()
    master = Master(tmp_path)
    master.collector.handle_recovered(recovered(spool))
    assert float(rows_of(tmp_path / "requests.csv")[0]["started_at"]) == 100.0


# The file


def test_a_spool_is_private_and_gone_once_it_is_acknowledged(spool: RowSpool) -> None:
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700
    with orphaned(spool.path) as free:
        assert not free, "its owner lives"
    spool.remove()
    assert not spool.path.parent.exists()


def test_a_spool_that_was_cut_off_has_its_whole_rows(spool: RowSpool) -> None:
    for number in (1, 2, 3):
        spool.add(number, number, row_values(number))
    spool.close()
    with spool.path.open("r+b") as file:
        file.truncate(spool.path.stat().st_size - 5)
    content = read_spool(spool.path)
    assert content is not None
    assert [row.number for row in content.rows] == [1, 2]
    with orphaned(spool.path) as free:
        assert free


def test_a_spool_forgets_what_was_acknowledged(spool: RowSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_spool, "_COMPACT_BYTES", 2000)
    spool.set_offset(2.0)
    for number in range(1, 101):
        spool.add(number, number, row_values(number))
        if number == 97:
            position = spool.end
    size = spool.path.stat().st_size
    spool.acknowledge(97, position)
    assert spool.path.stat().st_size < size / 8
    assert spool.fault is None
    assert [row.number for row in spool.read(position, spool.end)] == [98, 99, 100]
    spool.add(101, 101, row_values(101))
    content = read_spool(spool.path)
    assert content is not None
    assert [row.number for row in content.rows] == [98, 99, 100, 101]
    assert content.offset == 2.0


def test_a_disk_that_is_full_raises_nothing_and_says_so(
    spool: RowSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    spool.add(1, 1, row_values(1))
    assert spool.fault == "No space left on device"


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x05", b"\xc1", b"\x81\xa1a\x01"])
def test_what_is_no_spool_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.rows").write_bytes(content)
    assert read_spool(tmp_path / "x.rows") is None


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5))))
def test_a_set_of_numbers_is_a_set(added: list[tuple[int, int]]) -> None:
    numbers, plain = NumberSet(), set[int]()
    for first, length in added:
        numbers.add(first, first + length - 1)
        plain |= set(range(first, first + length))
    assert {n for n in range(50) if n in numbers} == plain
    through = 0
    while through + 1 in plain:
        through += 1
    assert (numbers.through, numbers.last) == (through, max(plain, default=0))
