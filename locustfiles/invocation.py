"""One invocation: sign, send, read to the end, and say in one `Request` what happened."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gevent
from geventhttpclient.response import HTTPParseError, HTTPResponse

from configs.plan import Timeouts
from locustfiles import failures
from locustfiles.answers import Answer, AnswerError, AnswerReader
from locustfiles.bodies import Body
from locustfiles.eventstream import EventStreamDecoder, EventStreamError
from locustfiles.failures import Failure
from locustfiles.target import Target
from locustfiles.transport import ConnectFailed, Connection
from runfolder.records import Request

if TYPE_CHECKING:
    from runfolder.records import ErrorClass, TokenSource

_ERROR_BODY = 65_536


class Aborted(gevent.GreenletExit):  # type: ignore[misc]  # gevent ships no types for it
    """The run ends now: thrown into greenlets that have a request in flight.

    As a `GreenletExit` it ends a user in order wherever it lands.
    """


class InvocationFailed(Exception):  # noqa: N818 - its text is a row in the web page
    """A failed invocation, as Locust counts it: one of few classes."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(slots=True)
class Outcome:
    """A finished invocation: its row and what does not fit into a row."""

    request: Request
    gaps_ms: list[float]
    text: str
    elapsed_ms: float
    """The request's own `Request.elapsed_ms`: E2E, or how long it took to fail by this process's clock."""


class _Parser(HTTPResponse):
    """geventhttpclient's parser, which would silently go on with a second response after the first."""

    surplus = False
    status = 0
    """Status of the response whose headers are complete; 0 before."""

    def _on_message_begin(self) -> None:
        if self.done:
            self.surplus = True
            raise HTTPParseError("a response to a request that was never sent")
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        self.status = self.get_code()
        return super()._on_headers_complete()

    def take_body(self) -> bytearray:
        """Body bytes since the last call."""
        body, self._body_buffer = self._body_buffer, bytearray()
        return body

    @property
    def done(self) -> bool:
        """A final response is complete (an interim 1xx is not)."""
        return self.message_complete and self.status >= 200

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        value = self.get(name)
        return value[0] if isinstance(value, list) else value


class _Failed(Exception):  # noqa: N818 - carries a failure to its row
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class Invoker:
    """Sends invocations over one kept-alive connection, one after the other.

    Args:
        target: where to.
        authorize: gives the headers that prove who asks, from the body's SHA-256 and the time.
        connection: this user's own.
        timeouts: seconds to connect, to the first byte, and in all.
        on_lag: told, at the first token and at the end, how many seconds after its arrival it was read.
    """

    def __init__(
        self,
        target: Target,
        authorize: Callable[[str, float], list[tuple[str, str]]],
        connection: Connection,
        timeouts: Timeouts,
        on_lag: Callable[[float], None],
    ) -> None:
        self._target = target
        self._authorize = authorize
        self._connection = connection
        self._timeouts = timeouts
        self._on_lag = on_lag
        fixed = {"Host": target.host_header, "Accept-Encoding": "identity", **target.headers}
        self._fixed = f"POST {target.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fixed.items())
        self._surplus = False

    def invoke(self, body: Body, request: Request, *, stream: bool) -> Outcome:
        """Run one invocation to its end and fill in ``request``: ok, failed, or censored.

        Censored is what the run's end (`Aborted`) or Locust (a plain ``GreenletExit``) has cut off.
        """
        request.started_at = time.time()
        reading = _Reading(self._target, request, self._connection, stream=stream)
        parser = reading.parser
        reused = False
        try:
            reused = self._connect(request)
            data = self._connection.encode(self._encode(body))
            request.bytes_out = len(data)
            with gevent.Timeout(self._timeouts.total, _Failed(self._late("total"))):
                request.started_at = time.time()
                self._exchange(data, reading)
            reading.finish()
        except _Failed as failed:
            _fail(request, failed.failure)
        except AnswerError as error:
            _fail(request, Failure(_error_class(error.error_class), str(error)))
        except EventStreamError as error:
            _fail(request, Failure("protocol", f"event stream: {error}"))
        except HTTPParseError as error:
            _fail(request, _broken(parser, str(error), reused=reused))
        except OSError as error:
            _fail(request, _broken(parser, error.strerror or str(error), reused=reused))
        except gevent.GreenletExit:
            request.outcome = "censored"
        except Exception as error:  # noqa: BLE001 - a request that has begun gets its row whatever came
            _fail(request, Failure("protocol", f"{type(error).__name__}: {error}"))
        if request.outcome != "ok" or parser.surplus or parser.should_close():
            self._surplus = self._surplus or parser.surplus
            self._connection.close()
        return reading.outcome()

    def _late(self, which: str) -> Failure:
        seconds = getattr(self._timeouts, which)
        what = "first byte" if which == "first_byte" else "end of the answer"
        return Failure("client_timeout", f"no {what} within {seconds:g} s")

    def _connect(self, request: Request) -> bool:
        """Make sure of a connection; True where the one from before is used again."""
        connection = self._connection
        if connection.is_open or self._surplus:
            state = "surplus" if self._surplus else connection.idle_state()
            if state == "quiet":
                return True
            connection.close()
            self._surplus = False
            if state == "surplus":
                raise _Failed(Failure("protocol", "a response to a request that was never sent"))
        try:
            request.connect_ms = connection.open(self._timeouts.connect)
        except ConnectFailed as error:
            raise _Failed(Failure("connection", str(error))) from None
        return False

    def _encode(self, body: Body) -> bytes:
        headers = self._authorize(body.sha256, time.time())
        added = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self._fixed}{added}Content-Length: {len(body.data)}\r\n\r\n".encode() + body.data

    def _exchange(self, data: bytes, reading: "_Reading") -> None:
        try:
            self._connection.send(data)
        except OSError:
            # Who refuses a large body answers and closes before all of it is there.
            with contextlib.suppress(OSError, HTTPParseError):
                self._receive(reading)
            if not reading.parser.done or reading.parser.status == 200:
                raise
        else:
            self._receive(reading)

    def _receive(self, reading: "_Reading") -> None:
        with gevent.Timeout(self._timeouts.first_byte, _Failed(self._late("first_byte"))) as first_byte:
            connection, on_lag = self._connection, self._on_lag

            def take(data: bytes) -> bool:
                if not reading.bytes_in:
                    first_byte.close()
                waiting = not reading.seen_content
                done = reading.take(data)
                first = waiting and reading.seen_content
                if first and not done:
                    connection.first_token_seen()
                if first or done:
                    on_lag(time.time() - connection.stamp)
                return done

            connection.receive(take)


class _Reading:
    """A response on its way in: bytes to body, to frames, to the answer."""

    def __init__(self, target: Target, request: Request, connection: Connection, *, stream: bool) -> None:
        self.request = request
        self.parser = _Parser("POST")
        self.bytes_in = 0
        self.seen_content = False
        self._connection = connection
        self._reader = AnswerReader(stream=stream)
        self._stream = stream
        self._decoder = EventStreamDecoder() if target.event_stream else None
        self._error_body = bytearray()
        self._by_kernel = True

    def take(self, data: bytes) -> bool:
        """Read on; True when the response is complete."""
        parser = self.parser
        self.bytes_in += len(data)
        try:
            parser.feed(data)
        except HTTPParseError as error:
            if data and not parser.surplus:
                raise _Failed(Failure("protocol", f"no HTTP answer: {error}")) from None
            if not data:
                raise
        if parser.headers_complete and (body := parser.take_body()):
            if parser.status == 200:
                self._take_body(body)
            elif len(self._error_body) < _ERROR_BODY:
                self._error_body += body
        if not data and not parser.done:
            raise HTTPParseError("the connection was closed before the answer's end")
        return parser.done

    def _take_body(self, body: bytearray) -> None:
        connection, reader = self._connection, self._reader
        at = connection.stamp
        self._by_kernel = self._by_kernel and connection.by_kernel
        if self._decoder is None:
            reader.feed(body, at)
        else:
            for headers, payload in self._decoder.feed(body):
                if headers.get(":message-type", "event") != "event":
                    raise _Failed(failures.of_stream_exception(headers, payload))
                reader.feed(payload, at)
        if not self.seen_content and reader.answer.first_at is not None:
            self.seen_content = True
            self.request.clock_lag_ms = (time.time() - at) * 1000

    def finish(self) -> None:
        """The response is complete: check that the answer is too."""
        request, parser, at = self.request, self.parser, self._connection.stamp
        if parser.status != 200:
            raise _Failed(
                failures.of_response(
                    parser.status,
                    parser.header("x-amzn-errortype"),
                    parser.header("content-type") or "",
                    bytes(self._error_body),
                )
            )
        if self._decoder is not None and self._decoder.pending:
            raise _Failed(Failure("truncated", "the stream ended inside a frame"))
        self._reader.finish(at)
        if request.clock_lag_ms is None:
            request.clock_lag_ms = (time.time() - at) * 1000

    def outcome(self) -> Outcome:
        """Fill in what the answer told; of one that is not whole, only how far it came."""
        answer, request = self._reader.answer, self.request
        request.http_status = self.parser.status or None
        request.bytes_in = self.bytes_in or None
        if answer.last_at is not None:
            request.arrival_clock = "kernel" if self._by_kernel else "user"
            fill_measures(request, answer, stream=self._stream)
        if request.outcome != "ok":
            request.e2e_ms = request.tpot_ms = None
        elapsed_ms = request.e2e_ms
        if elapsed_ms is None:
            elapsed_ms = (time.time() - request.started_at) * 1000
        request.elapsed_ms = elapsed_ms
        return Outcome(request, answer.gaps_ms, _printable("".join(answer.text)), elapsed_ms)


def fill_measures(request: Request, answer: Answer, *, stream: bool) -> None:
    """Latencies and token counts of a request from its answer.

    TTFT, E2E and TPOT as `Request` defines them; TPOT = (E2E - TTFT) / (n - k), k the tokens of the first
    chunk, and none below two tokens or where all came at once.
    """
    started = request.started_at

    def since(moment: float | None) -> float | None:
        return None if moment is None else (moment - started) * 1000

    request.e2e_ms = since(answer.last_at)
    request.finish_reason = None if answer.finish_reason is None else _printable(answer.finish_reason)
    request.reasoning_tokens = answer.reasoning_tokens
    if answer.prompt_tokens is not None:
        request.prompt_tokens, request.prompt_tokens_source = answer.prompt_tokens, "server"
    if stream and answer.first_at is not None:
        request.ttft_ms = since(answer.first_at)
        request.ttfo_ms = since(answer.first_output_at)
        request.chunks = answer.chunks
        request.first_chunk_tokens = answer.first_chunk_tokens or answer.first_chunk_pieces
    if answer.completion_tokens is not None:
        set_completion_tokens(request, answer.completion_tokens, "server")
    elif request.chunks:  # a stream's pieces are about tokens
        set_completion_tokens(request, answer.pieces, "estimate")


def set_completion_tokens(request: Request, count: int, source: "TokenSource") -> None:
    """Enter the count of the answer's tokens, and TPOT, which follows from it."""
    request.completion_tokens, request.completion_tokens_source = count, source
    request.tpot_ms = None
    if request.ttft_ms is None or request.e2e_ms is None or (request.chunks or 0) < 2:
        return
    later_tokens = count - (request.first_chunk_tokens or 0)
    if later_tokens > 0:
        request.tpot_ms = (request.e2e_ms - request.ttft_ms) / later_tokens


def _fail(request: Request, failure: Failure) -> None:
    request.outcome = "failed"
    request.error_class = failure.error_class
    request.error_detail = _printable(" ".join(failure.detail.split())[:300])


def _printable(text: str) -> str:
    """Without the half characters that JSON can hold and no file can."""
    return text.encode(errors="replace").decode()


def _error_class(name: str) -> "ErrorClass":
    known: dict[str, ErrorClass] = {"in_band": "in_band", "truncated": "truncated", "empty": "empty"}
    return known.get(name, "protocol")


def _broken(parser: _Parser, detail: str, *, reused: bool) -> Failure:
    """Name a connection that broke by how far the answer had come."""
    if parser.headers_complete:
        return Failure("truncated", f"the connection broke inside the answer: {detail}")
    if parser.message_begun:
        return Failure("connection", f"the connection broke inside the headers: {detail}")
    if reused:
        return Failure("stale_connection", f"the kept connection was closed before any answer: {detail}")
    return Failure("connection", f"the connection broke before any answer: {detail}")
