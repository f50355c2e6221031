"""Locust users as others write them, for `compare`: boto3 and Locust's FastHttpUser.

They measure as their libraries allow: the clock is read when the library returns the data. FastHttpUser sends
its requests unsigned, which no SageMaker endpoint accepts: it shows the limit and is not an alternative.
"""

from locust import FastHttpUser, User, events, task
from locust.env import Environment

import csv
import json
import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import botocore.session
import gevent
from botocore.config import Config

BODY = json.dumps({"inputs": "Tell me of the sea. " * 8, "parameters": {"max_new_tokens": 8}}).encode()
STREAM = os.environ.get("CONTENDER_STREAM") == "1"
SECONDS = float(os.environ.get("CONTENDER_SECONDS", "5"))
WARM_UP_S = float(os.environ.get("CONTENDER_WARM_UP", "3"))
RESULTS = Path(os.environ.get("CONTENDER_RESULTS", os.devnull))

rows: list[tuple[float, float | None, float, str]] = []
"""(started_at, TTFT ms, E2E ms, number by the server) of every answer."""


def note(started_at: float, first_at: float | None, last_at: float, last_line: bytes) -> None:
    """Keep an answer."""
    number = last_line.partition(b'"finish_reason": "n')[2].partition(b'"')[0].decode()
    ttft_ms = None if first_at is None else (first_at - started_at) * 1000
    rows.append((started_at, ttft_ms, (last_at - started_at) * 1000, number))


def read_stream(started_at: float, parts: Iterable[bytes], environment: Environment) -> None:
    """Read a streamed answer part by part."""
    first_at, last_at, rest, line = None, started_at, b"", b""
    for part in parts:
        rest += part
        *lines, rest = rest.split(b"\n")
        for line_read in filter(None, lines):
            last_at = time.time()
            first_at = first_at or last_at
            line = line_read
            json.loads(line_read.partition(b"data:")[2])
    note(started_at, first_at, last_at, line)
    report(environment, last_at - started_at)


def report(environment: Environment, seconds: float) -> None:
    """Report a request to Locust that its own client did not report."""
    hooks: Any = environment.events
    hooks.request.fire(
        request_type="POST",
        name="contender",
        response_time=seconds * 1000,
        response_length=0,
        exception=None,
        context={},
    )


class Boto3User(User):
    """A Locust user around boto3's own client, retries off."""

    def on_start(self) -> None:
        """One client per user, as a connection per user needs."""
        config = Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=1,
            read_timeout=70,
            parameter_validation=True,
        )
        self.client: Any = botocore.session.Session().create_client(
            "sagemaker-runtime", region_name="us-east-1", config=config
        )

    @task
    def invoke(self) -> None:
        """One invocation."""
        started_at = time.time()
        arguments = {"EndpointName": "truth", "ContentType": "application/json", "Body": BODY}
        if STREAM:
            answer = self.client.invoke_endpoint_with_response_stream(**arguments)
            parts = (event["PayloadPart"]["Bytes"] for event in answer["Body"])
            read_stream(started_at, parts, self.environment)
            return
        body = self.client.invoke_endpoint(**arguments)["Body"].read()
        ended_at = time.time()
        json.loads(body)
        note(started_at, None, ended_at, body)
        report(self.environment, ended_at - started_at)


class UnsignedUser(FastHttpUser):
    """Locust's own fast client, without a signature."""

    host = os.environ.get("AWS_ENDPOINT_URL", "")

    @task
    def invoke(self) -> None:
        """One invocation; never streamed, because its stream reading is not usable here."""
        started_at = time.time()
        response = self.client.post("/endpoints/truth/invocations", data=BODY.decode(), name="contender")
        ended_at = time.time()
        note(started_at, None, ended_at, response.content or b"")


def keep(environment: Environment, **_: object) -> None:
    """Measure requests and CPU of the window, write the results, and end the run."""

    def window() -> None:
        gevent.sleep(WARM_UP_S)
        before, cpu, started = len(rows), _cpu_s(), time.time()
        gevent.sleep(SECONDS)
        figures = {"requests": len(rows) - before, "cpu_s": _cpu_s() - cpu, "seconds": time.time() - started}
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("started_at", "ttft_ms", "e2e_ms", "number"))
            writer.writerows(rows)
        RESULTS.with_suffix(".json").write_text(json.dumps({**figures, "window": started}), encoding="utf-8")
        if environment.runner is not None:
            environment.runner.quit()

    gevent.spawn(window)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


hooks: Any = events  # Locust's hooks carry no types
hooks.test_start.add_listener(keep)
