"""The real container: SmolLM2 under llama.cpp's own server, on the contract of AWS's llama.cpp image.

``GET /ping`` → ``/health``, ``POST /invocations`` → ``/v1/chat/completions``, or ``/v1/completions`` for a
body with a ``prompt``. Environment: ``SM_LLAMA_CPP_FOO_BAR=value`` is llama.cpp's ``--foo-bar value``, as far
as `llama_options` has it; the first ``*.gguf`` of ``SM_MODEL_DIR`` is served, or the model of
`emulator.model`.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - everything else comes after the patching
import contextlib  # noqa: E402
import http.client  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Generator, Mapping  # noqa: E402
from typing import Any  # noqa: E402
from urllib.parse import urlsplit  # noqa: E402

import gevent  # noqa: E402

from common.errors import UserError  # noqa: E402
from common.parent_process import tie_to_parent  # noqa: E402
from common.streams import survive_lost_streams  # noqa: E402
from emulator.containers.llama_options import find_model, parameters  # noqa: E402
from emulator.exchange import chunks  # noqa: E402
from emulator.http import Request, Response, Watcher, cut, json_response, make_server  # noqa: E402

_MOST_THREADS = 8  # a model this small gains nothing from more


class Front:
    """SageMaker's routes in front of llama.cpp's."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)

    def __call__(self, request: Request) -> Response:
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

    def _forward(self, request: Request, path: str, body: bytes) -> Response:
        upstream = http.client.HTTPConnection(*self._address)
        watcher = Watcher(request.connection, lambda: _hang_up(upstream))
        try:
            upstream.request(request.method, path, body or None, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
        except (OSError, http.client.HTTPException):
            watcher.stop()
            upstream.close()
            raise cut(request.connection) from None
        headers = {"Content-Type": answer.getheader("Content-Type") or "application/json"}
        return Response(answer.status, headers, _relay(request, upstream, answer, watcher))


def _relay(
    request: Request,
    upstream: http.client.HTTPConnection,
    answer: http.client.HTTPResponse,
    watcher: Watcher,
) -> Generator[bytes, None, None]:
    try:
        yield from chunks(answer)
    except (OSError, http.client.HTTPException):
        raise cut(request.connection) from None
    finally:
        watcher.stop()
        upstream.close()


def _hang_up(upstream: http.client.HTTPConnection) -> None:
    if upstream.sock is not None:
        with contextlib.suppress(OSError):  # llama.cpp was faster
            upstream.sock.shutdown(socket.SHUT_RDWR)


def start_server(fields: Mapping[str, Any]) -> Any:
    """Load the model into llama.cpp's server, which listens when this returns."""
    # OpenMP's busy wait makes decoding collapse as soon as anything else wants a core; it reads these once.
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


def main() -> int:
    """Serve until SIGTERM or the parent's death."""
    tie_to_parent(signal.SIGKILL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="")
    parser.add_argument("--instance-type", default="")
    parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, _MOST_THREADS)
    llama = start_server(parameters(os.environ, find_model(os.environ), cores))
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = make_server(Front(llama.listening_address), "127.0.0.1", port)
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    survive_lost_streams()
    try:
        sys.exit(main())
    except UserError as mistake:
        sys.exit(f"llama container: {mistake}")
