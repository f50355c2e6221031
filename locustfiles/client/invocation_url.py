"""URL and headers of the invocations, resolved once on the master by botocore's own rules."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.httpsession import where  # certifi's file, or botocore's own copy

from common.errors import UserError
from configs.experiment import Experiment
from configs.workload import Route
from locustfiles.client.address import Address

SERVICE = "sagemaker"
_STREAM_ACCEPT = "X-Amzn-SageMaker-Accept"
"""The header of ``Accept`` for a streamed invocation."""
_STREAMED = "-response-stream"


@dataclass(frozen=True, slots=True)
class InvocationTarget:
    """One URL of the runtime, with the headers of every invocation. Holds no secret."""

    scheme: str
    host: str
    port: int
    path: str
    headers: dict[str, str]
    region: str
    bearer: bool
    """Whether the route uses a bearer token instead of a signature."""
    event_stream: bool
    """Whether a streamed answer comes in event-stream frames; otherwise it is the container's own bytes."""
    text: bool = True
    """Whether an answer is text. Answers to raw bodies and embeddings may be anything."""

    @property
    def address(self) -> Address:
        """Host and port to connect to."""
        return Address(self.host, self.port, tls=self.scheme == "https")

    @property
    def host_header(self) -> str:
        """The Host header: with the port unless it is the scheme's default."""
        usual = 443 if self.scheme == "https" else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"

    def as_message(self) -> dict[str, Any]:
        """Plain values to send to workers."""
        return asdict(self)


def resolve_target(experiment: Experiment) -> InvocationTarget:
    """The target of an experiment.

    Raises:
        UserError: the region or a configured URL is not valid.
    """
    return invocation_target(
        experiment.endpoint_name,
        region=experiment.region,
        stream=experiment.stream,
        route=experiment.route,
        component=experiment.component,
        headers=experiment.headers,
        text=experiment.request_schema not in ("raw", "embeddings"),
    )


def invocation_target(
    endpoint: str,
    *,
    region: str,
    stream: bool,
    route: Route,
    component: str | None,
    headers: Mapping[str, str],
    text: bool,
    content_type: str = "application/json",
    accept: str = "application/json",
    runtime: str | None = None,
) -> InvocationTarget:
    """Resolve the runtime's URL like botocore: region, partition, FIPS, ``AWS_ENDPOINT_URL*``, config files.

    Args:
        endpoint: its name.
        region: of the endpoint.
        stream: whether to request a stream.
        route: of the runtime.
        component: the inference component; None: the endpoint has none.
        headers: further members of InvokeEndpoint that are sent as headers, such as ``CustomAttributes``.
        text: whether an answer is text in a known format.
        content_type: of the request's body.
        accept: the content type that is asked of the answer.
        runtime: the result of `runtime_url` where it is known: it takes a tenth of a second.

    Raises:
        UserError: the region or a configured URL is not valid, or a header is not one of the API's.
    """
    url = urlsplit(runtime or runtime_url(region))
    base = f"{url.path.rstrip('/')}/endpoints/{endpoint}"
    sent = {"Content-Type": content_type}
    if route == "openai":
        path = f"{base}{f'/inference-components/{component}' if component else ''}/openai/v1/chat/completions"
        sent["Accept"] = "text/event-stream" if stream else "application/json"
    else:
        path = f"{base}/invocations{_STREAMED if stream else ''}"
        sent[_STREAM_ACCEPT if stream else "Accept"] = accept
        if component:
            sent["X-Amzn-SageMaker-Inference-Component"] = component
    members = header_members(stream=stream)
    if unknown := headers.keys() - members.keys():
        raise UserError(
            f"InvokeEndpoint has no header {min(unknown)}", f"it has {', '.join(sorted(members))}"
        )
    sent |= {members[name].header: value for name, value in headers.items()}
    return InvocationTarget(
        scheme=url.scheme,
        host=url.hostname or "",
        port=url.port or (443 if url.scheme == "https" else 80),
        path=path,
        headers=sent,
        region=region,
        bearer=route == "openai",
        text=text,
        event_stream=stream and route == "invocations",
    )


def without_stream(target: InvocationTarget) -> InvocationTarget:
    """The same endpoint by InvokeEndpoint, with an answer that may be anything."""
    headers = {"Accept" if name == _STREAM_ACCEPT else name: value for name, value in target.headers.items()}
    path = target.path.removesuffix(_STREAMED)
    return replace(target, path=path, headers=headers, event_stream=False, text=False)


@dataclass(frozen=True, slots=True)
class HeaderMember:
    """An input member of the runtime API that is sent as a header, with the limits of its value."""

    header: str
    shortest: int
    longest: int
    pattern: str


@cache
def header_members(*, stream: bool) -> dict[str, HeaderMember]:
    """Members of InvokeEndpoint, or of its streaming variant, that are sent as headers (botocore's model)."""
    model: Any = botocore.session.Session().get_service_model("sagemaker-runtime")
    operation = "InvokeEndpointWithResponseStream" if stream else "InvokeEndpoint"
    return {
        name: HeaderMember(
            shape.serialization["name"],
            shape.metadata.get("min", 0),
            shape.metadata.get("max", 1024),
            shape.metadata.get("pattern", ""),
        )
        for name, shape in model.operation_model(operation).input_shape.members.items()
        if shape.serialization.get("location") == "header"
    }


def check_target(target: InvocationTarget) -> None:
    """Check that this host's own AWS calls would go to the same target, because it gets signed requests.

    Their URL follows from the region by botocore's rules, or from this host's own ``AWS_ENDPOINT_URL*`` and
    configuration, which may name any URL.

    Raises:
        UserError: the master sends requests somewhere else.
    """
    local = urlsplit(runtime_url(target.region))
    here = (local.scheme, local.hostname, local.port or (443 if local.scheme == "https" else 80))
    base = f"{local.path.rstrip('/')}/endpoints/"
    if (target.scheme, target.host, target.port) != here or not target.path.startswith(base):
        url = f"{target.scheme}://{target.host_header}"
        raise UserError(
            f"the master sends requests to {url}, but this host's SageMaker runtime for {target.region} is "
            f"{local.scheme}://{local.netloc}",
            "if the master is right, set AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME on this host too",
        )


def runtime_url(region: str) -> str:
    """Base URL of ``sagemaker-runtime`` in ``region``.

    A presigned URL runs botocore's whole endpoint resolution without sending anything.

    Raises:
        UserError: the region or a configured URL is not valid.
    """
    try:
        client: Any = botocore.session.Session().create_client(
            "sagemaker-runtime",
            region_name=region,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",  # noqa: S106 - nothing is sent, and nothing is secret
            config=Config(signature_version="v4"),
        )
        url = client.generate_presigned_url("invoke_endpoint", {"EndpointName": "x", "Body": b""})
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"the SageMaker runtime has no URL for region {region!r} ({error})") from None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/endpoints/x/invocations')}"


def ca_bundle() -> str:
    """The CA file that botocore would use: AWS_CA_BUNDLE or ``ca_bundle``, REQUESTS_CA_BUNDLE, certifi."""
    session = botocore.session.Session()
    configured = session.get_config_variable("ca_bundle")
    if isinstance(configured, str) and configured:
        return configured
    return os.environ.get("REQUESTS_CA_BUNDLE") or str(where())
