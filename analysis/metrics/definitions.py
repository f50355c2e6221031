"""The metrics, each defined once: a pure function of records. No I/O, no clock, no plots.

``rows`` is a frame with the columns of ``runfolder.records.Request``; NaN means "not measured". A ``Window``
is half-open, ``[start, end)`` in epoch seconds. Every docstring gives formula, unit and source;
``docs/metrics.md`` is made from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.metrics.statistics import Flags, Floats
from configs.slo import Objective


@dataclass(frozen=True)
class Window:
    """A half-open stretch of time, ``[start, end)`` in epoch seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end - self.start


def numbers(rows: pd.DataFrame, column: str) -> Floats:
    """A column as floats."""
    return rows[column].to_numpy(dtype=float)


def measured(values: Floats) -> Floats:
    """Only what was measured: the values that are not NaN."""
    return values[~np.isnan(values)]


def started_in(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The requests that started inside the window, whatever became of them; latency is of the ok ones.

    Formula: start ≤ started_at < end; in open loop, of the arrival.
    Unit: rows.
    Source: a window over starts leaves out no slow request, because the load stays until the last has ended.
    """
    start = arrived_at(rows)
    return rows[(start >= window.start) & (start < window.end)]


def arrived_at(rows: pd.DataFrame) -> Floats:
    """When each request was to start, in epoch seconds: in open loop its arrival, else its start."""
    return numbers(rows, "started_at") - np.nan_to_num(numbers(rows, "schedule_delay_ms")) / 1000


def never_sent(rows: pd.DataFrame) -> Flags:
    """Which rows are of requests that were not sent: withheld, or turns cut off before they were due."""
    outcome = rows["outcome"].astype(object).to_numpy()
    cut_off = (outcome == "censored") & (numbers(rows, "elapsed_ms") == 0)
    return np.asarray((outcome == "withheld") | cut_off, dtype=np.bool_)


def schedule_delay_ms(rows: pd.DataFrame) -> Floats:
    """Schedule delay, in open loop: from a request's arrival to its start. It is part of TTFT, TTFO and E2E.

    Formula: start − arrival.
    Unit: milliseconds, one value per request.
    Source: latency that counts from the start hides what users wait while a client or a connection is busy
    ("coordinated omission", G. Tene).
    """
    return measured(numbers(rows, "schedule_delay_ms"))


def elapsed_ms(rows: pd.DataFrame) -> Floats:
    """How long each request took, whatever became of it: E2E, or until it failed or was cut off.

    Formula: end − start; one value per row, NaN where the record does not say (older run folders).
    Unit: milliseconds.
    Source: the record's elapsed_ms; a user that waits for a time-out is as busy as one that reads an answer.
    """
    e2e, elapsed = numbers(rows, "e2e_ms"), numbers(rows, "elapsed_ms")
    return np.where(np.isnan(e2e), elapsed, e2e)


def ended_at(rows: pd.DataFrame) -> Floats:
    """When each request ended: started_at + elapsed, in epoch seconds; NaN when its duration is unknown."""
    return numbers(rows, "started_at") + elapsed_ms(rows) / 1000


def ttft_ms(rows: pd.DataFrame) -> Floats:
    """TTFT, time to first token: from handing the request to the socket to the first token with content.

    Formula: first non-empty content or reasoning token − start; connection set-up is not part of it. In open
    loop − arrival, of which connection set-up is part.
    Unit: milliseconds, one value per ok streamed request.
    Source: as vLLM for content tokens; AIPerf's and genai-bench's include the set-up of a new connection.
    """
    return measured(per_row(rows, "ttft"))


def ttfo_ms(rows: pd.DataFrame) -> Floats:
    """TTFO, time to first output token: like TTFT, but reasoning tokens do not count.

    Formula: first non-reasoning token − start; in open loop − arrival.
    Unit: milliseconds, one value per ok streamed request.
    Source: as AIPerf.
    """
    return measured(per_row(rows, "ttfo"))


def e2e_ms(rows: pd.DataFrame) -> Floats:
    """E2E latency: from handing the request to the socket to the last token, or body byte when not streamed.

    Formula: last content token − start; in open loop − arrival.
    Unit: milliseconds, one value per ok request.
    Source: ends as vLLM's and AIPerf's: a usage-only chunk and the stream's closing are not part of it.
    """
    return measured(per_row(rows, "e2e"))


def tpot_ms(rows: pd.DataFrame) -> Floats:
    """TPOT, time per output token after the first chunk; undefined (absent, never 0) below two tokens.

    Formula: (E2E − TTFT) / (n − k), n completion tokens, k tokens in the first chunk (1 when unknown), n > k;
    absent where everything arrived in one chunk.
    Unit: milliseconds per token, one value per ok streamed request.
    Source: as vLLM's TPOT, corrected for first chunks of several tokens (ai-dynamo/aiperf#1279).
    """
    return measured(per_row(rows, "tpot"))


def per_row(rows: pd.DataFrame, metric: str) -> Floats:
    """A latency metric in milliseconds, one value per row, NaN where not measured.

    In open loop, ttft, ttfo and e2e count from the arrival; ttft_sent and e2e_sent, which exist only there,
    count from the start.
    """
    delay = numbers(rows, "schedule_delay_ms")
    if metric == "schedule_delay":
        return delay
    if metric.endswith("_sent"):
        return np.where(np.isnan(delay), np.nan, numbers(rows, f"{metric.removesuffix('_sent')}_ms"))
    if metric != "tpot":
        return numbers(rows, f"{metric}_ms") + np.nan_to_num(delay)
    first = np.maximum(np.nan_to_num(numbers(rows, "first_chunk_tokens"), nan=1.0), 1.0)
    after = numbers(rows, "completion_tokens") - first
    after[numbers(rows, "chunks") < 2] = 0.0  # everything arrived at once
    decode = numbers(rows, "e2e_ms") - numbers(rows, "ttft_ms")
    tpot: Floats = np.divide(decode, after, out=np.full(len(rows), np.nan), where=after > 0)
    return tpot


def user_tokens_per_s(rows: pd.DataFrame) -> Floats:
    """Per-user speed: the pace at which one user sees tokens arrive.

    Formula: 1000 / TPOT.
    Unit: tokens per second, one value per ok streamed request.
    Source: reciprocal of TPOT, so TTFT is not part of it.
    """
    tpot = tpot_ms(rows)
    return np.asarray(1000 / tpot[tpot > 0], dtype=float)


def stream_spread(rows: pd.DataFrame) -> Floats:
    """Stream spread: the part of an answer's time over which its chunks arrive; near 0 if all come at once.

    Formula: (E2E − TTFT) / E2E.
    Unit: share, 0 to 1, one value per ok streamed request.
    Source: a proxy or a container that collects an answer before it sends it makes TTFT equal E2E.
    """
    e2e, ttft = numbers(rows, "e2e_ms"), numbers(rows, "ttft_ms")
    spread: Floats = np.divide(e2e - ttft, e2e, out=np.full(len(rows), np.nan), where=e2e > 0)
    return measured(spread)


def gap_percentile_ms(gaps: pd.DataFrame, p: float) -> float | None:
    """ICL, inter-chunk latency: gaps between content chunks, pooled over requests.

    Formula: the bucket that holds the p-th percentile of all gaps; its geometric middle.
    Unit: milliseconds; buckets grow by 1%, so the figure is within 0.5%.
    Source: as vLLM's ITL, which also pools; it is ITL only where every chunk is one token.
    """
    counts = numbers(gaps, "count")
    total = float(counts.sum())
    if total <= 0:
        return None
    ordered = np.argsort(numbers(gaps, "low_ms"))
    reached = np.cumsum(counts[ordered]) >= p / 100 * total
    at = ordered[int(np.argmax(reached))]
    low, high = numbers(gaps, "low_ms")[at], numbers(gaps, "high_ms")[at]
    return float(np.sqrt(low * high)) if low > 0 else float((low + high) / 2)


def completions(rows: pd.DataFrame, window: Window) -> int:
    """Ok requests that ended inside the window, whenever they started.

    Formula: count of ok rows with start ≤ started_at + E2E < end.
    Unit: requests.
    Source: what happened inside the window is its throughput; no ramp, no drain.
    """
    ok = (rows["outcome"] == "ok").to_numpy()
    end = ended_at(rows)
    return int((ok & (end >= window.start) & (end < window.end)).sum())


def requests_per_minute(rows: pd.DataFrame, window: Window) -> float | None:
    """Request throughput.

    Formula: 60 × completions in the window / seconds of the window.
    Unit: requests per minute; absent when the window has no length.
    Source: pooled completions over time. A mean of rates (FMBench) is another figure: 49 for 25.5.
    """
    return 60 * completions(rows, window) / window.seconds if window.seconds > 0 else None


@dataclass(frozen=True)
class TokenArrivals:
    """When the completion tokens of ok requests arrived: arrays with one element per answered request."""

    first: Floats
    """Arrival of the first token, epoch seconds."""
    last: Floats
    """Arrival of the last token, epoch seconds."""
    total: Floats
    """Completion tokens."""
    head: Floats
    """Tokens that arrived at ``first``; the others are spread evenly until ``last``."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "TokenArrivals":
        """Those of the rows whose tokens are known."""
        ok = rows[(rows["outcome"] == "ok") & rows["completion_tokens"].notna()]
        last, ttft = ended_at(ok), numbers(ok, "ttft_ms")
        streamed = ~np.isnan(ttft)
        total = numbers(ok, "completion_tokens")
        head = np.minimum(np.nan_to_num(numbers(ok, "first_chunk_tokens"), nan=1.0), total)
        return cls(
            first=np.where(streamed, numbers(ok, "started_at") + np.nan_to_num(ttft) / 1000, last),
            last=last,
            total=total,
            head=np.where(streamed, head, total),
        )

    def inside(self, window: Window) -> float:
        """Tokens that arrived inside the window, see `completion_tokens_in`."""
        first, last, head = self.first, self.last, self.head
        inside = (first >= window.start) & (first < window.end)
        span = last - first
        overlap = np.clip(np.minimum(last, window.end) - np.maximum(first, window.start), 0, None)
        at_end = ((last >= window.start) & (last < window.end)).astype(float)
        share = np.divide(overlap, span, out=at_end, where=span > 0)
        return float((head * inside + (self.total - head) * share).sum())


def completion_tokens_in(rows: pd.DataFrame, window: Window) -> float:
    """Completion tokens that arrived inside the window, of ok requests.

    Formula: the first chunk's tokens at the first token; the rest spread evenly between first and last token;
    all at the end when the answer was not streamed.
    Unit: tokens.
    Source: attribution by time; tokens over wall clock (most tools) reads 10% low at four requests per user.
    """
    return TokenArrivals.of(rows).inside(window)


def completion_tokens_per_s(rows: pd.DataFrame, window: Window) -> float | None:
    """Output throughput: completion tokens that arrived inside the window per second.

    Formula: completion tokens in the window / seconds of the window.
    Unit: tokens per second; absent when no request has a token count.
    Source: as above.
    """
    if window.seconds <= 0 or not rows["completion_tokens"].notna().any():
        return None
    return completion_tokens_in(rows, window) / window.seconds


def prompt_tokens_per_s(rows: pd.DataFrame, window: Window) -> float | None:
    """Input throughput: prompt tokens whose processing ended inside the window, per second.

    Formula: prompt tokens of ok requests whose first token (end, not streamed) is in the window / seconds.
    Unit: tokens per second; absent when no request has a token count.
    Source: the prompt has been processed when the first token leaves.
    """
    if window.seconds <= 0 or not rows["prompt_tokens"].notna().any():
        return None
    ok = rows[(rows["outcome"] == "ok") & rows["prompt_tokens"].notna()]
    delay = np.where(ok["ttft_ms"].notna(), numbers(ok, "ttft_ms"), numbers(ok, "e2e_ms"))
    at = numbers(ok, "started_at") + delay / 1000
    inside = (at >= window.start) & (at < window.end)
    return float(numbers(ok, "prompt_tokens")[inside].sum() / window.seconds)


def of_part(rows: pd.DataFrame, objective: Objective) -> Flags:
    """Which rows an objective judges: all, or those of a part of a mix."""
    if objective.part is None:
        return np.ones(len(rows), dtype=bool)
    return np.asarray(rows["part"].eq(objective.part), dtype=bool)


def error_rate(rows: pd.DataFrame) -> float | None:
    """Share of requests that failed; a run without errors has 0, a run without requests has none.

    Formula: failed / (failed + ok); time-outs are failures; censored (cut off) requests are counted apart.
    Unit: share, 0 to 1.
    Source: common; FMBench rounds below 0.5% to 0.
    """
    failed = int((rows["outcome"] == "failed").sum())
    ended = failed + int((rows["outcome"] == "ok").sum())
    return failed / ended if ended else None


def error_classes(rows: pd.DataFrame) -> dict[str, int]:
    """Failed requests by class, most frequent first.

    Formula: count of failed rows per error_class.
    Unit: requests.
    Source: classes of ``runfolder.records.ErrorClass``.
    """
    classes = rows.loc[rows["outcome"] == "failed", "error_class"].astype(object)
    counts = classes.fillna("unknown").value_counts()
    return {str(name): int(count) for name, count in counts.items() if count}


def goodput(
    started: pd.DataFrame, window: Window, objectives: Sequence[Objective]
) -> tuple[float | None, float | None]:
    """Goodput: requests that met every latency limit, per second and as a share of all requests.

    Formula: ok requests started in the window with every metric ≤ its limit / seconds; share: / all started.
    The limit of a part of a mix holds for the requests of that part.
    Unit: requests per second; share 0 to 1. Absent without latency objectives.
    Source: as vLLM and AIPerf: failed and cut-off requests count as bad, never out of the denominator.
    """
    if not objectives or window.seconds <= 0:
        return None, None
    good = (started["outcome"] == "ok").to_numpy()
    for objective in objectives:
        within = per_row(started, objective.metric) <= objective.limit_ms
        good = good & (within | ~of_part(started, objective))
    count = int(good.sum())
    return count / window.seconds, (count / len(started) if len(started) else None)
