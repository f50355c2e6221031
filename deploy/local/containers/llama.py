"""The real container: SmolLM2 under llama.cpp's own server, on the contract of AWS's llama.cpp image.

``GET /ping`` → ``/health``, ``POST /invocations`` → ``/v1/chat/completions``, or ``/v1/completions`` for a
body with a ``prompt``. Environment: ``SM_LLAMA_CPP_FOO_BAR=value`` is llama.cpp's ``--foo-bar value``, as far
as `OPTIONS` has it; the first ``*.gguf`` of ``SM_MODEL_DIR`` is served, or the model of `deploy.local.model`.
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
from collections.abc import Callable, Iterator, Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402
from urllib.parse import urlsplit  # noqa: E402

import gevent  # noqa: E402

from configs.errors import UserError  # noqa: E402
from deploy.local.http import Request, Response, Watcher, cut, json_response, make_server  # noqa: E402
from deploy.local.model import ensure_model  # noqa: E402
from deploy.local.tether import tie_to_parent  # noqa: E402

PREFIX = "SM_LLAMA_CPP_"
CONTEXT_PER_SLOT = 2560
DEFAULT_SLOTS = 8
_CHUNK = 65_536
_IGNORED = ("HOST", "PORT", "MODEL", "JINJA", "CONT_BATCHING", "METRICS")
"""Options of the image that are settled here."""


def _flag(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "off", "no")


OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "PARALLEL": ("n_parallel", int),
    "CTX_SIZE": ("n_ctx", int),
    "BATCH_SIZE": ("n_batch", int),
    "UBATCH_SIZE": ("n_ubatch", int),
    "N_PREDICT": ("n_predict", int),
    "THREADS": ("cpuparams.n_threads", int),
    "THREADS_BATCH": ("cpuparams_batch.n_threads", int),
    "CACHE_RAM": ("cache_ram_mib", int),
    "CACHE_PROMPT": ("cache_prompt", _flag),
    "CACHE_REUSE": ("n_cache_reuse", int),
    "ALIAS": ("model_alias", lambda text: {text}),
    "CHAT_TEMPLATE": ("chat_template", str),
    "VERBOSITY": ("verbosity", int),
}
"""Option of llama.cpp → field of its parameters."""


def parameters(environment: Mapping[str, str], model: Path, cores: int) -> dict[str, Any]:
    """Fields of llama.cpp's parameters by dotted name.

    The prompt cache is off, so that a repeated prompt is prefilled like any other.

    Raises:
        UserError: an option that is not known here, or whose value cannot be read.
    """
    fields: dict[str, Any] = {
        "model.path": str(model),
        "model_alias": {model.stem},
        "hostnames": ["127.0.0.1"],
        "port": 0,
        "n_parallel": DEFAULT_SLOTS,
        "cpuparams.n_threads": cores,
        "cpuparams_batch.n_threads": cores,
        "cont_batching": True,
        "use_jinja": True,
        "cache_ram_mib": 0,
        "cache_prompt": False,
        "endpoint_metrics": True,
        "endpoint_slots": True,
        "verbosity": 1,
        "n_threads_http": 64,
    }
    for name, text in environment.items():
        option = name.removeprefix(PREFIX)
        if option == name or option in _IGNORED:
            continue
        if option not in OPTIONS:
            raise UserError(f"{name} is no option here; there are {', '.join(PREFIX + o for o in OPTIONS)}")
        field, read = OPTIONS[option]
        try:
            fields[field] = read(text)
        except ValueError:
            raise UserError(f"{name}={text} cannot be read as {read.__name__}") from None
    fields.setdefault("n_ctx", CONTEXT_PER_SLOT * fields["n_parallel"])
    return fields


def find_model(environment: Mapping[str, str]) -> Path:
    """The first ``*.gguf`` of the model directory, or the model of this project."""
    folder = environment.get("SM_MODEL_DIR")
    found = sorted(Path(folder).glob("*.gguf")) if folder else []
    return found[0] if found else ensure_model()


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
) -> Iterator[bytes]:
    try:
        while chunk := answer.read1(_CHUNK):
            yield chunk
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
    llama = start_server(parameters(os.environ, find_model(os.environ), cores))
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = make_server(Front(llama.listening_address), "127.0.0.1", port)
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as mistake:
        sys.exit(f"llama container: {mistake}")
