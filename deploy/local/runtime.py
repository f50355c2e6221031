"""The runtime: an invocation goes to the container and its bytes come back as soon as they are there.

Three routes: ``/invocations``, ``/invocations-response-stream`` and the OpenAI-compatible one.
"""

import http.client
import itertools
import random
import re
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import gevent

from deploy.local import eventstream
from deploy.local.account import ACCOUNT_ID, Endpoint, Served
from deploy.local.context import Context
from deploy.local.errors import ApiError
from deploy.local.faults import OF_THE_STREAM, Fault
from deploy.local.hosting import Container
from deploy.local.http import Request, Response, Watcher, cut
from deploy.local.invocations import Invocation

_PATH = re.compile(
    r"/endpoints/(?P<endpoint>[^/]+)(?:/inference-components/(?P<component>[^/]+))?"
    r"/(?P<verb>invocations|invocations-response-stream|openai/v1/chat/completions)"
)
_VERBS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "openai/v1/chat/completions": "ChatCompletions",
}
_PREFIX = "x-amzn-sagemaker-"
_TO_CONTAINER = ("custom-attributes", "inference-id", "session-id", "target-model", "adapter-identifier")
_CHUNK = 65_536
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics "
    "for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_BROKEN = "The container closed the connection before the end of its answer."


@dataclass(frozen=True)
class Route:
    """What a runtime path asks for."""

    operation: str
    endpoint: str
    component: str | None


@dataclass
class _Exchange:
    """One invocation under way: the client on one side, the container on the other."""

    context: Context
    request: Request
    endpoint: Endpoint
    variant: str
    container: Container
    streaming: bool
    record: Invocation
    fault: Fault | None
    upstream: http.client.HTTPConnection = field(init=False)
    timed_out: bool = False
    client_gone: bool = False

    def __post_init__(self) -> None:
        self.upstream = http.client.HTTPConnection("127.0.0.1", self.container.port)

    def hang_up(self) -> None:
        """Cut the connection to the container, which ends its work on this answer."""
        if self.upstream.sock is not None:
            try:
                self.upstream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the container was faster

    def on_timeout(self) -> None:
        """The model took longer than SageMaker waits."""
        self.timed_out = True
        self.hang_up()

    def on_client_gone(self) -> None:
        """The client left: the container need not go on."""
        self.client_gone = True
        self.hang_up()


def route(path: str) -> Route | None:
    """What a path asks of the runtime, or None when it is none of its paths."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    component = match["component"]
    return Route(_VERBS[match["verb"]], unquote(match["endpoint"]), unquote(component) if component else None)


def invoke(context: Context, wanted: Route, request: Request) -> Response:
    """Serve one invocation.

    Raises:
        ApiError: everything that AWS answers with an error status.
    """
    arrived = time.time()
    if len(request.body) > context.settings.payload_bytes:
        limit = context.settings.payload_bytes
        raise ApiError("ValidationError", f"Request body must be at most {limit} bytes.", 413)
    endpoint = _endpoint(context, wanted.endpoint)
    variant, container = _choose(context, endpoint, wanted, request)
    record = Invocation(arrived, endpoint.name, variant)
    context.world.invocations.add(context.region.name, record)
    streaming = wanted.operation != "InvokeEndpoint"
    exchange = _Exchange(context, request, endpoint, variant, container, streaming, record, context.fault)
    container.outstanding += 1
    watcher = Watcher(request.connection, exchange.on_client_gone)
    seconds = context.settings.stream_seconds if streaming else context.settings.invocation_seconds
    timer = gevent.spawn_later(seconds, exchange.on_timeout)
    try:
        answer = _ask(exchange)
        headers = _response_headers(exchange, answer, wanted.operation)
        if not streaming:
            body = _read_all(exchange, answer)
            record.finish(200)
            return Response(200, headers, body)
        pieces = _pieces(exchange, answer)
        if wanted.operation == "InvokeEndpointWithResponseStream":
            pieces = _framed(exchange, pieces)
        body_stream = _closing(exchange, pieces, watcher, timer)
        watcher, timer = None, None  # they end with the stream
        return Response(200, headers, body_stream)
    except ApiError as error:
        record.finish(error.status, error.fields.get("OriginalStatusCode"))
        raise
    finally:
        if watcher is not None and timer is not None:
            _release(exchange, watcher, timer)


def _endpoint(context: Context, name: str) -> Endpoint:
    endpoint = context.region.endpoints.get(name)
    if endpoint is None:
        raise ApiError("ValidationError", f"Endpoint {name} of account {ACCOUNT_ID} not found.")
    if endpoint.status != "InService":
        raise ApiError(
            "ValidationError",
            f"Endpoint {name} of account {ACCOUNT_ID} is not in service: its status is {endpoint.status}.",
        )
    return endpoint


def _choose(context: Context, endpoint: Endpoint, wanted: Route, request: Request) -> tuple[str, Container]:
    component = wanted.component or request.headers.get(f"{_PREFIX}inference-component")
    served: Served = endpoint
    if component is not None:
        found = context.region.components.get(component)
        if found is None or found.spec["EndpointName"] != endpoint.name or found.status != "InService":
            raise ApiError("ValidationError", f"Inference Component {component} not found or not in service.")
        served = found
    groups = served.containers
    if not groups:
        raise ApiError(
            "ValidationError",
            "Inference Component Name header is required for endpoints to which you plan to deploy inference components.",
        )
    target = request.headers.get(f"{_PREFIX}target-variant")
    if target is not None and target not in groups:
        raise ApiError("ValidationError", f"Variant {target} of endpoint {endpoint.name} not found.")
    weights = {
        v["VariantName"]: v.get("InitialVariantWeight", 1.0) for v in endpoint.config["ProductionVariants"]
    }
    name = target or random.choices(list(groups), [weights.get(g, 1.0) for g in groups])[0]  # noqa: S311 - routing
    return name, min(groups[name], key=lambda container: container.outstanding)


def _ask(exchange: _Exchange) -> http.client.HTTPResponse:
    request = exchange.request
    headers = {
        "Content-Type": request.headers.get("content-type", "application/octet-stream"),
        "Connection": "close",
    }
    accept = request.headers.get(f"{_PREFIX}accept") or request.headers.get("accept")
    if accept:
        headers["Accept"] = accept
    for name in _TO_CONTAINER:
        if value := request.headers.get(_PREFIX + name):
            headers[f"X-Amzn-SageMaker-{name.title()}"] = value
    first_byte = gevent.spawn_later(exchange.context.settings.invocation_seconds, exchange.on_timeout)
    try:
        exchange.upstream.request("POST", "/invocations", request.body, headers)
        answer = exchange.upstream.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise _failure(exchange, error) from None
    finally:
        first_byte.kill(block=False)
    if not 200 <= answer.status < 300:
        text = _read_all(exchange, answer).decode("utf-8", "replace")
        raise _model_error(exchange, answer.status, text)
    return answer


def _read_all(exchange: _Exchange, answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _failure(exchange, error) from None


def _failure(exchange: _Exchange, error: Exception) -> Exception:
    """What to answer when the container could not be reached or did not answer to the end."""
    if exchange.client_gone:
        exchange.record.finish(499)
        return cut(exchange.request.connection)
    if exchange.timed_out:
        return _model_error(exchange, 0, _TIMED_OUT)
    if isinstance(error, ConnectionRefusedError):
        return ApiError(
            "ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503
        )
    return _model_error(exchange, 0, _BROKEN)


def _model_error(exchange: _Exchange, status: int, text: str) -> ApiError:
    region, name = exchange.context.region.name, exchange.endpoint.name
    kind = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{name}"
    return ApiError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{text}". See https://{region}.console.aws.'
        f"amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in account {ACCOUNT_ID} for more "
        "information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=text,
        LogStreamArn=f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}",
    )


def _response_headers(
    exchange: _Exchange, answer: http.client.HTTPResponse, operation: str
) -> dict[str, str]:
    content_type = answer.getheader("Content-Type") or "application/octet-stream"
    headers = {
        "x-amzn-RequestId": str(uuid.uuid4()),
        "x-Amzn-Invoked-Production-Variant": exchange.variant,
        "Content-Type": content_type,
    }
    if operation == "InvokeEndpointWithResponseStream":
        headers["Content-Type"] = "application/vnd.amazon.eventstream"
        headers["X-Amzn-SageMaker-Content-Type"] = content_type
    if attributes := answer.getheader("X-Amzn-SageMaker-Custom-Attributes"):
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return headers


def _pieces(exchange: _Exchange, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The container's bytes as they come, each read as soon as it is there."""
    while chunk := answer.read1(_CHUNK):
        exchange.record.saw_chunk()
        yield chunk


def _framed(exchange: _Exchange, pieces: Iterator[bytes]) -> Iterator[bytes]:
    settings = exchange.context.settings
    splitter = eventstream.Splitter(settings.coalesce, settings.pieces)
    fault = exchange.fault if exchange.fault and exchange.fault.fault in OF_THE_STREAM else None
    limit = fault.parts if fault else None
    try:
        for piece in itertools.islice(pieces, limit):
            if parts := splitter.feed(piece):
                yield b"".join(map(eventstream.payload_part, parts))
    except (OSError, http.client.HTTPException):
        if exchange.client_gone:
            raise cut(exchange.request.connection) from None
        yield b"".join(map(eventstream.payload_part, splitter.flush()))
        code = "ModelInvocationTimeExceeded" if exchange.timed_out else "StreamBroken"
        yield eventstream.exception("ModelStreamError", Message=_BROKEN, ErrorCode=code)
        exchange.record.broke()
        return
    yield b"".join(map(eventstream.payload_part, splitter.flush()))
    if fault is not None:
        exchange.record.broke()
        yield _stream_fault(fault)


def _stream_fault(fault: Fault) -> bytes:
    if fault.fault == "stream_error":
        message = fault.message or "The model broke the stream."
        return eventstream.exception("ModelStreamError", Message=message, ErrorCode="StreamBroken")
    return eventstream.exception("InternalStreamFailure", Message=fault.message or "Internal failure.")


def _closing(
    exchange: _Exchange, pieces: Iterator[bytes], watcher: Watcher, timer: gevent.Greenlet
) -> Iterator[bytes]:
    try:
        yield from pieces
    except (OSError, http.client.HTTPException):
        exchange.record.broke()
        raise cut(exchange.request.connection) from None
    finally:
        exchange.record.finish(200)
        _release(exchange, watcher, timer)


def _release(exchange: _Exchange, watcher: Watcher, timer: Any) -> None:
    watcher.stop()
    timer.kill(block=False)
    exchange.upstream.close()
    exchange.container.outstanding -= 1
