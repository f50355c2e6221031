"""A server with known token times: it streams on a fixed schedule and logs when each answer really left.

One thread, one epoll loop, prepared frames: it must be more punctual than what it measures. It implements
the two invocation routes of a SageMaker endpoint (with TGI's answers; signatures are not checked). Every
answer has its number as its finish reason, so that a client's row and this log can be joined.

    python -m bench.calibration.truth --ttft 0.2 --gap 0.05 --tokens 60 --log truth.csv
"""

import heapq
import itertools
import json
import select
import signal
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

from bench.calibration.slots import Slots
from bench.calibration.truth_answers import STREAM_HEAD, TOKEN_CHUNK, header, last_chunk, whole_answer
from locustfiles.client import kernel_timestamps

LOG_HEADER = "number,arrived_at,first_sent_at,last_sent_at,tokens,inference_id\n"
_READ = 65_536
_GOLDEN = 0.6180339887


@dataclass(slots=True)
class AnswerSchedule:
    """The schedule of every answer, in seconds.

    The first token leaves up to half a gap before or after ``ttft``, depending on the answer's number:
    otherwise all streams that started together would send together forever.
    """

    ttft: float
    gap: float
    tokens: int
    slots: int = 0
    """Answers at a time; further requests wait in the order of their arrival. 0: no limit."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A pause in which the server accepts nothing, reads nothing and sends nothing."""

    after_s: float
    """From the first request."""
    seconds: float


STALLED_BACKLOG = 8
"""Connections that the kernel accepts for a server that stalls; others must wait."""


@dataclass(slots=True, eq=False)
class Client:
    """One connection and the answer on its way."""

    sock: socket.socket
    tls: ssl.SSLObject | None = None
    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    shaken: bool = False
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    closed: bool = False
    number: int = 0
    arrived_at: float = 0.0
    starts_at: float = 0.0
    first_sent_at: float = 0.0
    sent: int = 0
    streamed: bool = True
    inference_id: str = ""


class TruthServer:
    """Accepts connections and keeps every answer to its schedule; ``run`` returns on SIGTERM."""

    def __init__(
        self,
        schedule: AnswerSchedule,
        port: int,
        log: Path,
        context: ssl.SSLContext | None,
        stall: Stall | None = None,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self._answer_schedule = schedule
        self._stall = stall
        self._stall_at: float | None = None
        self._context = context
        self._log = log.open("w", encoding="utf-8", buffering=1 << 20)
        self._log.write(LOG_HEADER)
        backlog = 4096 if stall is None else STALLED_BACKLOG
        self._listener = socket.create_server((host, port), backlog=backlog)
        kernel_timestamps.enable(
            self._listener
        )  # accepted connections inherit it: no first segment goes unstamped
        self._listener.setblocking(False)  # noqa: FBT003 - the socket API
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._due: list[tuple[float, int, Client]] = []
        self._slots: Slots[Client] = Slots(schedule.slots)
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._running = True

    def stop(self, *_: object) -> None:
        """End ``run``."""
        self._running = False

    def run(self) -> None:
        """Serve until stopped."""
        while self._running:
            timeout = max(0.0, self._due[0][0] - time.time()) if self._due else 1.0
            for number, events in self._epoll.poll(min(timeout, 1.0)):
                self._ready(number, events)
            now = time.time()
            if self._stall is not None and self._stall_at is not None and now >= self._stall_at:
                time.sleep(self._stall.seconds)
                now, self._stall = time.time(), None
            while self._due and self._due[0][0] <= now:
                _, _, client = heapq.heappop(self._due)
                if not client.closed:
                    self._answer(client)
        self._log.close()

    def _ready(self, number: int, events: int) -> None:
        if number == self._listener.fileno():
            self._accept()
            return
        client = self._clients.get(number)
        if client is None:
            return
        if events & select.EPOLLOUT:
            self._flush(client)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not client.closed:
            self._receive(client)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)  # noqa: FBT003 - the socket API
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kernel_timestamps.enable(sock)
            client = Client(sock)
            if self._context is not None:
                client.tls = self._context.wrap_bio(client.incoming, client.outgoing, server_side=True)
            self._clients[sock.fileno()] = client
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _close(self, client: Client) -> None:
        client.closed = True
        self._leave(client)
        self._epoll.unregister(client.sock.fileno())
        del self._clients[client.sock.fileno()]
        client.sock.close()

    def _receive(self, client: Client) -> None:
        try:
            data, ancillary, _, _ = client.sock.recvmsg(_READ, kernel_timestamps.ANCILLARY_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        if not data:
            self._close(client)
            return
        arrived_at = kernel_timestamps.stamp(ancillary) or time.time()
        if client.tls is not None:
            client.incoming.write(data)
            data = self._decrypt(client, client.tls)
        if not client.received:
            client.arrived_at = arrived_at
        client.received += data
        self._request(client)

    def _decrypt(self, client: Client, tls: ssl.SSLObject) -> bytes:
        plain = b""
        try:
            if not client.shaken:
                tls.do_handshake()
                client.shaken = True
            while True:
                plain += tls.read(_READ)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._close(client)
            return b""
        self._send_raw(client, client.outgoing.read())
        return plain

    def _request(self, client: Client) -> None:
        head_end = client.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(client.received[:head_end]).lower()
        length = int(header(head, b"content-length") or 0)
        if len(client.received) < head_end + 4 + length:
            return
        del client.received[: head_end + 4 + length]
        client.number, client.sent = next(self._numbers), 0
        if self._stall is not None and self._stall_at is None:
            self._stall_at = client.arrived_at + self._stall.after_s
        client.streamed = b"response-stream" in head.split(b"\r\n", 1)[0]
        client.inference_id = header(head, b"x-amzn-sagemaker-inference-id")
        if self._slots.take(client):
            self._begin(client, client.arrived_at)

    def _begin(self, client: Client, at: float) -> None:
        """Let the answer to a client's request begin at ``at``."""
        spread = client.number * _GOLDEN % 1.0 - 0.5
        client.starts_at = at + self._answer_schedule.ttft + spread * self._answer_schedule.gap
        self._schedule(client, client.starts_at)

    def _leave(self, client: Client) -> None:
        """Give the slot of a client's request to the next one."""
        if following := self._slots.leave(client):
            self._begin(following, time.time())

    def _schedule(self, client: Client, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._order), client))

    def _answer(self, client: Client) -> None:
        if not client.streamed:
            self._answer_whole(client)
            return
        schedule = self._answer_schedule
        now = time.time()
        client.sent += 1
        if client.sent == 1:
            client.first_sent_at = now
            self._send(client, STREAM_HEAD + TOKEN_CHUNK)
        elif client.sent < schedule.tokens:
            self._send(client, TOKEN_CHUNK)
        if client.sent < schedule.tokens:
            self._schedule(client, client.starts_at + client.sent * schedule.gap)
            return
        now = time.time()
        self._send(client, last_chunk(client.number, schedule.tokens))
        self._log_answer(client, now)

    def _answer_whole(self, client: Client) -> None:
        client.first_sent_at = time.time()
        self._send(client, whole_answer(client.number, self._answer_schedule.tokens))
        self._log_answer(client, client.first_sent_at)

    def _log_answer(self, client: Client, last_sent_at: float) -> None:
        self._log.write(
            f"{client.number},{client.arrived_at:.6f},{client.first_sent_at:.6f},{last_sent_at:.6f},"
            f"{self._answer_schedule.tokens},{client.inference_id}\n"
        )
        self._leave(client)

    def _send(self, client: Client, data: bytes) -> None:
        if client.tls is not None:
            client.tls.write(data)
            data = client.outgoing.read()
        self._send_raw(client, data)

    def _send_raw(self, client: Client, data: bytes) -> None:
        if client.closed or not data:
            return
        if client.unsent:
            client.unsent += data
            return
        try:
            sent = client.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(client)
            return
        if sent < len(data):
            client.unsent += data[sent:]
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, client: Client) -> None:
        waiting, client.unsent = bytes(client.unsent), bytearray()
        self._send_raw(client, waiting)
        if not client.closed and not client.unsent:
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(help="Serve answers with known token times; print the port as one JSON line.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port; 0 for any free one.")
@click.option("--ttft", default=0.2, show_default=True, help="Seconds to the first token.")
@click.option("--gap", default=0.05, show_default=True, help="Seconds between tokens.")
@click.option("--tokens", type=click.IntRange(min=2), default=60, help="Tokens per answer.")
@click.option("--slots", default=0, show_default=True, help="Answers at a time; 0: no limit.")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV file for the times at which answers were sent.",
)
@click.option("--stall-after", default=0.0, help="Seconds from the first request to a stall.")
@click.option("--stall", default=0.0, help="Seconds for which the server stalls, once.")
@click.option("--tls-cert", type=_FILE)
@click.option("--tls-key", type=_FILE)
def main(
    *,
    host: str,
    port: int,
    ttft: float,
    gap: float,
    tokens: int,
    slots: int,
    log: Path,
    stall_after: float,
    stall: float,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    context = None
    if tls_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls_cert, tls_key)
    pause = Stall(stall_after, stall) if stall else None
    server = TruthServer(AnswerSchedule(ttft, gap, tokens, slots), port, log, context, pause, host=host)
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    sys.stdout.write(json.dumps({"port": server.port}) + "\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
