"""What the users of a process share to invoke one URL: credentials, signature, TLS, connections."""

import ssl
from collections.abc import Callable, Mapping
from functools import cache, partial

from configs.load import Timeouts
from locustfiles.client.address import proxy_for
from locustfiles.client.credentials import BearerToken, CredentialKeeper
from locustfiles.client.invocation import INFERENCE_ID, Invoker
from locustfiles.client.invocation_url import SERVICE, InvocationTarget, ca_bundle
from locustfiles.client.request_metrics import TokenCounter
from locustfiles.client.signing import RequestSigner
from locustfiles.client.transport import Connection, verifying_context
from locustfiles.worker.invoker_pool import InvokerPool


class Endpoint:
    """One URL of the runtime, as the users of a process invoke it.

    Args:
        target: URL and headers.
        keeper: the credentials of this process.
        timeouts: of every invocation.
        on_lag: see `Invoker`.
        count_tokens: see `Invoker`.
        keep_content: see `Invoker`.

    Raises:
        UserError: the proxy's URL is not supported.
        OSError: the CA bundle cannot be read.
    """

    def __init__(
        self,
        target: InvocationTarget,
        keeper: CredentialKeeper,
        *,
        timeouts: Timeouts,
        on_lag: Callable[[float], None],
        count_tokens: TokenCounter = lambda _: None,
        keep_content: bool = False,
    ) -> None:
        self.url = f"{target.scheme}://{target.host_header}{target.path}"
        self.proxy = proxy_for(target.address)
        self.takes_inference_ids = not target.bearer and INFERENCE_ID not in target.headers
        """Whether each request may have an ``InferenceId`` of its own."""
        self._keeper = keeper
        self._bearer = BearerToken(keeper, target.region) if target.bearer else None
        self._signer = signer_of(target)
        context = _verifying_context(ca_bundle()) if target.scheme == "https" else None
        self.invokers = InvokerPool(
            connect=partial(Connection, target.address, context, self.proxy),
            make=partial(
                Invoker,
                target,
                self._authorize,
                timeouts=timeouts,
                on_lag=on_lag,
                count_tokens=count_tokens,
                keep_content=keep_content,
            ),
        )
        """One for each user that invokes this URL."""

    def _authorize(self, body_sha256: str, now: float, own: Mapping[str, str]) -> list[tuple[str, str]]:
        if self._bearer is not None:
            return [*own.items(), ("Authorization", f"Bearer {self._bearer.value()}")]
        return self._signer.headers(body_sha256, self._keeper.keys, now, own)


def signer_of(target: InvocationTarget) -> RequestSigner:
    """Signs invocations of a target."""
    return RequestSigner(
        method="POST",
        host=target.host_header,
        path=target.path,
        headers=target.headers,
        region=target.region,
        service=SERVICE,
    )


@cache
def _verifying_context(bundle: str) -> ssl.SSLContext:
    return verifying_context(bundle)
