"""The simulated container: the hosting contract in front of `engine`, in the schema of the image's family.

Environment: ``SIMULATED_PROFILE`` (a name under ``profiles/`` or a path), ``SIMULATED_<KEY>`` for single numbers
of it, ``SIMULATED_FAMILY`` (tgi, lmi, openai), ``SIMULATED_TOKENIZER`` (a ``tokenizer.json`` that counts prompts),
``SIMULATED_LOG`` (a file that gets one JSON line of true times per request) and ``SIMULATED_FAULT``.

A fault is ``KIND`` or ``KIND:N``; a request may ask for one itself by the custom attribute ``simulate=KIND:N``:
``status:503`` answers that status, ``in_band:3`` fails inside HTTP 200 after 3 tokens, ``break:3`` cuts the
connection after 3, ``stall:3`` sends 3 and then nothing, ``empty`` answers no token, ``html`` answers a page.
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
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from configs.errors import UserError  # noqa: E402
from deploy.local.containers import schemas  # noqa: E402
from deploy.local.containers.engine import Engine, Generation, QueueFull  # noqa: E402
from deploy.local.containers.profile import Profile, choose_profile  # noqa: E402
from deploy.local.containers.schemas import Answer, Family  # noqa: E402
from deploy.local.containers.wording import answer_length, token_counter, token_text  # noqa: E402
from deploy.local.http import Request, Response, Watcher, cut, json_response, make_server  # noqa: E402
from deploy.local.tether import tie_to_parent  # noqa: E402

_GONE = -1  # put into a generation's queue when its client has left


class Container:
    """Answers ``/ping`` and ``/invocations``."""

    def __init__(self, profile: Profile, family: Family) -> None:
        self._profile = profile
        self._family = family
        self._engine = Engine(profile)
        self._ready_at = time.monotonic() + profile.boot_seconds
        tokenizer = os.environ.get("SIMULATED_TOKENIZER")
        self._count = token_counter(Path(tokenizer) if tokenizer else None)
        self._fault = os.environ.get("SIMULATED_FAULT", "")
        self._log = os.environ.get("SIMULATED_LOG")

    def __call__(self, request: Request) -> Response:
        """Serve one request."""
        received_at = time.time()
        if request.method == "GET" and request.path == "/ping":
            return Response(200 if time.monotonic() >= self._ready_at else 503, {})
        if request.method != "POST" or request.path != "/invocations":
            return json_response(404, {"error": f"no {request.method} {request.path}"})
        kind, number = _fault(request, self._fault)
        if kind == "status":
            return json_response(number, {"error": f"simulated status {number}", "code": number})
        if kind == "html":
            return Response(200, {"Content-Type": "text/html"}, b"<html><body>Bad gateway</body></html>")
        try:
            asked = schemas.read_request(request.body, self._family)
        except schemas.Unreadable as error:
            return json_response(422 if self._family == "tgi" else 400, {"error": str(error), "code": 400})
        prompt_tokens = self._count(asked.prompt)
        room = self._profile.context_tokens - prompt_tokens
        if room < 1 or (asked.limit or 0) > room:
            text = f"prompt of {prompt_tokens} tokens and {asked.limit} new exceed {self._profile.context_tokens}"
            return json_response(422 if self._family == "tgi" else 400, {"error": text, "code": 400})
        answer = Answer(asked, prompt_tokens, identity=uuid.uuid4().hex)
        return self._generate(request, answer, room, (kind, number), received_at)

    def _generate(
        self, request: Request, answer: Answer, room: int, fault: tuple[str, int], received_at: float
    ) -> Response:
        asked = answer.asked
        length, cut_short = answer_length(
            self._profile, asked.prompt, asked.limit or room, asked.minimum, ignore_eos=asked.ignore_eos
        )
        answer.finish = "length" if cut_short else "stop"
        generation = Generation(answer.prompt_tokens, length)
        try:
            self._engine.submit(generation)
        except QueueFull:
            status = self._profile.queue_full_status
            return json_response(status, {"error": "Model is overloaded", "error_type": "overloaded"})
        pieces = self._stream(request, answer, generation, fault, received_at)
        if asked.stream:
            return Response(200, {"Content-Type": schemas.content_type(asked)}, pieces)
        for _ in pieces:
            pass  # a whole answer waits for its last token
        return Response(200, {"Content-Type": "application/json"}, schemas.whole(answer))

    def _stream(
        self,
        request: Request,
        answer: Answer,
        generation: Generation,
        fault: tuple[str, int],
        received_at: float,
    ) -> Iterator[bytes]:
        """Yield each token's bytes when the engine has it; log what truly happened, whatever happened."""
        sent: list[float] = []
        watcher = Watcher(request.connection, lambda: generation.ready.put(_GONE))
        try:
            yield from self._tokens(request, answer, generation, fault, sent)
        finally:
            watcher.stop()
            self._engine.cancel(generation)
            if self._log:
                self._write_log(request, answer, generation, sent, received_at)

    def _tokens(
        self,
        request: Request,
        answer: Answer,
        generation: Generation,
        fault: tuple[str, int],
        sent: list[float],
    ) -> Iterator[bytes]:
        kind, number = fault
        if kind == "empty":
            yield schemas.closing(answer) or b"\n"
            return
        last = generation.answer_tokens
        for _ in range(last):
            if kind in ("in_band", "break", "stall") and len(answer.texts) >= number:
                yield from self._go_wrong(request, answer, kind)
                return
            if generation.ready.get() == _GONE:
                answer.finish = "cancelled"
                raise cut(request.connection)
            token_id, text = token_text(answer.asked.prompt, len(answer.texts), self._profile.seed)
            answer.texts.append(text)
            done = len(answer.texts) == last
            chunk = schemas.token_chunk(answer, token_id, text, last=done)
            if len(answer.texts) == 1:
                chunk = schemas.opening(answer) + chunk
            sent.append(time.time())
            yield chunk
        yield schemas.closing(answer)

    def _go_wrong(self, request: Request, answer: Answer, kind: str) -> Iterator[bytes]:
        answer.finish = kind
        if kind == "in_band":
            yield schemas.in_band_error(answer)
        elif kind == "break":
            raise cut(request.connection)
        else:
            gevent.sleep(24 * 3600)

    def _write_log(
        self, request: Request, answer: Answer, generation: Generation, sent: list[float], received_at: float
    ) -> None:
        row = {
            "id": answer.identity,
            "inference_id": request.headers.get("x-amzn-sagemaker-inference-id"),
            "custom_attributes": request.headers.get("x-amzn-sagemaker-custom-attributes"),
            "schema": answer.asked.kind,
            "stream": answer.asked.stream,
            "received_at": received_at,
            "queued_at": generation.queued_at,
            "admitted_at": generation.admitted_at,
            "batch_at_admission": generation.batch_at_admission,
            "first_sent_at": sent[0] if sent else None,
            "last_sent_at": sent[-1] if sent else None,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": len(answer.texts),
            "finish": answer.finish,
        }
        with Path(str(self._log)).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _fault(request: Request, standing: str) -> tuple[str, int]:
    attributes = request.headers.get("x-amzn-sagemaker-custom-attributes", "")
    for part in attributes.split(","):
        name, _, value = part.strip().partition("=")
        if name == "simulate":
            standing = value
    kind, _, number = standing.partition(":")
    return kind, int(number) if number.isdigit() else 0


def main() -> int:
    """Serve until SIGTERM or the parent's death."""
    tie_to_parent(signal.SIGKILL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="")
    parser.add_argument("--instance-type", default="")
    options = parser.parse_args()
    family = os.environ.get("SIMULATED_FAMILY") or schemas.family_of(options.image)
    if family not in ("tgi", "lmi", "openai"):
        raise UserError(f"SIMULATED_FAMILY is {family}: choose tgi, lmi or openai")
    profile = choose_profile(options.instance_type, options.image)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = make_server(Container(profile, family), "127.0.0.1", port)
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as mistake:
        sys.exit(f"simulated container: {mistake}")
