"""One invocation: sign, send, read to the end, and record in one `Request` what happened."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import gevent
from geventhttpclient.response import HTTPParseError

from configs.load import Timeouts
from locustfiles.client.answer_parser import AnswerError
from locustfiles.client.error_classes import Failure, InvocationError
from locustfiles.client.eventstream import EventStreamError
from locustfiles.client.invocation_url import InvocationTarget
from locustfiles.client.request_bodies import Body
from locustfiles.client.request_metrics import TokenCounter, printable
from locustfiles.client.response import HttpParser, IncomingResponse, InvocationResult
from locustfiles.client.transport import ConnectError, Connection
from runfolder.records import Request

if TYPE_CHECKING:
    from runfolder.records import ErrorClass


INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
"""The header of ``InferenceId``."""
SESSION_ID = "X-Amzn-SageMaker-Session-Id"
"""The header of ``SessionId``."""


class InvocationExit(gevent.GreenletExit):  # type: ignore[misc]  # gevent ships no types for it
    """Thrown into greenlets with a request in flight when the run must end at once.

    It is a `GreenletExit`, so that it ends a user in order wherever it is raised.
    """


class ReportedError(Exception):
    """A failed invocation as reported to Locust, which groups failures by repr: here, the error class."""

    def __repr__(self) -> str:
        return str(self)


class Invoker:
    """Sends invocations over one kept-alive connection, one after the other.

    Args:
        target: URL and headers.
        authorize: gives the headers of a request for its body's SHA-256, the time, and those of its own.
        connection: this user's own connection.
        timeouts: limits in seconds to connect, until the first byte, and in total.
        on_lag: called at the first token and at the end with the seconds between arrival and reading.
        count_tokens: the model's tokenizer, for counts that the server does not give.
        keep_content: whether to keep the answers' bytes.
    """

    def __init__(
        self,
        target: InvocationTarget,
        authorize: Callable[[str, float, Mapping[str, str]], list[tuple[str, str]]],
        connection: Connection,
        timeouts: Timeouts,
        on_lag: Callable[[float], None],
        *,
        count_tokens: TokenCounter = lambda _: None,
        keep_content: bool = False,
    ) -> None:
        self._target = target
        self._authorize = authorize
        self.connection = connection
        """This user's own connection."""
        self._timeouts = timeouts
        self._on_lag = on_lag
        self._count_tokens = count_tokens
        self._keep_content = keep_content
        fixed = {"Host": target.host_header, "Accept-Encoding": "identity", **target.headers}
        self._fixed = f"POST {target.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fixed.items())
        self._surplus = False

    def invoke(self, body: Body, request: Request, *, stream: bool) -> InvocationResult:
        """Run one invocation to its end and fill in ``request``: ok, failed or censored.

        Censored: cut off by the end of the run (`InvocationExit`) or by Locust (a plain ``GreenletExit``).
        """
        _start(request)
        response = self._expect(request, stream=stream)
        parser = response.parser
        reused = False
        try:
            reused = self._connect(request)
            data = self.connection.encode(self._encode(body, request))
            request.bytes_out = len(data)
            with gevent.Timeout(self._timeouts.total, InvocationError(self._late("total"))):
                _start(request)
                self._exchange(data, response)
            response.finish()
        except InvocationError as failed:
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
        except Exception as error:  # noqa: BLE001 - every request that has started gets a row
            _fail(request, Failure("protocol", f"{type(error).__name__}: {error}"))
        if request.outcome != "ok" or parser.surplus or parser.should_close():
            self._surplus = self._surplus or parser.surplus
            self.connection.close()
        return response.outcome()

    def _expect(self, request: Request, *, stream: bool) -> IncomingResponse:
        return IncomingResponse(
            self._target,
            request,
            self.connection,
            stream=stream,
            count_tokens=self._count_tokens,
            keep_content=self._keep_content,
        )

    def _late(self, which: str) -> Failure:
        seconds = getattr(self._timeouts, which)
        what = "first byte" if which == "first_byte" else "end of the answer"
        return Failure("client_timeout", f"no {what} within {seconds:g} s")

    def _connect(self, request: Request) -> bool:
        """Open a connection if needed; True if the previous one is reused."""
        connection = self.connection
        if connection.is_open or self._surplus:
            state = "surplus" if self._surplus else connection.idle_state()
            if state == "quiet":
                return True
            connection.close()
            self._surplus = False
            if state == "surplus":
                raise InvocationError(Failure("protocol", "a response to a request that was never sent"))
        try:
            request.connect_ms = connection.open(self._timeouts.connect)
        except ConnectError as error:
            raise InvocationError(Failure("connection", str(error))) from None
        return False

    def _encode(self, body: Body, request: Request) -> bytes:
        own = {} if request.inference_id is None else {INFERENCE_ID: request.inference_id}
        if request.session_id is not None:
            own[SESSION_ID] = request.session_id
        headers = self._authorize(body.sha256, time.time(), own)
        added = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self._fixed}{added}Content-Length: {len(body.data)}\r\n\r\n".encode() + body.data

    def _exchange(self, data: bytes, response: IncomingResponse) -> None:
        try:
            self.connection.send(data)
        except OSError:
            # A server that refuses a large body answers and closes before it has read all of it.
            with contextlib.suppress(OSError, HTTPParseError):
                self._receive(response)
            if not response.parser.done or response.parser.status == 200:
                raise
        else:
            self._receive(response)

    def _receive(self, response: IncomingResponse) -> None:
        with gevent.Timeout(
            self._timeouts.first_byte, InvocationError(self._late("first_byte"))
        ) as first_byte:
            connection, on_lag = self.connection, self._on_lag

            def consume(data: bytes) -> bool:
                if not response.bytes_in:
                    first_byte.close()
                waiting = not response.seen_content
                done = response.feed(data)
                first = waiting and response.seen_content
                if first and not done:
                    connection.lower_read_priority()
                if first or done:
                    on_lag(time.time() - connection.stamp)
                return done

            connection.receive(consume)


def _start(request: Request) -> None:
    arrived_at = request.arrived_at
    request.started_at = time.time()
    if request.schedule_delay_ms is not None:
        request.schedule_delay_ms = 1000 * (request.started_at - arrived_at)


def _fail(request: Request, failure: Failure) -> None:
    request.outcome = "failed"
    request.error_class = failure.error_class
    request.error_detail = printable(" ".join(failure.detail.split())[:300])


def _error_class(name: str) -> "ErrorClass":
    classes: dict[str, ErrorClass] = {"in_band": "in_band", "truncated": "truncated", "empty": "empty"}
    return classes.get(name, "protocol")


def _broken(parser: HttpParser, detail: str, *, reused: bool) -> Failure:
    """Classify a broken connection by how far the answer had come."""
    if parser.headers_complete:
        return Failure("truncated", f"the connection broke inside the answer: {detail}")
    if parser.message_begun:
        return Failure("connection", f"the connection broke inside the headers: {detail}")
    if reused:
        return Failure("stale_connection", f"the kept connection was closed before any answer: {detail}")
    return Failure("connection", f"the connection broke before any answer: {detail}")
