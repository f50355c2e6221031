"""The runtime: forwards an invocation to a container, and its response as soon as bytes arrive.

Three routes: ``/invocations``, ``/invocations-response-stream`` and the OpenAI-compatible one.
"""

import http.client
import itertools
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from emulator import eventstream
from emulator.account import ACCOUNT_ID, EndpointResource, RunningResource
from emulator.context import Context
from emulator.errors import ApiError
from emulator.exchange import ContainerBrokenError, Exchange
from emulator.faults import STREAM_FAULTS, Fault
from emulator.hosting import ContainerProcess
from emulator.http import HttpRequest, HttpResponse, cut_connection
from emulator.invocations import Invocation

_PATH = re.compile(
    r"/endpoints/(?P<endpoint>[^/]+)(?:/inference-components/(?P<component>[^/]+))?"
    r"/(?P<verb>invocations|invocations-response-stream|openai/v1/chat/completions)"
)
_VERBS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "openai/v1/chat/completions": "ChatCompletions",
}
_HEADER_PREFIX = "x-amzn-sagemaker-"
_SESSION = f"{_HEADER_PREFIX}session-id"
_NEW_SESSION = "NEW_SESSION"
_SESSION_PATTERN = "^[a-zA-Z0-9](-*[a-zA-Z0-9])*$"
_FORWARDED_HEADERS = ("custom-attributes", "inference-id", "session-id", "target-model", "adapter-identifier")
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_BROKEN = "The container closed the connection before the end of its response."
_NO_COMPONENT = "Inference Component Name header is required for endpoints with inference components."


@dataclass(frozen=True)
class Route:
    """The operation and the target that a runtime path names."""

    operation: str
    endpoint: str
    component: str | None


@dataclass(frozen=True)
class _Target:
    """The container that serves an invocation."""

    endpoint: EndpointResource
    variant: str
    component: str | None
    container: ContainerProcess


def match_route(path: str) -> Route | None:
    """The route of a path; None if it is not a path of the runtime."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    component = match["component"]
    return Route(_VERBS[match["verb"]], unquote(match["endpoint"]), unquote(component) if component else None)


def invoke(context: Context, route: Route, request: HttpRequest) -> HttpResponse:
    """Serve one invocation.

    Raises:
        ApiError: every case in which AWS responds with an error status.
        ConnectionResetError: the client has disconnected.
    """
    settings = context.settings
    arrived = time.time()
    _check_session_id(request.headers.get(_SESSION), route.operation)
    if len(request.body) > settings.payload_bytes:
        raise ApiError("ValidationError", f"Request body exceeds {settings.payload_bytes} bytes.", 413)
    target = _choose_target(context, route, request)
    streaming = route.operation != "InvokeEndpoint"
    record = Invocation(arrived, target.endpoint.name, target.variant, target.component, streaming)
    context.account.invocations.add(context.region.name, record)
    limit = settings.stream_seconds if streaming else settings.invocation_seconds
    exchange = Exchange(request, target.container, record, limit, settings.invocation_seconds)
    try:
        return _exchange_with_container(context, route, target, exchange)
    except ContainerBrokenError as broken:
        error = _broken_error(context, target, broken)
    except ApiError as api_error:
        error = api_error
    except BaseException:
        record.finish(499)  # the client disconnected first
        exchange.close()
        raise
    record.finish(error.status, error.fields.get("OriginalStatusCode"))
    exchange.close()
    raise error


def _exchange_with_container(
    context: Context, route: Route, target: _Target, exchange: Exchange
) -> HttpResponse:
    """Send the request to the container; a streamed response closes the exchange itself, at its end."""
    response = exchange.send(_container_headers(exchange.request))
    if not 200 <= response.status < 300:
        raise _model_error(context, target, response.status, exchange.read_all().decode("utf-8", "replace"))
    headers = _response_headers(target, response, route.operation)
    _follow_session(target.container, response, exchange.request.headers.get(_SESSION), headers)
    if route.operation == "InvokeEndpoint":
        body = exchange.read_all()
        exchange.record.finish(200)
        exchange.close()
        return HttpResponse(200, headers, body)
    chunks = exchange.chunks()
    if route.operation == "InvokeEndpointWithResponseStream":
        chunks = _frame_stream(context, exchange, chunks)
    return HttpResponse(200, headers, _StreamedBody(exchange, chunks))


def _choose_target(context: Context, route: Route, request: HttpRequest) -> _Target:
    name = route.endpoint
    endpoint = context.region.endpoints.get(name)
    if endpoint is None:
        raise ApiError("ValidationError", f"Endpoint {name} of account {ACCOUNT_ID} not found.")
    if endpoint.status != "InService":
        status = endpoint.status
        raise ApiError(
            "ValidationError", f"Endpoint {name} of account {ACCOUNT_ID} is not in service: it is {status}."
        )
    component = route.component or request.headers.get(f"{_HEADER_PREFIX}inference-component")
    groups = _running_resource(context, endpoint, component).containers
    if not groups:
        raise ApiError("ValidationError", _NO_COMPONENT)
    session = request.headers.get(_SESSION)
    if session and (found := _holder(groups, session)):
        return _Target(endpoint, found[0], component, found[1])
    variant = request.headers.get(f"{_HEADER_PREFIX}target-variant") or _draw_variant(endpoint, list(groups))
    if variant not in groups:
        raise ApiError("ValidationError", f"Variant {variant} of endpoint {name} not found.")
    container = _least_busy(groups[variant])
    return _Target(endpoint, variant, component, container)


def _least_busy(containers: list[ContainerProcess]) -> ContainerProcess:
    """The container with the fewest invocations in flight; of several, any."""
    fewest = min(container.outstanding for container in containers)
    return random.choice([c for c in containers if c.outstanding == fewest])  # noqa: S311 - not secret


def _check_session_id(session: str | None, operation: str) -> None:
    """Refuse a SessionId that the operation's model does not allow: a stream cannot open a session."""
    opens = operation == "InvokeEndpoint" and session == _NEW_SESSION
    if session is not None and not opens and not re.fullmatch(_SESSION_PATTERN, session):
        raise ApiError(
            "ValidationError",
            f"1 validation error detected: Value '{session}' at 'sessionId' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_SESSION_PATTERN}",
        )


def _holder(
    groups: Mapping[str, list[ContainerProcess]], session: str
) -> tuple[str, ContainerProcess] | None:
    """Variant and container of a session; None if no container has opened it, which one will then say."""
    for variant, containers in groups.items():
        for container in containers:
            if session in container.sessions:
                return variant, container
    return None


def _follow_session(
    container: ContainerProcess,
    response: http.client.HTTPResponse,
    session: str | None,
    headers: dict[str, str],
) -> None:
    """Pass on what a container says of its sessions, and keep which of them it holds.

    A container of LMI names a new session in the header of ``SessionId``, others in that of ``NewSessionId``.
    """
    granted = response.getheader("X-Amzn-SageMaker-New-Session-Id") or response.getheader(_SESSION)
    if session == _NEW_SESSION and granted:
        headers["X-Amzn-SageMaker-New-Session-Id"] = granted
        container.sessions.add(granted.partition(";")[0])
    if closed := response.getheader("X-Amzn-SageMaker-Closed-Session-Id"):
        headers["X-Amzn-SageMaker-Closed-Session-Id"] = closed
        container.sessions.discard(closed)


def _running_resource(context: Context, endpoint: EndpointResource, component: str | None) -> RunningResource:
    if component is None:
        return endpoint
    resource = context.region.components.get(component)
    if resource is None or resource.spec["EndpointName"] != endpoint.name or resource.status != "InService":
        raise ApiError("ValidationError", f"Inference Component {component} not found or not in service.")
    return resource


def _draw_variant(endpoint: EndpointResource, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    variants = endpoint.config["ProductionVariants"]
    weights = {v["VariantName"]: v.get("InitialVariantWeight", 1.0) for v in variants}
    return random.choices(names, [weights[name] for name in names])[0]  # noqa: S311 - not secret


def _container_headers(request: HttpRequest) -> dict[str, str]:
    """Headers for the container: SageMaker drops the client's, except those of its API."""
    content_type = request.headers.get("content-type", "application/octet-stream")
    headers = {"Content-Type": content_type}
    accept = request.headers.get(f"{_HEADER_PREFIX}accept") or request.headers.get("accept")
    if accept:
        headers["Accept"] = accept
    for name in _FORWARDED_HEADERS:
        if value := request.headers.get(_HEADER_PREFIX + name):
            headers[f"X-Amzn-SageMaker-{name.title()}"] = value
    return headers


def _response_headers(target: _Target, response: http.client.HTTPResponse, operation: str) -> dict[str, str]:
    content_type = response.getheader("Content-Type") or "application/octet-stream"
    headers = {
        "x-amzn-RequestId": str(uuid.uuid4()),
        "x-Amzn-Invoked-Production-Variant": target.variant,
        "Content-Type": content_type,
    }
    if operation == "InvokeEndpointWithResponseStream":
        headers["Content-Type"] = "application/vnd.amazon.eventstream"
        headers["X-Amzn-SageMaker-Content-Type"] = content_type
    if attributes := response.getheader("X-Amzn-SageMaker-Custom-Attributes"):
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return headers


def _broken_error(context: Context, target: _Target, broken: ContainerBrokenError) -> ApiError:
    if broken.timed_out:
        return _model_error(context, target, 0, _TIMED_OUT)
    if broken.refused:
        message = "The request has failed due to a temporary failure of the server."
        return ApiError("ServiceUnavailable", message, 503)
    return _model_error(context, target, 0, _BROKEN)


def _model_error(context: Context, target: _Target, status: int, text: str) -> ApiError:
    region = context.region.name
    kind = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{target.endpoint.name}"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    return ApiError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{text}". '
        f"See {console}#logEventViewer:group={group} in account {ACCOUNT_ID} for more information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=text,
        LogStreamArn=f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}",
    )


def _frame_stream(context: Context, exchange: Exchange, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The container's bytes as frames; an error becomes an exception inside the stream."""
    splitter = eventstream.Splitter(context.settings.coalesce, context.settings.pieces)
    fault = context.fault if context.fault and context.fault.fault in STREAM_FAULTS else None
    end = _encode_stream_fault(fault) if fault else b""
    try:
        for chunk in itertools.islice(chunks, fault.parts if fault else None):
            yield _frames(splitter.split(chunk))
    except ContainerBrokenError as broken:
        code = "ModelInvocationTimeExceeded" if broken.timed_out else "StreamBroken"
        message = _TIMED_OUT if broken.timed_out else _BROKEN
        end = eventstream.encode_exception("ModelStreamError", Message=message, ErrorCode=code)
    exchange.record.broken = bool(end)
    yield _frames(splitter.flush())
    yield end


def _frames(parts: list[bytes]) -> bytes:
    return b"".join(map(eventstream.encode_payload_part, parts))


def _encode_stream_fault(fault: Fault) -> bytes:
    if fault.fault == "stream_error":
        message = fault.message or "The model broke the stream."
        return eventstream.encode_exception("ModelStreamError", Message=message, ErrorCode="StreamBroken")
    return eventstream.encode_exception("InternalStreamFailure", Message=fault.message or "Internal failure.")


class _StreamedBody:
    """A streamed response; it closes its exchange at its end, or when it is closed before it starts."""

    def __init__(self, exchange: Exchange, chunks: Iterator[bytes]) -> None:
        self._exchange = exchange
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except ContainerBrokenError:  # the OpenAI-compatible route has no frame for errors
            self._exchange.record.broken = True
            raise cut_connection(self._exchange.request.connection) from None
        finally:
            self.close()

    def close(self) -> None:
        """Disconnect from the container; the server calls this however the response ends."""
        self._exchange.record.mark_answered()
        self._exchange.record.finish(200)
        self._exchange.close()
