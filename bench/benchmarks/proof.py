"""What three ways of counting say of the same server, whose truth is known.

    python -m bench.benchmarks.proof [--levels 8,32 --seconds 20]

The server answers 8 requests at a time, each in one second; others wait. It logs when each answer left. For
each level: this suite's window, the AWS sample suite's 30 requests, and the requests of LLMeter's LoadTest.
Prints the tables of docs/proof.md. The formulas of the others are in `other_formulas`; both get the server's
own token counts and whole events, so only their arithmetic is compared.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import click
import numpy as np
import pandas as pd
from botocore.config import Config

from analysis.metrics import definitions
from analysis.metrics.cost import usd_per_million_tokens
from analysis.metrics.definitions import Window
from bench.benchmarks import other_formulas as others
from bench.calibration.probe import REGION, run_levels, truth_server
from bench.calibration.truth import AnswerSchedule
from runfolder import layout
from runfolder.percentiles import percentile

SERVER = AnswerSchedule(ttft=0.2, gap=0.02, tokens=41, slots=8)
USD_PER_HOUR = 1.4084
"""An ml.g5.xlarge in us-east-1."""
_BODY = json.dumps(
    {"inputs": "Tell me of the sea.", "parameters": {"max_new_tokens": SERVER.tokens}}
).encode()


class Figures(NamedTuple):
    """What one way of counting says of a level. Times in seconds."""

    requests_per_s: float
    tokens_per_s: float
    ttft_p50: float
    ttft_p90: float
    e2e_p50: float
    e2e_p90: float

    @property
    def usd_per_million(self) -> float | None:
        """US dollars per million output tokens at the price of the instance."""
        return usd_per_million_tokens(USD_PER_HOUR, 1, self.tokens_per_s)


class Answer(NamedTuple):
    """One answer as a client of boto3 times it. Epoch seconds."""

    started_at: float
    first_at: float
    ended_at: float
    tokens: int


Invoke = Callable[[], Answer]


def invoker(url: str) -> Invoke:
    """A function that invokes the server at ``url`` once, through one boto3 client without retries."""
    client: Any = botocore.session.Session().create_client(
        "sagemaker-runtime",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="AKIAPROOF",
        aws_secret_access_key="unused",  # noqa: S106 - the server checks no signature
        config=Config(read_timeout=300, retries={"max_attempts": 0}, proxies={}),
    )

    def invoke() -> Answer:
        started_at, first_at, last = time.time(), 0.0, b""
        stream = client.invoke_endpoint_with_response_stream(
            EndpointName="truth", ContentType="application/json", Body=_BODY
        )["Body"]
        for event in stream:
            first_at = first_at or time.time()
            last = event["PayloadPart"]["Bytes"]
        ended_at = time.time()
        details = json.loads(last.partition(b"data:")[2])["details"]
        return Answer(started_at, first_at, ended_at, details["generated_tokens"])

    return invoke


def suite_answers(concurrency: int, invoke: Invoke) -> list[Answer]:
    """30 requests, as many threads as the level asks for, after three one by one."""
    for _ in range(others.SUITE_WARM_UP):
        invoke()
    with ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(lambda _: invoke(), range(others.SUITE_REQUESTS)))


def llmeter_answers(clients: int, invoke: Invoke) -> list[Answer]:
    """As many threads as clients; each sends its requests one after the other."""

    def client(_: int) -> list[Answer]:
        return [invoke() for _ in range(others.llmeter_requests(clients))]

    with ThreadPoolExecutor(clients) as pool:
        return [answer for answers in pool.map(client, range(clients)) for answer in answers]


def suite_figures(concurrency: int, answers: Sequence[Answer]) -> Figures:
    """What the AWS sample suite prints of these answers."""
    e2e = [answer.ended_at - answer.started_at for answer in answers]
    ttft = [answer.first_at - answer.started_at for answer in answers]
    rate = others.suite_requests_per_s(concurrency, e2e)
    quantiles = [others.suite_percentile(values, share) for values in (ttft, e2e) for share in (0.5, 0.9)]
    return Figures(rate, rate * float(np.mean([answer.tokens for answer in answers])), *quantiles)


def true_figures(log: pd.DataFrame, window: Window) -> Figures:
    """What the server did in a window, by its own log."""
    ended = log[log["last_sent_at"].between(window.start, window.end, inclusive="left")]
    begun = log[log["arrived_at"].between(window.start, window.end, inclusive="left")]
    rate = len(ended) / window.seconds
    times = [begun[f"{which}_sent_at"] - begun["arrived_at"] for which in ("first", "last")]
    return Figures(rate, rate * SERVER.tokens, *_quantiles(times))


def our_figures(rows: pd.DataFrame, window: Window) -> Figures:
    """What this suite says: the functions of its report."""
    started = definitions.started_in(rows, window)
    ok = started[started["outcome"] == "ok"]
    times = [definitions.per_row(ok, name) / 1000 for name in ("ttft", "e2e")]
    return Figures(
        (definitions.requests_per_minute(rows, window) or 0.0) / 60,
        definitions.completion_tokens_per_s(rows, window) or 0.0,
        *_quantiles(times),
    )


def _quantiles(times: Iterable["pd.Series[float] | np.ndarray"]) -> list[float]:
    return [percentile(np.sort(np.asarray(values)), p) or 0.0 for values in times for p in (50, 90)]


def our_run(level: int, seconds: float) -> tuple[Figures, Figures]:
    """Play a level with this suite. Returns the truth by the server's log, and our figures."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = run_levels([level], folder, tls=False, seconds=seconds, schedule=SERVER, stream=True)
        step = pd.read_csv(folder / layout.STEPS).iloc[0]
        window = Window(step["measure_started_at"], step["measure_ended_at"])
        rows = pd.read_csv(folder / layout.REQUESTS, low_memory=False)
        return true_figures(pd.read_csv(log), window), our_figures(rows, window)


def served_per_s(log: pd.DataFrame) -> float:
    """Requests per second that a server answered, from the first arrival to the last byte."""
    return float(len(log) / (log["last_sent_at"].max() - log["arrived_at"].min()))


def their_run(answers: Callable[[int, Invoke], list[Answer]], level: int) -> tuple[list[Answer], float]:
    """Play a level with the requests of another tool. Returns them, and how fast they were served."""
    with tempfile.TemporaryDirectory() as scratch:
        with truth_server(Path(scratch), SERVER, None) as (url, log):
            found = answers(level, invoker(url))
        return found, served_per_s(pd.read_csv(log).tail(len(found)))


def table(level: int, truth: Figures, suite: Figures, ours: Figures, llmeter_per_minute: float | None) -> str:
    """The Markdown table of a level."""
    three = (truth, suite, ours)
    times = ("TTFT p50", "TTFT p90", "E2E p50", "E2E p90")
    per_minute = [f"{60 * figures.requests_per_s:,.0f}" for figures in (truth, ours)]
    llmeter = "–" if llmeter_per_minute is None else f"LLMeter: {llmeter_per_minute:,.0f}"
    lines = [
        f"| {level} users | truth | AWS sample suite | this suite |",
        "|---|---:|---:|---:|",
        _line("requests/s", [f"{figures.requests_per_s:.2f}" for figures in three]),
        _line("output tokens/s", [f"{figures.tokens_per_s:.0f}" for figures in three]),
        *(_line(name, [f"{f[n]:.2f} s" for f in three]) for n, name in enumerate(times, start=2)),
        _line("$ per million output tokens", [f"{figures.usd_per_million:.2f}" for figures in three]),
        _line("requests/min", [per_minute[0], llmeter, per_minute[1]]),
    ]
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


@click.command(help="Compare three ways of counting against a server whose truth is known.")
@click.option("--levels", default="8,32", show_default=True, help="Concurrencies with commas.")
@click.option("--seconds", default=20.0, show_default=True, help="Window of this suite's steps.")
def main(levels: str, seconds: float) -> None:
    """Print a table for each level."""
    for level in map(int, levels.split(",")):
        truth, ours = our_run(level, seconds)
        found, served = their_run(suite_answers, level)
        sent, _ = their_run(llmeter_answers, level)
        per_minute = others.llmeter_requests_per_minute([answer.started_at for answer in sent])
        print(table(level, truth, suite_figures(level, found), ours, per_minute))
        print(
            f"\nServed: {served:.2f} per second of the AWS sample suite's {len(found)} requests.\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
