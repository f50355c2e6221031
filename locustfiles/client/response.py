"""An incoming response: from bytes to HTTP, to frames, to the answer, and finally to the request's row."""

import time
from dataclasses import dataclass

from geventhttpclient.response import HTTPParseError, HTTPResponse

from locustfiles.client import error_classes
from locustfiles.client.answer_parser import AnswerParser
from locustfiles.client.error_classes import Failure, InvocationError
from locustfiles.client.eventstream import EventStreamDecoder
from locustfiles.client.invocation_url import InvocationTarget
from locustfiles.client.request_metrics import TokenCounter, fill_metrics, printable
from locustfiles.client.session_id import NEW_SESSION
from locustfiles.client.transport import Connection
from runfolder.records import Request

_NEW_SESSION_ID = "x-amzn-sagemaker-new-session-id"
_ERROR_BODY = 65_536


@dataclass(slots=True)
class InvocationResult:
    """A finished invocation: its row, and what a row does not hold."""

    request: Request
    gaps_ms: list[float]
    text: str
    elapsed_ms: float | None
    """`Request.elapsed_ms`: E2E, or the time until it failed by this process's clock. None if not sent."""
    reasoning: str = ""
    """The beginning of the text that is the model's reasoning."""
    content: bytes = b""
    """The answer's bytes, where they are kept."""
    granted: str | None = None
    """``NewSessionId`` of the answer to a request for a session."""


class KeepingParser(AnswerParser):
    """Keeps the bytes of an answer too, in its own class so that other answers pay nothing for it."""

    def __init__(self, *, stream: bool, raw: bool) -> None:
        super().__init__(stream=stream, raw=raw)
        self.content = bytearray()

    def feed(self, data: bytes | bytearray, at: float) -> None:
        """Keep body bytes, and parse them."""
        self.content += data
        super().feed(data, at)


class HttpParser(HTTPResponse):
    """geventhttpclient's parser, which by itself would silently accept a second response after the first."""

    surplus = False
    status = 0
    """HTTP status once the headers are complete; 0 before."""

    def _on_message_begin(self) -> None:
        if self.done:
            self.surplus = True
            raise HTTPParseError("a response to a request that was never sent")
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        self.status = self.get_code()
        return super()._on_headers_complete()

    def pop_body(self) -> bytearray:
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


class IncomingResponse:
    """An incoming response: from bytes to body, to frames, to the answer."""

    def __init__(
        self,
        target: InvocationTarget,
        request: Request,
        connection: Connection,
        *,
        stream: bool,
        count_tokens: TokenCounter = lambda _: None,
        keep_content: bool = False,
    ) -> None:
        self.request = request
        self.parser = HttpParser("POST")
        self.bytes_in = 0
        self.seen_content = False
        self._connection = connection
        self._count_tokens = count_tokens
        self._answer_parser = (KeepingParser if keep_content else AnswerParser)(
            stream=stream, raw=not target.text
        )
        self._stream = stream
        self._decoder = EventStreamDecoder() if target.event_stream else None
        self._error_body = bytearray()
        self._by_kernel = True

    def feed(self, data: bytes) -> bool:
        """Parse more bytes; True when the response is complete."""
        parser = self.parser
        self.bytes_in += len(data)
        try:
            parser.feed(data)
        except HTTPParseError as error:
            if data and not parser.surplus:
                raise InvocationError(Failure("protocol", f"not an HTTP response: {error}")) from None
            if not data:
                raise
        if parser.headers_complete and (body := parser.pop_body()):
            if parser.status == 200:
                self._feed_body(body)
            elif len(self._error_body) < _ERROR_BODY:
                self._error_body += body
        if not data and not parser.done:
            raise HTTPParseError("the connection was closed before the end of the answer")
        return parser.done

    def _feed_body(self, body: bytearray) -> None:
        connection, answer_parser = self._connection, self._answer_parser
        at = connection.stamp
        self._by_kernel = self._by_kernel and connection.by_kernel
        if self._decoder is None:
            answer_parser.feed(body, at)
        else:
            for headers, payload in self._decoder.feed(body):
                if headers.get(":message-type", "event") != "event":
                    raise InvocationError(error_classes.classify_stream_exception(headers, payload))
                answer_parser.feed(payload, at)
        if not self.seen_content and answer_parser.answer.first_at is not None:
            self.seen_content = True
            self.request.clock_lag_ms = (time.time() - at) * 1000

    def check_status(self) -> None:
        """Check that the response is no error.

        Raises:
            InvocationError: it is.
        """
        parser = self.parser
        if parser.status != 200:
            raise InvocationError(
                error_classes.classify_response(
                    parser.status,
                    parser.header("x-amzn-errortype"),
                    parser.header("content-type") or "",
                    bytes(self._error_body),
                )
            )

    def finish(self) -> None:
        """Check, after the end of the response, that the answer is complete.

        Raises:
            InvocationError: the response is an error, or ends inside a frame.
            AnswerError: the answer is empty or truncated.
        """
        request, at = self.request, self._connection.stamp
        self.check_status()
        if self._decoder is not None and self._decoder.pending:
            raise InvocationError(Failure("truncated", "the stream ended inside a frame"))
        self._answer_parser.finish(at)
        if request.clock_lag_ms is None:
            request.clock_lag_ms = (time.time() - at) * 1000

    def outcome(self) -> InvocationResult:
        """Fill in the request's row from the answer; for an incomplete answer, only how far it came."""
        answer, request = self._answer_parser.answer, self.request
        request.http_status = self.parser.status or None
        request.bytes_in = self.bytes_in or None
        if answer.last_at is not None:
            request.arrival_clock = "kernel" if self._by_kernel else "user"
            if request.outcome == "ok":
                fill_metrics(request, answer, stream=self._stream, count_tokens=self._count_tokens)
            else:
                fill_metrics(request, answer, stream=self._stream)
        if request.outcome != "ok":
            request.e2e_ms = request.tpot_ms = None
        elapsed_ms = request.e2e_ms
        if elapsed_ms is None:
            elapsed_ms = (time.time() - request.started_at) * 1000
        request.elapsed_ms = elapsed_ms
        text, thought = printable("".join(answer.text)), answer.first_output_piece
        reasoning = printable("".join(answer.text[:thought])) if thought else ""
        content = bytes(getattr(self._answer_parser, "content", b""))
        granted = self.parser.header(_NEW_SESSION_ID) if request.session_id == NEW_SESSION else None
        return InvocationResult(request, answer.gaps_ms, text, elapsed_ms, reasoning, content, granted)
