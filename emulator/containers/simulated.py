"""The simulated container: the hosting contract in front of `engine`, in the schema of the image's family.

Environment: ``SIMULATED_PROFILE`` (a name under ``profiles/`` or a path), ``SIMULATED_<KEY>`` for single
numbers of it, ``SIMULATED_FAMILY`` (tgi, lmi, openai), ``SIMULATED_LOG`` (a file that gets one JSON line of
true times per request), ``SIMULATED_FAULT``, and ``SIMULATED_TOKENIZER``: a ``tokenizer.json`` that counts
prompts, or ``words``. Without it, that of `emulator.model` counts where it is prepared, else words do.

A fault is ``KIND`` or ``KIND:N``; a request may ask for one itself by the custom attribute
``simulate=KIND:N``: ``status:503`` answers that status, ``in_band:3`` fails inside HTTP 200 after 3 tokens,
``break:3`` cuts the connection after 3, ``stall:3`` sends 3 and then nothing, ``empty`` answers no token,
``html`` answers a page.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - everything else comes after the patching
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Generator, Iterator  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from common.errors import UserError  # noqa: E402
from common.parent_process import tie_to_parent  # noqa: E402
from common.paths import models_folder  # noqa: E402
from common.streams import survive_lost_streams  # noqa: E402
from emulator.containers import schemas  # noqa: E402
from emulator.containers.engine import Engine, Generation, QueueFullError  # noqa: E402
from emulator.containers.profile import Profile, choose_profile  # noqa: E402
from emulator.containers.schemas import FAMILIES, Answer, Family  # noqa: E402
from emulator.containers.wording import answer_length, token_counter, token_text  # noqa: E402
from emulator.http import Request, Response, Watcher, cut, json_response, make_server  # noqa: E402
from emulator.model import TOKENIZER  # noqa: E402

_GONE = -1  # put into a generation's queue when its client has left
_FOREVER = 24 * 3600.0


@dataclass
class _Job:
    """One request on its way: what was asked, what goes wrong, what was truly sent when."""

    request: Request
    received_at: float
    fault: str
    fault_at: int
    answer: Answer
    generation: Generation
    sent: list[float] = field(default_factory=list)


class Container:
    """Answers ``/ping``, ``/invocations`` and, for who wants to look inside, ``/load``."""

    def __init__(self, profile: Profile, family: Family) -> None:
        self._profile = profile
        self._family = family
        self._engine = Engine(profile)
        self._ready_at = time.monotonic() + profile.boot_seconds
        self._count = token_counter(_tokenizer())
        self._fault = os.environ.get("SIMULATED_FAULT", "")
        self._log = os.environ.get("SIMULATED_LOG")

    def __call__(self, request: Request) -> Response:
        """Serve one request."""
        received_at = time.time()
        if (request.method, request.path) == ("GET", "/ping"):
            return Response(200 if time.monotonic() >= self._ready_at else 503, {})
        if (request.method, request.path) == ("GET", "/load"):
            running, waiting = self._engine.load
            return json_response(200, {"running": running, "waiting": waiting})
        if (request.method, request.path) == ("POST", "/invocations"):
            return self._invoke(request, received_at)
        return json_response(404, {"error": f"no {request.method} {request.path}"})

    def _invoke(self, request: Request, received_at: float) -> Response:
        kind, number = _read_fault(request, self._fault)
        if kind == "status":
            return json_response(number, {"error": f"simulated status {number}", "code": number})
        if kind == "html":
            return Response(200, {"Content-Type": "text/html"}, b"<html><body>Bad gateway</body></html>")
        try:
            answer, generation = self._admit(request.body)
        except schemas.UnreadableError as error:
            return json_response(422 if self._family == "tgi" else 400, {"error": str(error), "code": 400})
        except QueueFullError:
            status = self._profile.queue_full_status
            return json_response(status, {"error": "Model is overloaded", "error_type": "overloaded"})
        return self._answer(_Job(request, received_at, kind, number, answer, generation))

    def _admit(self, body: bytes) -> tuple[Answer, Generation]:
        """Read a request and queue it.

        Raises:
            UnreadableError: not understood, or longer than the context.
            QueueFullError: too many are waiting.
        """
        asked = schemas.read_request(body, self._family)
        prompt_tokens = self._count(asked.prompt)
        room = self._profile.context_tokens - prompt_tokens
        if room < 1 or (asked.limit or 0) > room:
            raise schemas.UnreadableError(
                f"{prompt_tokens} prompt tokens and {asked.limit or 1} new ones exceed the context of "
                f"{self._profile.context_tokens}"
            )
        answer = Answer(asked, prompt_tokens, identity=uuid.uuid4().hex)
        length, cut_short = answer_length(
            self._profile, asked.prompt, asked.limit or room, asked.minimum, ignore_eos=asked.ignore_eos
        )
        answer.finish = "length" if cut_short else "stop"
        generation = Generation(prompt_tokens, length)
        self._engine.submit(generation)
        return answer, generation

    def _answer(self, job: _Job) -> Response:
        pieces = self._stream(job)
        content_type = schemas.content_type(job.answer.asked)
        if job.answer.asked.stream:
            return Response(200, {"Content-Type": content_type}, pieces)
        for _ in pieces:
            pass  # an answer that is not streamed waits for its last token
        return Response(200, {"Content-Type": content_type}, schemas.whole(job.answer))

    def _stream(self, job: _Job) -> Generator[bytes, None, None]:
        """Yield each token's bytes when the engine has it; log what truly happened, whatever happened."""
        watcher = Watcher(job.request.connection, lambda: job.generation.ready.put(_GONE))
        try:
            yield from self._tokens(job)
        except (OSError, GeneratorExit):
            if job.fault != "break":
                job.answer.finish = "cancelled"
            raise
        finally:
            watcher.stop()
            self._engine.cancel(job.generation)
            if self._log:
                _write_log(Path(self._log), job)

    def _tokens(self, job: _Job) -> Iterator[bytes]:
        answer = job.answer
        if job.fault == "empty":
            answer.finish = "empty"
            yield schemas.closing(answer) or b"\n"
            return
        last = job.generation.answer_tokens
        for number in range(last):
            if job.fault in _GO_WRONG and number >= job.fault_at:
                answer.finish = job.fault
                yield _GO_WRONG[job.fault](job)
                return
            if job.generation.ready.get() == _GONE:
                raise cut(job.request.connection)
            token_id, text = token_text(answer.asked.prompt, number, self._profile.seed)
            answer.texts.append(text)
            chunk = schemas.token_chunk(answer, token_id, text, last=number == last - 1)
            if number == 0:
                chunk = schemas.opening(answer) + chunk
            job.sent.append(time.time())
            yield chunk
        yield schemas.closing(answer)


def _break(job: _Job) -> bytes:
    raise cut(job.request.connection)


def _stall(job: _Job) -> bytes:
    while job.generation.ready.get(timeout=_FOREVER) != _GONE:
        pass  # tokens are made and kept
    raise cut(job.request.connection)


_GO_WRONG = {"in_band": lambda job: schemas.in_band_error(job.answer), "break": _break, "stall": _stall}
"""Faults that come after a number of tokens."""


def _write_log(path: Path, job: _Job) -> None:
    generation, answer = job.generation, job.answer
    row = {
        "id": answer.identity,
        "inference_id": job.request.headers.get("x-amzn-sagemaker-inference-id"),
        "custom_attributes": job.request.headers.get("x-amzn-sagemaker-custom-attributes"),
        "schema": answer.asked.kind,
        "stream": answer.asked.stream,
        "received_at": job.received_at,
        "queued_at": generation.queued_at,
        "admitted_at": generation.admitted_at,
        "batch_at_admission": generation.batch_at_admission,
        "first_sent_at": job.sent[0] if job.sent else None,
        "last_sent_at": job.sent[-1] if job.sent else None,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": len(answer.texts),
        "finish": answer.finish,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _read_fault(request: Request, standing: str) -> tuple[str, int]:
    attributes = request.headers.get("x-amzn-sagemaker-custom-attributes", "")
    for part in attributes.split(","):
        name, _, value = part.strip().partition("=")
        if name == "simulate":
            standing = value
    kind, _, number = standing.partition(":")
    return kind, int(number) if number.isdigit() else 0


def _tokenizer() -> Path | None:
    named = os.environ.get("SIMULATED_TOKENIZER")
    if named == "words":
        return None
    prepared = models_folder() / TOKENIZER
    if named:
        if not Path(named).exists():
            raise UserError(f"SIMULATED_TOKENIZER: there is no {named}")
        return Path(named)
    return prepared if prepared.exists() else None


def _family(image: str) -> Family:
    named = os.environ.get("SIMULATED_FAMILY") or schemas.family_of(image)
    for family in FAMILIES:
        if family == named:
            return family
    raise UserError(f"SIMULATED_FAMILY is {named}: choose {', '.join(FAMILIES)}")


def main() -> int:
    """Serve until SIGTERM or the parent's death."""
    tie_to_parent(signal.SIGKILL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="")
    parser.add_argument("--instance-type", default="")
    options = parser.parse_args()
    profile = choose_profile(options.instance_type, options.image)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = make_server(Container(profile, _family(options.image)), "127.0.0.1", port)
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    survive_lost_streams()
    try:
        sys.exit(main())
    except UserError as mistake:
        sys.exit(f"simulated container: {mistake}")
