"""What the workers' reports cost the master, and how many workers it can serve.

    python -m bench.benchmarks.report_channel [--answer-s 10] [--seconds 2]

The workers are simulated, the master's work is real: packets are read and filtered, reports are unsealed,
checked, counted, written to the run folder and acknowledged, and Locust's statistics are merged. Prints a
Markdown table. A stream sends its next request when its answer has ended.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - everything else comes after the patching
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.stats import setup_distributed_stats_event_listeners

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from locustfiles.master.message_filter import MessageFilter
from locustfiles.master.report_collector import MASTER_ROWS_PER_PAUSE, ReportCollector
from locustfiles.message_seal import MessageSeal
from locustfiles.messages import REPORT, REPORT_ACK, read_message
from locustfiles.worker.reporter import REPORT_S
from runfolder.records import REQUEST_COLUMNS, Request

SIZES = ((1, 1_000), (10, 1_000), (100, 1_000), (200, 1_000), (200, 5_000))
"""Workers, and streams of each."""
_START = 1_700_000_000.0
_STEP = "ml.g5.xlarge/en_500-1000/c1000"
_TOKENS = 200
_STATS_EVERY = 6
"""Locust's statistics come every 3 s."""
_GAP_BUCKETS = 30


class Packet(NamedTuple):
    """What a worker sends."""

    client: str
    data: bytes


class Cost(NamedTuple):
    """What the packets of a simulation took."""

    rows: int
    bytes: int
    cpu_s: float


def _distributed() -> Environment:
    """Locust's statistics as on a master or a worker."""
    environment = Environment()
    setup_distributed_stats_event_listeners(environment.events, environment.stats)
    return environment


class Workers:
    """Simulated workers, which make packets as the real ones do.

    Args:
        count: how many.
        streams: of each.
        answer_s: mean length of an answer.
        seal: of the run.
    """

    def __init__(self, count: int, streams: int, answer_s: float, seal: MessageSeal) -> None:
        self._count, self._streams, self._answer_s, self._seal = count, streams, answer_s, seal
        self._rng = np.random.default_rng(1)
        self._rows = [0] * count
        self._environment = _distributed()

    def packets(self, report: int) -> Iterator[Packet]:
        """One report of every worker, and now and then Locust's statistics.

        Args:
            report: its number, from 1.
        """
        for worker in range(self._count):
            client = f"worker-{worker}_0123456789abcdef0123456789abcdef"
            rows = self._make_rows(worker, _START + report * REPORT_S)
            content = self._content(client, worker, report, rows)
            yield self._packet(REPORT, self._seal.wrap(REPORT, content), client)
            if report % _STATS_EVERY == worker % _STATS_EVERY:
                stats = self._environment.stats
                for _ in rows * _STATS_EVERY:
                    stats.log_request("POST", _STEP, int(self._rng.normal(1000, 200) * self._answer_s), 900)
                data: dict[str, Any] = {"user_count": self._streams, "user_classes_count": {}}
                hooks: Any = self._environment.events
                hooks.report_to_master.fire(client_id=client, data=data)
                yield self._packet("stats", data, client)

    def _packet(self, kind: str, data: object, client: str) -> Packet:
        message: Any = Message(kind, data, client)  # type: ignore[no-untyped-call]
        return Packet(client, message.serialize())

    def _make_rows(self, worker: int, now: float) -> list[tuple[Any, ...]]:
        count = int(self._rng.poisson(self._streams / self._answer_s * REPORT_S))
        seconds = np.maximum(0.1, self._rng.normal(self._answer_s, 0.2 * self._answer_s, count)).tolist()
        first = self._rows[worker] + 1
        self._rows[worker] += count
        return [
            _row(f"w{worker}-{number}", f"w{worker}", now - e2e_s, e2e_s * 1000)
            for number, e2e_s in enumerate(seconds, first)
        ]

    def _content(self, client: str, worker: int, report: int, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
        ended = self._rows[worker]
        return {
            "worker": f"w{worker}", "client_id": client, "number": report, "host": "10.0.0.1",
            "sent_at": _START + report * REPORT_S, "step": _STEP, "users": self._streams,
            "in_flight": self._streams, "oldest_start": _START, "first_row": ended - len(rows) + 1,
            "rows": rows, "gaps": [(_STEP, bucket, 100) for bucket in range(_GAP_BUCKETS)], "samples": [],
            "counts": {_STEP: (ended + self._streams, ended, 0, 0, 0)}, "health": None,
        }  # fmt: skip


def _row(request_id: str, worker: str, started_at: float, e2e_ms: float) -> tuple[Any, ...]:
    """A row with the cells that a streamed answer has."""
    request = Request(
        request_id, _STEP, worker, "p0001", started_at, inference_id=f"0123456789ab-{request_id}",
        ttft_ms=e2e_ms * 0.1, ttfo_ms=e2e_ms * 0.1, e2e_ms=e2e_ms, elapsed_ms=e2e_ms,
        tpot_ms=e2e_ms * 0.9 / (_TOKENS - 1), chunks=_TOKENS, first_chunk_tokens=1,
        first_chunk_source="usage", prompt_tokens=800, prompt_tokens_source="server",
        completion_tokens=_TOKENS, completion_tokens_source="server", finish_reason="length",
        http_status=200, bytes_out=4_000, bytes_in=60_000, arrival_clock="kernel", clock_lag_ms=0.2,
    )  # fmt: skip
    return tuple(getattr(request, column) for column in REQUEST_COLUMNS)


class _Socket:
    """Hands out packets as Locust's server does."""

    def __init__(self, packets: list[Packet]) -> None:
        self._packets = iter(packets)

    def recv_from_client(self) -> tuple[str, Message]:
        packet = next(self._packets)
        return packet.client, Message.unserialize(packet.data)  # type: ignore[no-untyped-call]


class Master:
    """What the master does with packets."""

    def __init__(self, folder: Path, seal: MessageSeal) -> None:
        self._seal = seal
        self._hooks: Any = _distributed().events
        self.collector = ReportCollector(folder, frozenset({_STEP}), rows_per_pause=MASTER_ROWS_PER_PAUSE)
        self.collector.open_window(_STEP, _START)

    def take(self, packets: list[Packet]) -> Cost:
        """Handle packets."""
        sockets = MessageFilter(_Socket(packets), lambda _: True, click.echo)
        rows, cpu = 0, time.process_time()
        for _ in packets:
            client, message = sockets.recv_from_client()
            if message.type != REPORT:
                self._hooks.worker_report.fire(client_id=client, data=message.data)
                continue
            report = read_message(REPORT, self._seal.unwrap(REPORT, message.data))
            self.collector.handle_report(report)
            rows += len(report.rows)
            through = self.collector.workers[client].reports.through
            ack = self._seal.wrap(REPORT_ACK, {"number": report.number, "through": through, "offset": 0.0})
            answer: Any = Message(REPORT_ACK, ack, client)  # type: ignore[no-untyped-call]
            answer.serialize()
        size = sum(len(packet.data) for packet in packets)
        return Cost(rows, size, time.process_time() - cpu)


def simulate(workers: int, streams: int, answer_s: float, seconds: float) -> Cost:
    """Play so many seconds of reports."""
    seal = MessageSeal("token")
    with tempfile.TemporaryDirectory() as folder:
        group, master = Workers(workers, streams, answer_s, seal), Master(Path(folder), seal)
        reports = range(1, round(seconds / REPORT_S) + 1)
        costs = [master.take(list(group.packets(report))) for report in reports]
        master.collector.close()
    return Cost(*(sum(column) for column in zip(*costs, strict=True)))


@click.command(help="Measure what the reports of many workers cost the master.")
@click.option("--answer-s", default=10.0, show_default=True, help="Mean length of an answer.")
@click.option("--seconds", default=3.0, show_default=True, help="Simulated length of each row of the table.")
def main(answer_s: float, seconds: float) -> None:
    """Print a row per number of workers."""
    print("| workers | streams | rows/s | MB/s | bytes per row | µs per row | CPU of a core |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for workers, streams in SIZES:
        cost = simulate(workers, streams, answer_s, seconds)
        print(
            f"| {workers} | {workers * streams:,} | {cost.rows / seconds:,.0f} | "
            f"{cost.bytes / seconds / 1e6:.2f} | {cost.bytes / cost.rows:,.0f} | "
            f"{1e6 * cost.cpu_s / cost.rows:.0f} | {cost.cpu_s / seconds:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
