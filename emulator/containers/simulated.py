"""The simulated container: SageMaker's hosting contract in front of `engine`, in the schema of the image.

`emulator.hosting` describes it in the variable ``SIMULATION`` (`Simulation` as JSON).

A fault is ``KIND`` or ``KIND:N``. A request can ask for one itself with the custom attribute
``simulate=KIND:N``:

- ``status:503`` responds with that status.
- ``in_band:3`` fails inside HTTP 200 after 3 tokens.
- ``break:3`` cuts the connection after 3 tokens.
- ``stall:3`` sends 3 tokens and then nothing.
- ``empty`` responds without any token.
- ``html`` responds with an HTML page.
"""

from common.gevent_patching import patch_all

patch_all()

import json  # noqa: E402 - everything else comes after the patching
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Generator, Iterator  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

from common.errors import UserError  # noqa: E402
from emulator.containers import schemas  # noqa: E402
from emulator.containers.contract import run_container  # noqa: E402
from emulator.containers.engine import Engine, Generation, QueueFullError  # noqa: E402
from emulator.containers.prefix_cache import PrefixCache  # noqa: E402
from emulator.containers.profile import SIMULATION_VARIABLE, Simulation, simulation_from_json  # noqa: E402
from emulator.containers.schemas import Completion  # noqa: E402
from emulator.containers.sessions import SessionStore  # noqa: E402
from emulator.containers.synthetic_text import draw_answer_length, draw_token, make_token_counter  # noqa: E402
from emulator.http import DisconnectWatcher, HttpRequest, HttpResponse, cut_connection, json_response  # noqa: E402

_GONE = -1
"""Put into a generation's queue when its client has left."""
_FOREVER_S = 24 * 3600.0


@dataclass
class _Job:
    """One request: what was asked for, which fault it has, and when each token was sent (epoch seconds)."""

    request: HttpRequest
    received_at: float
    fault: str
    fault_number: int
    completion: Completion
    generation: Generation
    sent: list[float] = field(default_factory=list)


class SimulatedContainer:
    """Serves ``/ping`` and ``/invocations``, and ``/load`` for tests that look inside."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._profile = simulation.profile
        self._schema = simulation.schema
        self._engine = Engine(self._profile)
        self._ready_at = time.monotonic() + self._profile.boot_seconds
        self._count = make_token_counter(simulation.tokenizer)
        self._sessions = SessionStore(simulation)
        self._cache = PrefixCache(self._profile.kv_tokens) if self._profile.prefix_cache else None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve one request."""
        received_at = time.time()
        if (request.method, request.path) == ("GET", "/ping"):
            return HttpResponse(200 if time.monotonic() >= self._ready_at else 503, {})
        if (request.method, request.path) == ("GET", "/load"):
            running, waiting = self._engine.load
            return json_response(200, {"running": running, "waiting": waiting})
        if (request.method, request.path) == ("POST", "/invocations"):
            return self._invoke(request, received_at)
        return json_response(404, {"error": f"no {request.method} {request.path}"})

    def _invoke(self, request: HttpRequest, received_at: float) -> HttpResponse:
        fault, number = _read_fault(request, self._simulation.fault)
        if fault == "status":
            return json_response(number, {"error": f"simulated status {number}", "code": number})
        if fault == "html":
            return HttpResponse(200, {"Content-Type": "text/html"}, b"<html><body>Bad gateway</body></html>")
        if (response := self._sessions.serve(request)) is not None:
            return response
        try:
            completion, generation = self._admit(request.body)
        except schemas.UnreadableError as error:
            return json_response(422 if self._schema == "tgi" else 400, {"error": str(error), "code": 400})
        except QueueFullError:
            status = self._profile.queue_full_status
            return json_response(status, {"error": "Model is overloaded", "error_type": "overloaded"})
        return self._respond(_Job(request, received_at, fault, number, completion, generation))

    def _admit(self, body: bytes) -> tuple[Completion, Generation]:
        """Read a request and queue it.

        Raises:
            UnreadableError: it is not understood, or exceeds the context.
            QueueFullError: too many requests are waiting.
        """
        request = schemas.read_request(body, self._schema)
        prompt_tokens = self._count(request.prompt)
        room = self._profile.context_tokens - prompt_tokens
        if room < 1 or (request.limit or 0) > room:
            raise schemas.UnreadableError(
                f"{prompt_tokens} prompt tokens and {request.limit or 1} new ones exceed the context of "
                f"{self._profile.context_tokens}"
            )
        completion = Completion(request, prompt_tokens, identity=uuid.uuid4().hex)
        length, cut_short = draw_answer_length(
            self._profile,
            request.prompt,
            request.limit or room,
            request.minimum,
            ignore_eos=request.ignore_eos,
        )
        completion.finish = "length" if cut_short else "stop"
        if self._cache is not None:
            completion.cached_tokens = self._cache.known_tokens(request.prompt, prompt_tokens)
        generation = Generation(prompt_tokens, length, completion.cached_tokens or 0)
        self._engine.submit(generation)
        return completion, generation

    def _respond(self, job: _Job) -> HttpResponse:
        pieces = self._stream(job)
        headers = {"Content-Type": schemas.content_type(job.completion.request)}
        if job.completion.request.stream:
            return HttpResponse(200, headers, pieces)
        for _ in pieces:
            pass  # an answer that is not streamed waits for its last token
        return HttpResponse(200, headers, schemas.encode_whole(job.completion))

    def _stream(self, job: _Job) -> Generator[bytes, None, None]:
        """Yield each token's bytes as soon as the engine has it; log the true times, however it ends."""
        watcher = DisconnectWatcher(job.request.connection, lambda: job.generation.ready.put(_GONE))
        try:
            yield from self._tokens(job)
        except (OSError, GeneratorExit):
            if job.fault != "break":
                job.completion.finish = "cancelled"
            raise
        finally:
            watcher.stop()
            self._engine.cancel(job.generation)
            if self._cache is not None:
                self._cache.add(f"{job.completion.request.prompt}\n{job.completion.text}")
            if self._simulation.log:
                _write_log(Path(self._simulation.log), job)

    def _tokens(self, job: _Job) -> Iterator[bytes]:
        completion = job.completion
        if job.fault == "empty":
            completion.finish = "empty"
            yield schemas.encode_closing(completion) or b"\n"
            return
        last = job.generation.answer_tokens
        for number in range(last):
            if job.fault in _MID_STREAM_FAULTS and number >= job.fault_number:
                completion.finish = job.fault
                yield _MID_STREAM_FAULTS[job.fault](job)
                return
            if job.generation.ready.get() == _GONE:
                raise cut_connection(job.request.connection)
            token_id, text = draw_token(completion.request.prompt, number, self._profile.seed)
            opening = schemas.encode_opening(completion) if number == 0 else b""
            completion.texts.append(text)
            chunk = schemas.encode_token(completion, token_id, text, last=number == last - 1)
            job.sent.append(time.time())
            yield opening + chunk
        yield schemas.encode_closing(completion)


def _break(job: _Job) -> bytes:
    raise cut_connection(job.request.connection)


def _stall(job: _Job) -> bytes:
    while job.generation.ready.get(timeout=_FOREVER_S) != _GONE:
        pass  # tokens are generated and not sent
    raise cut_connection(job.request.connection)


_MID_STREAM_FAULTS = {
    "in_band": lambda job: schemas.encode_in_band_error(job.completion),
    "break": _break,
    "stall": _stall,
}
"""Faults that come after a number of tokens."""


def _write_log(path: Path, job: _Job) -> None:
    generation, completion = job.generation, job.completion
    row = {
        "id": completion.identity,
        "instance": os.getpid(),
        "inference_id": job.request.headers.get("x-amzn-sagemaker-inference-id"),
        "session_id": job.request.headers.get("x-amzn-sagemaker-session-id"),
        "custom_attributes": job.request.headers.get("x-amzn-sagemaker-custom-attributes"),
        "schema": completion.request.kind,
        "stream": completion.request.stream,
        "received_at": job.received_at,
        "queued_at": generation.queued_at,
        "admitted_at": generation.admitted_at,
        "batch_at_admission": generation.batch_at_admission,
        "first_sent_at": job.sent[0] if job.sent else None,
        "last_sent_at": job.sent[-1] if job.sent else None,
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "completion_tokens": len(completion.texts),
        "finish": completion.finish,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _read_fault(request: HttpRequest, default: str) -> tuple[str, int]:
    """The kind of the fault that a request asks for, or else of ``default``, and its number."""
    fault = default
    attributes = request.headers.get("x-amzn-sagemaker-custom-attributes", "")
    for part in attributes.split(","):
        name, _, value = part.strip().partition("=")
        if name == "simulate":
            fault = value
    kind, _, number = fault.partition(":")
    return kind, int(number) if number.isdigit() else 0


def make_container() -> SimulatedContainer:
    """The container that the environment describes.

    Raises:
        UserError: the environment does not describe it.
    """
    text = os.environ.get(SIMULATION_VARIABLE)
    if text is None:
        raise UserError(f"{SIMULATION_VARIABLE} is not set", "create an endpoint on the emulator")
    return SimulatedContainer(simulation_from_json(text))


if __name__ == "__main__":
    sys.exit(run_container(make_container, "simulated container"))
