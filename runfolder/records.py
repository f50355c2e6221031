"""Columns of the run folder's CSV files. Times are epoch seconds (µs precision), durations milliseconds.

An empty cell means "not measured" and never zero.
"""

from dataclasses import dataclass, fields
from typing import Literal

Outcome = Literal["ok", "failed", "censored", "withheld"]
"""Censored: cut off by the end of the run, its worker was lost, or an earlier turn of its conversation was
not answered. Withheld: it arrived while as many requests as the plan allows were in flight, and was not
sent."""
TokenSource = Literal["server", "tokenizer", "estimate"]
FirstChunkSource = Literal["usage", "tokenizer", "proportion", "pieces"]
"""How the tokens of the first chunk are known: by the server's running count, by counting its text with the
tokenizer, by its share of the answer's text, or by its pieces where each piece is one token."""
ArrivalClock = Literal["kernel", "user"]
ErrorClass = Literal[
    "throttled",
    "not_ready",
    "model_4xx",
    "model_5xx",
    "model_timeout",
    "in_stream",
    "in_band",
    "truncated",
    "empty",
    "connection",
    "stale_connection",
    "client_timeout",
    "auth",
    "validation",
    "service",
    "protocol",
    "predecessor",
    "session",
]
"""Why a request failed. ``predecessor``: a turn that was cut off because an earlier one was not answered.
``session``: the stateful session of its conversation could not be opened, or has ended."""


@dataclass(slots=True)
class Request:
    """One invocation, or one arrival that was not sent. The main record of a run."""

    request_id: str
    """Unique in the run."""
    step: str
    """Id of the step that was current when the request started."""
    worker: str
    """The Locust worker that sent it, as in workers.csv."""
    payload_id: str
    """The prompt's name in the payload."""
    started_at: float
    """Epoch seconds at which the request was handed to the socket (connection already open)."""
    schedule_delay_ms: float | None = None
    """Start minus the time of arrival, in open loop; empty in closed loop. Counted from the arrival, a
    latency is this much longer."""
    arrival: int | None = None
    """Number of the arrival in the experiment, in open loop. The turns of a conversation of the payload share
    that of their conversation. Absent in run folders of older versions."""
    inference_id: str | None = None
    """Its ``InferenceId``, by which SageMaker's data capture knows it. Absent in folders of older versions,
    and where the plan sets its own or the route has none."""
    session: int | None = None
    """Number of its conversation: in open loop the arrival of the first turn, in closed loop counted by each
    worker. Empty without conversations. Absent in run folders of older versions."""
    turn: int | None = None
    """Number of the turn in its conversation, from 1."""
    session_id: str | None = None
    """The stateful session that it named (``SessionId``); empty without one. Absent in run folders of older
    versions, as the next two."""
    session_open_ms: float | None = None
    """How long the invocation took that opened the session before this turn; part of no latency. Empty where
    none was sent."""
    session_close_ms: float | None = None
    """The same of the invocation that closed the session after this turn."""
    part: str | None = None
    """The part of a mix that it belongs to. Empty without a mix, and absent in folders of older versions."""
    connect_ms: float | None = None
    """TCP and TLS set-up; empty when the connection was reused. Not part of any latency."""
    ttft_ms: float | None = None
    """First non-empty content or reasoning token minus start; empty when the answer is not streamed."""
    ttfo_ms: float | None = None
    """First non-reasoning token minus start."""
    e2e_ms: float | None = None
    """Last content token (streamed) or last body byte (not streamed) minus start; empty unless ok."""
    elapsed_ms: float | None = None
    """The request's end minus start, whatever its outcome: e2e_ms where it is ok, else how long it took
    to fail or to be cut off. Absent in run folders of older versions."""
    tpot_ms: float | None = None
    """(e2e - ttft) / (completion_tokens - first_chunk_tokens); empty below two tokens."""
    chunks: int | None = None
    """Chunks with content."""
    first_chunk_tokens: int | None = None
    """Tokens in the first chunk with content."""
    first_chunk_source: FirstChunkSource | None = None
    """How these tokens are known. Absent in run folders of older versions, which counted pieces."""
    prompt_tokens: int | None = None
    """The prompt's length, with its chat template."""
    prompt_tokens_source: TokenSource | None = None
    """Who counted: the server, the tokenizer of the plan, or an estimate."""
    asked_prompt_tokens: int | None = None
    """The length that a payload of lengths or a trace asks for. Absent in run folders of older versions."""
    cached_prompt_tokens: int | None = None
    """Prompt tokens that the server took from its prefix cache; empty if it does not report them."""
    completion_tokens: int | None = None
    """The answer's length, reasoning included."""
    completion_tokens_source: TokenSource | None = None
    """Who counted, as for the prompt."""
    asked_output_tokens: int | None = None
    """The length that was asked of this answer. Absent in run folders of older versions."""
    reasoning_tokens: int | None = None
    """Reasoning tokens of the answer, as the server counts them."""
    skipped_events: int | None = None
    """Events of a stream that carried neither output nor usage nor an end, and were skipped."""
    finish_reason: str | None = None
    """Why the model ended, in the server's words."""
    outcome: Outcome = "ok"
    """Answered, failed, cut off (``censored``), or not sent (``withheld``)."""
    error_class: ErrorClass | None = None
    """Why it failed; empty unless it did."""
    error_detail: str | None = None
    """One line about it."""
    http_status: int | None = None
    """Of the answer; empty where none came."""
    bytes_out: int | None = None
    """Bytes that were sent: head and body, encrypted under TLS."""
    bytes_in: int | None = None
    """Bytes that were received: head and body, decrypted under TLS."""
    arrival_clock: ArrivalClock | None = None
    """Who took the arrival times: the kernel, or this program after the read."""
    clock_lag_ms: float | None = None
    """User clock minus arrival stamp at the first token: the delay of this client's reading."""

    @property
    def arrived_at(self) -> float:
        """When it was to start, epoch seconds: in an open loop when it arrived, else when it started."""
        return self.started_at - (self.schedule_delay_ms or 0.0) / 1000

    def latency_ms(self, name: Literal["ttft_ms", "tpot_ms", "e2e_ms"]) -> float | None:
        """A latency as the report counts it: TTFT and E2E of an open loop from the arrival.

        Formula: as `analysis.metrics.definitions.per_row`.
        """
        value: float | None = getattr(self, name)
        return value if value is None or name == "tpot_ms" else value + (self.schedule_delay_ms or 0.0)


REQUEST_COLUMNS = tuple(field.name for field in fields(Request))

StepState = Literal["planned", "running", "complete", "degraded", "interrupted"]
StepPurpose = Literal["probe", "confirmation"]
"""What a search plays a step for."""
ReasonCode = Literal[
    "worker_lost",
    "worker_joined",
    "worker_silent",
    "fewer_workers",
    "load_gap",
    "clock_set",
    "client_limited",
    "late_reading",
    "too_few_users",
    "unacknowledged",
    "unfinished_requests",
    "requests_without_end",
    "rows_missing",
    "rows_recovered",
    "locust_count_differs",
    "no_requests",
    "proxy",
    "refused",
    "interrupted",
    "failed",
    "not_played",
    "saturated",
]
"""What happened to a step, as codes for programs; ``docs/architecture.md`` explains each."""


@dataclass(slots=True)
class StepRow:
    """One step: its target and when each phase began. Load never drops between the phases."""

    step: str
    """Id of the step."""
    experiment: str
    """Name of its experiment."""
    ordinal: int
    """Its number in the experiment."""
    concurrency: int | None
    """Users of a closed loop; empty in an open loop."""
    rate: float | None = None
    """Arrivals per second of an open loop; of a trace, its mean. Absent in folders of older versions."""
    speed: float | None = None
    """How fast a trace was replayed. Absent in folders of older versions."""
    piece: int | None = None
    """Number of the piece of a shape, from 1. Absent in folders of older versions, as the next two."""
    ramp_from: float | None = None
    """Arrivals per second or users at the start of a piece; ``rate`` or ``concurrency`` is the mean."""
    ramp_to: float | None = None
    """The same at its end."""
    state: StepState = "planned"
    """``complete``, or how far it came."""
    announced_at: float | None = None
    """The master announced the step: the ramp begins."""
    ramped_at: float | None = None
    """All users have started: the ramp ends and the warm-up begins."""
    measure_started_at: float | None = None
    """When the window opened."""
    measure_planned_end_at: float | None = None
    """When the window ends at the latest; written when it opens. Absent in folders of older versions."""
    measure_ended_at: float | None = None
    """When the window ended; empty while it is open, and if the load generator died in it."""
    tail_ended_at: float | None = None
    """The last request that started inside the window has finished."""
    workers: int | None = None
    """Workers that made its load."""
    started: int | None = None
    """Requests that started in it, in all its phases."""
    ok: int | None = None
    """Of these, answered."""
    failed: int | None = None
    """Of these, failed."""
    censored: int | None = None
    """Of these, cut off."""
    withheld: int | None = None
    """Arrivals that were not sent. Absent in folders of older versions."""
    arrivals: int | None = None
    """Arrivals that came due in the step, in open loop. Absent in folders of older versions."""
    locust_requests: int | None = None
    """Locust's own count of this step's requests, for reconciliation with the rows."""
    locust_failures: int | None = None
    """Locust's own count of its failures."""
    reasons: str | None = None
    """Why the step is degraded or interrupted, in words; several are joined with ``; ``."""
    reason_codes: str | None = None
    """The `ReasonCode` of each reason, joined with ``;``. Absent in folders of older versions."""
    master_cpu_percent: float | None = None
    """Highest share of one core that the master's process used in a second of the window; empty where no
    workers report to a master. Absent in folders of older versions."""
    purpose: StepPurpose | None = None
    """Of a step that a search chose. Absent in folders of older versions."""


STEP_COLUMNS = tuple(field.name for field in fields(StepRow))


@dataclass(slots=True)
class WorkerReport:
    """One report of one worker on the health of the load generator."""

    worker: str
    """Name of the worker."""
    host: str
    """The host that it runs on."""
    reported_at: float
    """When the worker sent the report, by the master's clock."""
    step: str | None
    """The step that was current."""
    users: int
    """Users of this worker."""
    in_flight: int
    """Requests of this worker in flight."""
    cpu_percent: float
    """Share of one core that the process used."""
    memory_mb: float
    """Memory of the process."""
    lag_p50_ms: float | None = None
    """Event-loop lag, the overshoot of a short sleep: its median."""
    lag_p99_ms: float | None = None
    """Its 99th percentile."""
    clock_lag_p50_ms: float | None = None
    """User clock minus kernel arrival stamp, over the chunks of this interval: its median."""
    clock_lag_p99_ms: float | None = None
    """Its 99th percentile."""
    rtt_ms: float | None = None
    """Smallest round trip to the endpoint (or to the proxy before it) over this worker's open connections,
    as the kernel's TCP measures it from the handshake on; empty if unknown. Absent in folders of older
    versions."""
    clock_offset_ms: float | None = None
    """The worker's clock minus the master's, measured as the step began. If it exceeds its uncertainty by
    more than 1 ms, times in the run folder are corrected by it. Empty without a master. Absent in folders of
    older versions, as the next one."""
    clock_error_ms: float | None = None
    """Its uncertainty: half of the round trip of the message that measured it."""


WORKER_COLUMNS = tuple(field.name for field in fields(WorkerReport))

GAP_GROWTH = 1.01
GAP_UNIT_MS = 0.01


@dataclass(slots=True)
class GapBucket:
    """Count of inter-chunk gaps of one step in ``[low_ms, high_ms)``; the edges grow by 1%."""

    step: str
    """Id of the step."""
    low_ms: float
    """The shortest gap of the bucket."""
    high_ms: float
    """Gaps of the bucket are shorter than this."""
    count: int
    """Gaps in it."""

    @classmethod
    def at(cls, step: str, index: int, count: int) -> "GapBucket":
        """The bucket of an index: 0 is ``[0, GAP_UNIT_MS)``, each further one grows by 1%."""
        if index == 0:
            return cls(step, 0.0, GAP_UNIT_MS, count)
        low = GAP_UNIT_MS * GAP_GROWTH ** (index - 1)
        return cls(step, low, low * GAP_GROWTH, count)


GAP_COLUMNS = tuple(field.name for field in fields(GapBucket))


@dataclass(slots=True)
class CloudWatchPoint:
    """One point of a CloudWatch metric of the endpoint, in the minutes of the run."""

    experiment: str
    """Name of the experiment."""
    metric: str
    """CloudWatch's own name, such as ``ModelLatency``."""
    statistic: str
    """CloudWatch's own name: Sum, Average, Maximum, SampleCount, p50, p90, p99."""
    unit: str
    """CloudWatch's own name. Latencies are in Microseconds."""
    timestamp: float
    """Start of the period, epoch seconds. A period is a minute, or as long as the points are apart."""
    value: float
    """The point's value, in the metric's unit."""


CLOUDWATCH_COLUMNS = tuple(field.name for field in fields(CloudWatchPoint))
