"""A real container: SmolLM2 under llama.cpp's own server, with the interface of AWS's llama.cpp image.

``GET /ping`` is forwarded to ``/health``, ``POST /invocations`` to ``/v1/chat/completions``, or to
``/v1/completions`` if the body has a ``prompt``. ``SM_LLAMA_CPP_FOO_BAR=value`` is llama.cpp's ``--foo-bar``
for the options in `llama_options`. The container serves the first ``*.gguf`` of ``SM_MODEL_DIR`` or the model
of `emulator.model`.
"""

from common.gevent_patching import patch_all

patch_all()

import contextlib  # noqa: E402 - everything else comes after the patching
import http.client  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Generator, Mapping  # noqa: E402
from typing import Any  # noqa: E402
from urllib.parse import urlsplit  # noqa: E402

from emulator.containers.contract import run_container  # noqa: E402
from emulator.containers.llama_options import find_model, parameters  # noqa: E402
from emulator.exchange import read_chunks  # noqa: E402
from emulator.http import DisconnectWatcher, HttpRequest, HttpResponse, cut_connection, json_response  # noqa: E402

_MAX_THREADS = 8
"""A model this small gains nothing from more."""


class Gateway:
    """Forwards SageMaker's routes to llama.cpp's."""

    def __init__(self, server: Any) -> None:
        self._server = server  # it ends with the last reference to it
        parts = urlsplit(server.listening_address)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve one request."""
        if request.method == "GET" and request.path == "/ping":
            return self._forward(request, "/health", b"")
        if request.method != "POST" or request.path != "/invocations":
            return json_response(404, {"error": f"no {request.method} {request.path}"})
        try:
            content = json.loads(request.body)
        except (ValueError, UnicodeDecodeError):
            return json_response(400, {"error": "the body is not JSON"})
        completion = isinstance(content, dict) and "prompt" in content and "messages" not in content
        path = "/v1/completions" if completion else "/v1/chat/completions"
        return self._forward(request, path, request.body)

    def _forward(self, request: HttpRequest, path: str, body: bytes) -> HttpResponse:
        upstream = http.client.HTTPConnection(*self._address)
        watcher = DisconnectWatcher(request.connection, lambda: _cut_upstream(upstream))
        try:
            upstream.request(request.method, path, body or None, {"Content-Type": "application/json"})
            response = upstream.getresponse()
        except (OSError, http.client.HTTPException):
            watcher.stop()
            upstream.close()
            raise cut_connection(request.connection) from None
        headers = {"Content-Type": response.getheader("Content-Type") or "application/json"}
        return HttpResponse(response.status, headers, _relay(request, upstream, response, watcher))


def _relay(
    request: HttpRequest,
    upstream: http.client.HTTPConnection,
    response: http.client.HTTPResponse,
    watcher: DisconnectWatcher,
) -> Generator[bytes, None, None]:
    try:
        yield from read_chunks(response)
    except (OSError, http.client.HTTPException):
        raise cut_connection(request.connection) from None
    finally:
        watcher.stop()
        upstream.close()


def _cut_upstream(upstream: http.client.HTTPConnection) -> None:
    if upstream.sock is not None:
        with contextlib.suppress(OSError):  # llama.cpp has already closed it
            upstream.sock.shutdown(socket.SHUT_RDWR)


def start_server(fields: Mapping[str, Any]) -> Any:
    """Load the model into llama.cpp's server, which listens when this returns.

    Args:
        fields: llama.cpp's parameters by dotted name, from `parameters`.
    """
    # With OpenMP's busy waiting, decoding collapses once another process wants a core. It reads these once.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["GOMP_SPINCOUNT"] = "0"
    import xllamacpp  # noqa: PLC0415 - after the variables above

    params = xllamacpp.CommonParams()
    for dotted, value in fields.items():
        *path, name = dotted.split(".")
        holder = params
        for part in path:
            holder = getattr(holder, part)
        setattr(holder, name, value)
    return xllamacpp.Server(params)


def make_gateway() -> Gateway:
    """The gateway to a new llama.cpp server.

    Raises:
        UserError: a variable is invalid.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, _MAX_THREADS)
    return Gateway(start_server(parameters(os.environ, find_model(os.environ), threads)))


if __name__ == "__main__":
    sys.exit(run_container(make_gateway, "llama container"))
